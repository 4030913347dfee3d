"""Open a data file of any known format as a `Table`; messages about faults name the file and the line.

The formats: `.txt` (`text;label`, the label after the last semicolon), `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.json`
(JSON Lines) and `.parquet`. Text is UTF-8, with or without a byte order mark, and may be compressed: `.csv.gz`. Blank
lines between rows are skipped.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from emotune.data.columns import columns_of_objects
from emotune.data.compression import SUFFIXES, compression_of, format_suffix, open_to_read
from emotune.data.foreign import how_to_convert, refuse_foreign
from emotune.data.json_files import refuse_json_file, whole_json_hint
from emotune.data.quoting import TAB, Quoting, decide_quoting
from emotune.data.table import Broken, Row, Table
from emotune.system.errors import DataError
from emotune.system.text import reason_of
from emotune.system.wording import LONGER, UNCLOSED_QUOTE, counted, escaped, listed, quoted, word

if TYPE_CHECKING:
    import pyarrow as pa

_BYTES_LOOKED_AT = 65_536
_LINES_END_WITH_LF = (".txt", ".jsonl", ".ndjson", ".json")
# This many equal faults at the beginning are a way of writing, not a slip.
_ROWS_THAT_SHOW = 3
_OBJECTS_LOOKED_AT = 1000
_LARGEST_C_LONG = 2**31 - 1  # on every platform
# Longer than any text, so that a text that is too long is a row of its own that can be named. Short enough that a quote
# that swallows the rest of a large file stops after some tens of megabytes.
LONGEST_FIELD = 10_000_000


def open_table(path: Path, *, max_characters: int) -> Table:
    """Open a data file: check that it can be read, and find its columns.

    Args:
        path: The file.
        max_characters: The longest text allowed; a CSV field may be that long.

    Raises:
        DataError: The file is missing, unreadable, empty, binary, not UTF-8, of an unknown format, or damaged.
    """
    _refuse_unreadable(path)
    opener = _OPENERS.get(format_suffix(path))
    if opener is None:
        seen = "".join(path.suffixes[-2:]) if path.suffix.lower() in SUFFIXES else path.suffix
        raise DataError(
            f"{escaped(path)}: emotune cannot tell the format from the suffix {quoted(seen)}. "
            f"It reads {', '.join(KNOWN_SUFFIXES)}, compressed or not."
        )
    return opener(path, max_characters)


def open_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-8 text file with their numbers, without line ends.

    Only line feeds (with or without a carriage return) end a line; U+2028 and similar may occur inside a text.

    Raises:
        DataError: The file is missing, unreadable, empty, binary or not UTF-8.
    """
    _refuse_unreadable(path)
    return _lines(path)


def _refuse_unreadable(path: Path) -> None:
    """Refuse a file that cannot be read, before it is parsed."""
    if path.is_dir():
        raise DataError(f"{escaped(path)} is a folder; expected a file ({', '.join(KNOWN_SUFFIXES)}).")
    try:
        with path.open("rb") as stream:
            start = stream.read(_BYTES_LOOKED_AT)
        kind = compression_of(start)
        if kind is not None:
            with open_to_read(path) as stream:
                start = stream.read(_BYTES_LOOKED_AT)
    except OSError as error:
        raise _unreadable(path, error) from None
    named = SUFFIXES.get(path.suffix.lower())
    if start and named is not None and kind is None:
        raise DataError(
            f"{escaped(path)} is not compressed, though its name says {named}. Rename it to {quoted(path.stem)}, or copy or "
            "download it again."
        )
    if not start:
        raise DataError(f"{escaped(path)} is empty (0 bytes{'' if kind is None else f' when decompressed ({kind})'}).")
    suffix = format_suffix(path)
    is_parquet = suffix == ".parquet"
    if is_parquet and start.startswith(b"PAR1"):
        if kind is not None:
            raise DataError(
                f"{escaped(path)} is a Parquet file compressed with {kind}. Parquet is compressed inside; "
                "decompress the file, and give that."
            )
        return
    refuse_foreign(path, start)
    if suffix in _LINES_END_WITH_LF and b"\r" in start.rstrip(b"\r\n") and b"\n" not in start:
        raise DataError(
            f"{escaped(path)}: its lines end with carriage returns only, as on old Macs; emotune expects line feeds.\n"
            f"Convert it: tr '\\r' '\\n' < {word(path)} > {word(path.with_stem(f'{path.stem}-lines'))}"
        )
    if is_parquet:
        raise DataError(
            f"{escaped(path)} is not a Parquet file, whatever its name says: it does not begin with 'PAR1'."
        )


@contextmanager
def _opened(path: Path, newline: str) -> Iterator[TextIO]:
    """Open a text file; turn errors of reading into messages."""
    try:
        with open_to_read(path) as content, io.TextIOWrapper(content, encoding="utf-8-sig", newline=newline) as stream:
            yield stream
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"No such file: {escaped(path)}.")
    return DataError(f"{escaped(path)} cannot be read: {error.strerror or error}.")


def _not_utf8(path: Path) -> DataError:
    """Return the error with the place of the first invalid byte; a buffered read knows only the place in its buffer."""
    with open_to_read(path) as stream:
        content = stream.read()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return DataError(
            f"{escaped(path)}, line {line}: byte 0x{content[error.start]:02x} at offset {error.start:,} is not UTF-8, "
            f"which emotune reads.\n{how_to_convert(path, 'WINDOWS-1252')}"
        )
    return DataError(f"{escaped(path)} changed while it was read. Try again when it is complete.")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with _opened(path, newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            yield number, line.removesuffix("\n").removesuffix("\r")


def _only_blank(path: Path) -> DataError:
    return DataError(f"{escaped(path)} is empty: it has nothing but blank lines.")


# --- text;label -------------------------------------------------------------------------------------------------------


def _open_semicolon_lines(path: Path, max_characters: int) -> Table:
    header_number, header = next(((n, line) for n, line in _lines(path) if line.strip()), (0, ""))
    if not header:
        raise _only_blank(path)
    text, semicolon, label = header.rpartition(";")
    columns = (text.strip(), label.strip()) if semicolon else (header.strip(),)

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        picks = [0 if column == columns[0] else 2 for column in wanted]
        rows = closed = 0
        for number, line in _lines(path):
            if number <= header_number or not line.strip():
                continue
            parts = line.rpartition(";")
            if not parts[1]:
                tabs = "\nIf tabs separate the columns in this file, put one into the first line too, and name the file .tsv."
                error = DataError(
                    f"{escaped(path)}, line {number}: no semicolon in {quoted(line)}. "
                    f"In a .txt file every line is text;label, the label after the last semicolon.{tabs if TAB in line else ''}"
                )
                yield number, [Broken(error)] * len(wanted)
                continue
            rows += 1
            closed += not parts[2].strip() and ";" in parts[0]
            if rows == closed == _ROWS_THAT_SHOW:
                raise DataError(
                    f"{escaped(path)}, line {number}: this line and those before it end with a semicolon, and the label is the text "
                    "after the last one. Remove the semicolon at the end of every line."
                )
            yield number, [parts[pick] for pick in picks]

    return Table(escaped(path), columns, read, unit="line", header=header, delimiter=";")


# --- CSV and TSV ------------------------------------------------------------------------------------------------------


def _open_csv(path: Path, max_characters: int) -> Table:
    return _open_delimited(path, max_characters, delimiters=",;\t")


def _open_tsv(path: Path, max_characters: int) -> Table:
    return _open_delimited(path, max_characters, delimiters="\t")


def _open_delimited(path: Path, max_characters: int, delimiters: str) -> Table:
    # The csv module's limit of 131,072 characters ends the whole file at a longer field. The limit belongs to the whole
    # process, so it is only ever raised.
    longest = min(max(max_characters, LONGEST_FIELD), _LARGEST_C_LONG)
    if longest > csv.field_size_limit():
        csv.field_size_limit(longest)
    # The delimiter is the one that splits the header into most fields. Only the header decides, because texts are full
    # of commas and semicolons.
    headers = {delimiter: _csv_header(path, delimiter) for delimiter in delimiters}
    delimiter = max(delimiters, key=lambda delimiter: len(headers[delimiter]))
    quotes = decide_quoting(lambda: _opened(path, newline="")) if delimiter == TAB else Quoting(is_quoting=True)
    columns = headers[delimiter] if quotes.is_quoting else _csv_header(path, delimiter, quotes=False)
    if not columns:
        # No delimiter gives a header: reading the records shows what is wrong, or that there are none.
        for _, record in _csv_records(path, delimiters[0], quotes=quotes.is_quoting):
            if isinstance(record, DataError):
                raise record
        raise _only_blank(path)

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        # All columns by position, since two may have the empty name.
        whole = tuple(wanted) == columns
        picks = range(len(columns)) if whole else [columns.index(column) for column in wanted]
        records = _csv_records(path, delimiter, quotes=quotes.is_quoting)
        next(fields for _, fields in records if isinstance(fields, DataError) or not _is_blank(fields))  # the header
        for number, fields in records:
            if isinstance(fields, DataError):
                yield number, [Broken(fields)] * len(picks)
            elif len(fields) == len(columns):
                yield number, [fields[pick] for pick in picks]
            elif not _is_blank(fields):
                error = _ragged(path, number, fields, columns, delimiter, quotes.obstacle)
                yield number, [Broken(error)] * len(picks)

    return Table(
        escaped(path),
        columns,
        read,
        unit="line",
        header=delimiter.join(columns),
        delimiter=delimiter,
        quoting=quotes.is_quoting,
        notes=(f"{escaped(path.name)}: {quotes.note}.",) if quotes.note else (),
    )


def _is_blank(fields: Sequence[str]) -> bool:
    """Return whether a record is a line of spaces, which counts as empty."""
    return not fields or (len(fields) == 1 and not fields[0].strip())


def _csv_reader(stream: TextIO, delimiter: str, *, quotes: bool) -> Any:
    return csv.reader(stream, delimiter=delimiter, strict=True, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE)


def _csv_header(path: Path, delimiter: str, *, quotes: bool = True) -> tuple[str, ...]:
    """Return the column names of the first record with this delimiter; none if it cannot be read so."""
    with _opened(path, newline="") as stream:
        try:
            records = _csv_reader(stream, delimiter, quotes=quotes)
            record: list[str] = next((fields for fields in records if not _is_blank(fields)), [])
        except csv.Error:
            return ()
    return tuple(name.strip() for name in record)


def _csv_records(path: Path, delimiter: str, *, quotes: bool) -> Iterator[tuple[int, list[str] | DataError]]:
    """Yield every record, or what is wrong with it, with the line on which it starts.

    A record may span several lines if quotes are quoting.

    Raises:
        DataError: A faulty record spans lines or is too long: what follows it may be the inside of a text.
    """
    with _opened(path, newline="") as stream:
        reader = _csv_reader(stream, delimiter, quotes=quotes)
        start = 1
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                mistake = _csv_mistake(path, start, reader.line_num, str(error), quotes=quotes)
                if reader.line_num > start or "field limit" in str(error) or "unexpected end" in str(error):
                    raise mistake from None
                yield start, mistake
            else:
                if fields is None:
                    return
                if fields:
                    yield start, fields
            start = reader.line_num + 1


def _csv_mistake(path: Path, start: int, end: int, reason: str, *, quotes: bool) -> DataError:
    """Return the csv module's complaint in plain words; `start` is the line where the record starts."""
    place = f"{escaped(path)}, line {start}"
    if "field limit" in reason:
        return DataError(
            f"{place}: a field of more than {csv.field_size_limit():,} characters. {UNCLOSED_QUOTE if quotes else ''}"
            f"If the text is meant to be so long, raise {LONGER}."
        )
    if "unexpected end" in reason:
        return DataError(
            f"{place}: a quote is opened in this row and never closed, so that it swallows the rest of the file "
            f"(to line {end}). Close it, or double it if it belongs to the text."
        )
    return DataError(
        f"{place}: misplaced quote in this row (found on line {end}). "
        'A text that starts with a quote must end with one, and quotes inside it are doubled: "she said ""hello""".'
    )


def _ragged(
    path: Path, number: int, fields: list[str], columns: tuple[str, ...], delimiter: str, obstacle: str
) -> DataError:
    """Return the error of a row whose number of fields differs; `obstacle` is the reason against quoting, if any."""
    name = {",": "comma", ";": "semicolon", TAB: "tab"}[delimiter]
    extra = len(fields) - len(columns)
    advice = f'A text with a {name} in it must be in double quotes ("…").'
    if extra > 0 and not any(field.strip() for field in fields[len(columns) :]):
        advice = (
            f"The row ends with {counted(extra, name)} too many: what follows the last column is empty. "
            f"Remove them from the rows, or add as many to the header."
        )
    elif obstacle:
        advice = f"Quotes are read as text in this file, since {obstacle}. Correct that, or this row."
    elif extra < 0:
        advice = (
            f"The label, or the {name} before it, is missing; or a line break inside a text that is not in double quotes "
            "cut the row in two."
        )
    elif delimiter == TAB:
        advice = (
            "A text with a tab in it must be in double quotes, and so must every text with a quote in it, the quote doubled. "
            "Or replace the tab by a space."
        )
    return DataError(
        f"{escaped(path)}, line {number}: {counted(len(fields), 'field')}, but the header has {len(columns)}. "
        f"The row begins {quoted(delimiter.join(fields))}.\n{advice}"
    )


# --- JSON Lines -------------------------------------------------------------------------------------------------------


def _open_json_lines(path: Path, max_characters: int) -> Table:
    # A large file is read whole at most once, even if many of its lines are no objects.
    refuse_whole = lru_cache(maxsize=1)(refuse_json_file)
    first = [row for _, row in islice(_json_objects(path, refuse_whole), _OBJECTS_LOOKED_AT)]
    objects = [row for row in first if not isinstance(row, DataError)]
    if not first:
        raise _only_blank(path)
    if not objects:
        raise next(row for row in first if isinstance(row, DataError))
    hint = whole_json_hint(path, objects[0]) if len(first) == 1 else ""
    columns = columns_of_objects(objects)  # the first object may lack a key

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        for number, row in _json_objects(path, refuse_whole):
            missing = None if isinstance(row, DataError) else next((name for name in wanted if name not in row), None)
            if isinstance(row, DataError):
                yield number, [Broken(row)] * len(wanted)
            elif missing is None:
                yield number, [row[column] for column in wanted]
            else:
                error = DataError(
                    f"{escaped(path)}, line {number}: no key {quoted(missing)} in this object, which has {listed(row)}. "
                    "Add it, or remove the line."
                )
                yield number, [Broken(error)] * len(wanted)

    return Table(
        escaped(path), columns, read, unit="line", hint=hint, objects=lambda: _json_objects(path, refuse_whole)
    )


def _json_objects(path: Path, refuse_whole: Callable[[Path], None]) -> Iterator[tuple[int, dict[str, Any] | DataError]]:
    """Yield every object with its line number, or what is wrong with the line.

    Args:
        path: The file.
        refuse_whole: Refuses the file if it is JSON of another kind; called where a line looks so.

    Raises:
        DataError: The file is not JSON Lines, but JSON of another kind.
    """
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_unique_keys)
        except _RepeatedKeyError as error:
            yield (
                number,
                DataError(
                    f"{escaped(path)}, line {number}: the key {quoted(error)} occurs twice in this object. Rename one."
                ),
            )
        except (ValueError, RecursionError) as error:
            yield number, _not_json_lines(path, refuse_whole, number, line, error)
        else:
            yield number, row if isinstance(row, dict) else _not_json_lines(path, refuse_whole, number, line, None)


class _RepeatedKeyError(Exception):
    """Error of a JSON object with the same key twice; the json module would silently keep the last value."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return row


def _not_json_lines(
    path: Path, refuse_whole: Callable[[Path], None], number: int, line: str, error: Exception | None
) -> DataError:
    if number == 1 or line.strip() in ("[", "{"):
        refuse_whole(path)
    reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is not an object"
    return DataError(
        f"{escaped(path)}, line {number}: not a JSON object ({reason}): {quoted(line)}. "
        'Expected one object per line, such as {"text": "…", "label": "…"}.'
    )


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _open_parquet(path: Path, max_characters: int) -> Table:
    import pyarrow.parquet as pq

    with _reading_parquet(path), pq.ParquetFile(path) as file:
        schema = file.schema_arrow

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        number = 0
        with _reading_parquet(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=list(wanted)):
                values = (batch.column(column).to_pylist() for column in wanted)
                for row in zip(*values, strict=True):
                    number += 1
                    yield number, row

    return Table(escaped(path), tuple(schema.names), read, class_names=_class_names(schema))


def parquet_schema(path: Path) -> tuple[pa.Schema, int]:
    """Return the schema of a Parquet file and its number of rows.

    Raises:
        DataError: The file is damaged.
    """
    import pyarrow.parquet as pq

    with _reading_parquet(path), pq.ParquetFile(path) as file:
        return file.schema_arrow, file.metadata.num_rows


def parquet_tables(path: Path, rows: int, start: int = 0) -> Iterator[pa.Table]:
    """Yield the rows of a Parquet file in tables of `rows` rows; only the last one may have fewer.

    Args:
        path: The file.
        rows: Rows per table.
        start: Number of rows to leave out at the beginning.

    Raises:
        DataError: The file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _reading_parquet(path), pq.ParquetFile(path) as file:
        held: list[pa.Table] = []
        count = 0
        # A row group may be large, and its columns are decoded in pieces of this size.
        for batch in file.iter_batches(batch_size=rows):
            skipped = min(start, batch.num_rows)
            start -= skipped
            table = pa.Table.from_batches([batch.slice(skipped)])
            while count + table.num_rows >= rows:
                taken = rows - count
                yield pa.concat_tables([*held, table.slice(0, taken)])
                held, count, table = [], 0, table.slice(taken)
            if table.num_rows:
                held.append(table)
                count += table.num_rows
        if held:
            yield pa.concat_tables(held)


@contextmanager
def _reading_parquet(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{escaped(path)} is damaged, or not a Parquet file: {reason_of(error)}.") from None


def _class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return the label names that the `datasets` library writes into its Parquet files, by column."""
    written = (schema.metadata or {}).get(b"huggingface")
    if written is None:
        return {}
    try:
        features = json.loads(written)["info"]["features"]
        return {
            column: tuple(str(name) for name in feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, LookupError, TypeError, AttributeError):
        # The rows do not depend on this metadata of another program: without it, labels are the numbers in the file.
        return {}


_OPENERS: dict[str, Callable[[Path, int], Table]] = {
    ".txt": _open_semicolon_lines,
    ".csv": _open_csv,
    ".tsv": _open_tsv,
    ".jsonl": _open_json_lines,
    ".ndjson": _open_json_lines,
    ".json": _open_json_lines,
    ".parquet": _open_parquet,
}
KNOWN_SUFFIXES = tuple(_OPENERS)

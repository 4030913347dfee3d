"""Open a data file of any known format as a `Table`; whatever is wrong with the file is said by name and line.

The formats: `.txt` (`text;label`, the label after the last semicolon), `.csv`, `.tsv`, `.jsonl`, `.json` (JSON Lines)
and `.parquet`. Text is UTF-8, with or without a byte order mark. Blank lines between rows are skipped.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from emotune.data.table import Row, Table
from emotune.data.wording import counted, escaped, quoted
from emotune.errors import DataError
from emotune.text import reason_of

if TYPE_CHECKING:
    import pyarrow as pa

# How files begin that are no text, and what to call them.
_SIGNATURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "a Parquet file (name it .parquet)",
}
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_BYTES_LOOKED_AT = 65_536
_LARGEST_C_LONG = 2**31 - 1  # on every platform
# Longer than any text, so that one that is too long is a row of its own that can be named; and short enough that a quote which swallows
# the rest of a large file stops at some tens of megabytes.
LONGEST_FIELD = 10_000_000


def open_table(path: Path, *, max_characters: int) -> Table:
    """Open a data file: check that it can be read, and find its columns.

    Args:
        path: The file.
        max_characters: The longest text the caller takes; a CSV field may be that long.

    Raises:
        DataError: The file is missing, unreadable, empty, binary, not UTF-8, of an unknown format, or damaged.
    """
    _refuse_unreadable(path)
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        raise DataError(
            f"{escaped(path)}: emotune cannot tell the format from the suffix {quoted(path.suffix)}. "
            f"It reads {', '.join(KNOWN_SUFFIXES)}."
        )
    return opener(path, max_characters)


def open_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 text file with their numbers, line ends removed.

    Only line feeds (with or without a carriage return) end a line: U+2028 and its kin may stand inside a text.

    Raises:
        DataError: The file is missing, unreadable, empty, binary or not UTF-8.
    """
    _refuse_unreadable(path)
    return _lines(path)


def _refuse_unreadable(path: Path) -> None:
    """Raise what is wrong with a file before any of it is understood."""
    if path.is_dir():
        raise DataError(f"{escaped(path)} is a folder; expected a file ({', '.join(KNOWN_SUFFIXES)}).")
    try:
        with path.open("rb") as stream:
            start = stream.read(_BYTES_LOOKED_AT)
    except OSError as error:
        raise _unreadable(path, error) from None
    if not start:
        raise DataError(f"{escaped(path)} is empty (0 bytes).")
    is_parquet = path.suffix.lower() == ".parquet"
    if is_parquet and start.startswith(b"PAR1"):
        return
    if start.startswith(_UTF16_MARKS):
        raise DataError(f"{escaped(path)} is UTF-16 text; emotune reads UTF-8.\n{_how_to_convert(path, 'UTF-16')}")
    kind = next((kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)), None)
    if kind is None and b"\0" in start:
        kind = f"a binary file (a NUL byte at offset {start.index(0):,})"
    if kind is not None:
        raise DataError(f"{escaped(path)} is {kind}; expected text in UTF-8, or Parquet in a .parquet file.")
    if is_parquet:
        raise DataError(
            f"{escaped(path)} is not a Parquet file, whatever its name says: it does not begin with 'PAR1'."
        )


@contextmanager
def _opened(path: Path, newline: str) -> Iterator[TextIO]:
    """A text file open for reading, whose errors come out as messages."""
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as stream:
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
    """Say where a file stops being UTF-8: the error of a buffered read knows only the place in its buffer."""
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return DataError(
            f"{escaped(path)}, line {line}: byte 0x{content[error.start]:02x} at offset {error.start:,} is not UTF-8, "
            f"which emotune reads.\n{_how_to_convert(path, 'WINDOWS-1252')}"
        )
    return DataError(f"{escaped(path)} changed while it was read. Try again when it is complete.")


def _how_to_convert(path: Path, encoding: str) -> str:
    return (
        f"Save it as UTF-8, for example: iconv -f {encoding} -t UTF-8 {escaped(path.name)} "
        f"> {escaped(path.stem)}-utf8{path.suffix} (if {encoding} is what it is in)."
    )


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
        for number, line in _lines(path):
            if number <= header_number or not line.strip():
                continue
            parts = line.rpartition(";")
            if not parts[1]:
                raise DataError(
                    f"{escaped(path)}, line {number}: no semicolon in {quoted(line)}. "
                    "In a .txt file every line is text;label, the label after the last semicolon."
                )
            yield number, [parts[pick] for pick in picks]

    return Table(escaped(path), columns, read, unit="line", header=header)


# --- CSV and TSV ------------------------------------------------------------------------------------------------------


def _open_csv(path: Path, max_characters: int) -> Table:
    return _open_delimited(path, max_characters, delimiters=",;\t")


def _open_tsv(path: Path, max_characters: int) -> Table:
    return _open_delimited(path, max_characters, delimiters="\t")


def _open_delimited(path: Path, max_characters: int, delimiters: str) -> Table:
    # The csv module's limit, 131,072 characters, stops the whole file at a field that is longer. It belongs to the whole process, so it is
    # only ever raised.
    longest = min(max(max_characters, LONGEST_FIELD), _LARGEST_C_LONG)
    if longest > csv.field_size_limit():
        csv.field_size_limit(longest)
    # The delimiter is the one that cuts the header into most fields: decided on the header alone, because texts are
    # full of commas and semicolons.
    headers = {delimiter: _csv_header(path, delimiter) for delimiter in delimiters}
    delimiter = max(delimiters, key=lambda delimiter: len(headers[delimiter]))
    columns = headers[delimiter]
    if not columns:
        # No delimiter gives a header: reading on says what is wrong, or that there is nothing.
        next(_csv_records(path, delimiters[0]), None)
        raise _only_blank(path)

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        picks = [columns.index(column) for column in wanted]
        records = _csv_records(path, delimiter)
        next(records)
        for number, fields in records:
            if len(fields) != len(columns):
                if len(fields) == 1 and not fields[0].strip():
                    continue  # a line of spaces: as blank as an empty one
                raise _ragged(path, number, fields, columns, delimiter)
            yield number, [fields[pick] for pick in picks]

    return Table(escaped(path), columns, read, unit="line", header=delimiter.join(columns))


def _csv_header(path: Path, delimiter: str) -> tuple[str, ...]:
    """The column names that the first record has under this delimiter; none where it cannot be read so."""
    with _opened(path, newline="") as stream:
        try:
            record = next((fields for fields in csv.reader(stream, delimiter=delimiter, strict=True) if fields), [])
        except csv.Error:
            return ()
    return tuple(name.strip() for name in record)


def _csv_records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every record with the line on which it starts; it may span several."""
    with _opened(path, newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        start = 1
        try:
            for fields in reader:
                if fields:
                    yield start, fields
                start = reader.line_num + 1
        except csv.Error as error:
            raise _csv_mistake(path, start, reader.line_num, str(error)) from None


def _csv_mistake(path: Path, start: int, end: int, reason: str) -> DataError:
    """The csv module's complaint in words that say what to look for; `start` is where the record starts."""
    place = f"{escaped(path)}, line {start}"
    if "field limit" in reason:
        return DataError(
            f"{place}: a field of more than {csv.field_size_limit():,} characters. Usually a quote was opened "
            "there and never closed. If the text is meant to be so long, raise --max-characters."
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


def _ragged(path: Path, number: int, fields: list[str], columns: tuple[str, ...], delimiter: str) -> DataError:
    name = {",": "comma", ";": "semicolon", "\t": "tab"}[delimiter]
    return DataError(
        f"{escaped(path)}, line {number}: {counted(len(fields), 'field')}, but the header has {len(columns)}. "
        f"The row begins {quoted(delimiter.join(fields))}.\n"
        f'A text with a {name} in it must stand in double quotes ("…").'
    )


# --- JSON Lines -------------------------------------------------------------------------------------------------------


def _open_json_lines(path: Path, max_characters: int) -> Table:
    first = next(_json_objects(path), None)
    if first is None:
        raise _only_blank(path)

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        for number, row in _json_objects(path):
            try:
                yield number, [row[column] for column in wanted]
            except KeyError as error:
                raise DataError(
                    f"{escaped(path)}, line {number}: no key {quoted(error.args[0])} in this object."
                ) from None

    return Table(escaped(path), tuple(first[1]), read, unit="line")


def _json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_unique_keys)
        except _RepeatedKeyError as error:
            raise DataError(
                f"{escaped(path)}, line {number}: the key {quoted(error)} stands twice in this object. Rename one."
            ) from None
        except (ValueError, RecursionError) as error:
            raise _not_json_lines(path, number, line, error) from None
        if not isinstance(row, dict):
            raise _not_json_lines(path, number, line, None)
        yield number, row


class _RepeatedKeyError(Exception):
    """A JSON object with the same key twice; the json module alone would keep the last in silence."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return row


def _not_json_lines(path: Path, number: int, line: str, error: Exception | None) -> DataError:
    if number == 1 and line.lstrip().startswith("["):
        return DataError(
            f"{escaped(path)} is one JSON array; emotune reads JSON Lines, one object a line. "
            f"Convert it, for example: jq -c '.[]' {escaped(path.name)} > {escaped(path.stem)}-lines.jsonl"
        )
    reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is not an object"
    return DataError(
        f"{escaped(path)}, line {number}: not a JSON object ({reason}): {quoted(line)}. "
        'Expected one object a line, such as {"text": "…", "label": "…"}.'
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


@contextmanager
def _reading_parquet(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{escaped(path)} is damaged, or not a Parquet file: {reason_of(error)}.") from None


def _class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """The label names that the `datasets` library writes into the Parquet files it makes, by column."""
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
        # The rows do not depend on this note of another program: without it, labels are the numbers in the file.
        return {}


_OPENERS: dict[str, Callable[[Path, int], Table]] = {
    ".txt": _open_semicolon_lines,
    ".csv": _open_csv,
    ".tsv": _open_tsv,
    ".jsonl": _open_json_lines,
    ".json": _open_json_lines,
    ".parquet": _open_parquet,
}
KNOWN_SUFFIXES = tuple(_OPENERS)

"""CSV, TSV and other files with lines of fields: the separator, the dialect, the header, and rows that are faulty."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from emotune.data.column_names import has_clear_name, normal
from emotune.data.formats.dialects import Dialect, fit, is_blank, other_fit
from emotune.data.formats.quoting import QUOTE, TAB, decide_quoting
from emotune.data.formats.reading import Reading
from emotune.data.formats.text_files import TextFile
from emotune.data.table import Broken, Row, Table
from emotune.system.errors import DataError
from emotune.system.wording import LONGER, UNCLOSED_QUOTE, counted, listed, quoted, shown

_LARGEST_C_LONG = 2**31 - 1  # on every platform
# Longer than any text, so that a text that is too long is a row of its own that can be named. Short enough that a quote
# that swallows the rest of a large file stops after some tens of megabytes.
LONGEST_FIELD = 10_000_000
NAMES = {",": "comma", ";": "semicolon", TAB: "tab", "|": "pipe"}
"""Names of separators that are found where none is given."""

# The line that Excel writes and reads as the separator of a file.
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_RECORDS_LOOKED_AT = 50


@dataclass(frozen=True)
class Start:
    """What is known of a file before its records are read.

    Attributes:
        delimiters: Separators that its suffix leads to expect, the likeliest first.
        delimiter: The separator, if it is known.
        skip: Number of lines before the first record.
        columns: Names of the columns, if no record has them.
        notes: Notes, one sentence each.
    """

    delimiters: str
    delimiter: str | None = None
    skip: int = 0
    columns: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def separator_line(file: TextFile) -> str | None:
    """Return the separator that Excel's line "sep=;" names, or None if the first line is not such a line."""
    with file.opened("") as stream:
        found = _SEPARATOR_LINE.fullmatch(stream.readline(10).rstrip("\r\n"))
    return None if found is None else found[1]


def open_csv(file: TextFile, reading: Reading) -> Table:
    """Open a .csv file; errors as for `open_delimited`."""
    return open_delimited(file, reading, Start(",;\t"))


def open_tsv(file: TextFile, reading: Reading) -> Table:
    """Open a .tsv file; errors as for `open_delimited`."""
    return open_delimited(file, reading, Start("\t"))


def open_delimited(file: TextFile, reading: Reading, start: Start) -> Table:
    """Open a file with lines of fields.

    Args:
        file: The file.
        reading: How it is read.
        start: What is known of it.

    Raises:
        DataError: It has no record, or its header cannot be read, or the names given are not those of its columns.
    """
    # The csv module's limit of 131,072 characters ends the whole file at a longer field. The limit belongs to the whole
    # process, so it is only ever raised.
    longest = min(max(reading.max_characters, LONGEST_FIELD), _LARGEST_C_LONG)
    if longest > csv.field_size_limit():
        csv.field_size_limit(longest)
    notes = [*file.notes, *start.notes]
    names, skip, delimiter = start.columns or reading.columns, start.skip, reading.delimiter or start.delimiter
    separator = separator_line(file) if not skip else None
    if separator is not None:
        skip, delimiter = 1, delimiter or separator
        notes.append(file.note("its first line names the separator for Excel, and is not read"))
    if delimiter is None:
        delimiter, note = _found_delimiter(file, start.delimiters, skip, names)
        notes += [file.note(note)] if note else []
    form, note = _form(file, delimiter, skip, names)
    notes += [file.note(note)] if note else []
    columns = names if names is not None else _header(file, form.dialect, skip)
    if not columns:
        # No delimiter gives a header: reading the records shows what is wrong, or that there are none.
        for _, record in _records(file, Dialect(start.delimiters[:1] or delimiter), skip):
            if isinstance(record, DataError):
                raise record
        raise file.only_blank()
    if reading.columns is not None:
        _check_names(file, form, skip, reading.columns)
    has_header = names is None

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        # All columns by position, since two may have the empty name.
        whole = tuple(wanted) == columns
        picks = range(len(columns)) if whole else [columns.index(column) for column in wanted]
        records = _records(file, form.dialect, skip)
        if has_header:
            next(fields for _, fields in records if isinstance(fields, DataError) or not is_blank(fields))
        width = len(columns) + form.extra
        for number, fields in records:
            if isinstance(fields, DataError):
                yield number, [Broken(fields)] * len(picks)
            elif len(fields) == width:
                yield number, [fields[pick] for pick in picks]
            elif not is_blank(fields):
                error = _ragged(file, number, fields, columns, form, has_header=has_header)
                yield number, [Broken(error)] * len(picks)

    return Table(
        file.shown,
        columns,
        read,
        unit="line",
        header=delimiter.join(columns) if has_header else None,
        delimiter=delimiter,
        quoting=form.dialect.quote is not None,
        notes=tuple(notes),
        format="tsv" if delimiter == TAB and "," not in start.delimiters else "csv",
    )


# --- separator and dialect --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Form:
    """How the records of a file are written: dialect, number of empty fields at their ends, obstacle to quoting."""

    dialect: Dialect
    extra: int = 0
    obstacle: str = ""


def _found_delimiter(file: TextFile, expected: str, skip: int, names: tuple[str, ...] | None) -> tuple[str, str]:
    """Return the separator, and a note if it is another one than the suffix leads to expect.

    The delimiter is the one that splits the header into most fields. Only the header decides, because texts are full of
    commas and semicolons. One that is not expected must give a header with a known name, or as many fields in every one of
    the first records.
    """
    others = [delimiter for delimiter in NAMES if delimiter not in expected]
    if names is None:
        headers = {delimiter: _header(file, Dialect(delimiter), skip) for delimiter in NAMES}
        found = max(expected, key=lambda delimiter: len(headers[delimiter]), default="")
        if not found or len(headers[found]) <= 1:
            for other in others:
                header = headers[other]
                if len(header) > 1 and (has_clear_name(header, "text") or _is_even(file, other, skip, len(header))):
                    found = other
                    break
    else:
        found = next((d for d in (*expected, *others) if _is_even(file, d, skip, len(names))), "")
    found = found or expected[:1] or ","
    beyond = found not in expected or (found == TAB and len(expected) > 1)
    is_one = names is not None and len(names) == 1
    return found, f"{NAMES[found]}s separate its columns" if beyond and not is_one else ""


def _is_even(file: TextFile, delimiter: str, skip: int, width: int) -> bool:
    """Return whether the first records have so many fields, empty ones at the end not counted."""
    read = 0
    for _, fields in islice(_records(file, Dialect(delimiter), skip), _RECORDS_LOOKED_AT):
        if isinstance(fields, DataError):
            return False
        if not is_blank(fields):
            read += 1
            if len(fields) < width or any(field.strip() for field in fields[width:]):
                return False
    return read > 1 or (read == 1 and width > 1)


def _form(file: TextFile, delimiter: str, skip: int, names: tuple[str, ...] | None) -> tuple[_Form, str]:
    """Return how the records of a file are written, and a note if it is not as usual."""
    opened = partial(file.opened, "", skip)
    width = None if names is None else len(names)
    usual = _Form(Dialect(delimiter))
    note = ""
    if delimiter == TAB:
        quotes = decide_quoting(opened, skip)
        usual = _Form(Dialect(delimiter, QUOTE if quotes.is_quoting else None), obstacle=quotes.obstacle)
        note = quotes.note
    found = None if usual.obstacle else fit(opened, usual.dialect, width)
    if found is None:
        found = other_fit(opened, delimiter, width)
    if found is None:
        return usual, note
    is_usual = found.dialect == usual.dialect and not usual.obstacle
    said = [note if is_usual else f"{found.dialect.words}, since only so every row is whole"]
    if found.extra:
        ends = counted(found.extra, NAMES.get(delimiter, "separator"))
        are = "is" if found.extra == 1 else "are"
        said.append(f"every row ends with {ends} after the last column, which {are} not read")
    return _Form(found.dialect, found.extra), "; ".join(filter(None, said))


# --- records ----------------------------------------------------------------------------------------------------------


def _header(file: TextFile, dialect: Dialect, skip: int) -> tuple[str, ...]:
    """Return the column names of the first record in a dialect; none if it cannot be read so."""
    with file.opened("", skip) as stream:
        try:
            record: list[str] = next((fields for fields in dialect.reader(stream) if not is_blank(fields)), [])
        except csv.Error:
            return ()
    return tuple(name.strip() for name in record)


def _records(file: TextFile, dialect: Dialect, skip: int) -> Iterator[tuple[int, list[str] | DataError]]:
    """Yield every record, or what is wrong with it, with the line on which it starts.

    A record may span several lines if quotes are quoting.

    Raises:
        DataError: A faulty record spans lines or is too long: what follows it may be the inside of a text.
    """
    with file.opened("", skip) as stream:
        reader = dialect.reader(stream)
        start = skip + 1
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                end = skip + reader.line_num
                mistake = _mistake(file, start, end, str(error), quotes=dialect.quote is not None)
                if end > start or "field limit" in str(error) or "unexpected end" in str(error):
                    raise mistake from None
                yield start, mistake
            else:
                if fields is None:
                    return
                if fields:
                    yield start, fields
            start = skip + reader.line_num + 1


def _check_names(file: TextFile, form: _Form, skip: int, names: tuple[str, ...]) -> None:
    """Refuse names of columns for a file that has a header, or another number of columns."""
    first = [
        fields
        for _, fields in islice(_records(file, form.dialect, skip), _RECORDS_LOOKED_AT)
        if not isinstance(fields, DataError) and not is_blank(fields)
    ]
    if not first:
        return
    given = f"--columns {shown(','.join(names))}"
    if list(map(normal, first[0])) == list(map(normal, names)) or (
        has_clear_name(first[0], "text") and has_clear_name(first[0], "label")
    ):
        raise DataError(
            f"{file.shown} has a header, {quoted(form.dialect.delimiter.join(first[0]))}, and {given} is for files without one. "
            "Leave it out, and choose columns with --text-column NAME and --label-column NAME."
        )
    widths = {len(fields) for fields in first}
    if len(names) + form.extra not in widths:
        raise DataError(
            f"{file.shown}: {given} names {counted(len(names), 'column')}, and its rows have "
            f"{counted(len(first[0]), 'field')}; the first is {quoted(form.dialect.delimiter.join(first[0]))}.\n"
            "Name all columns in their order. If another character separates them, name it with --delimiter."
        )


def _mistake(file: TextFile, start: int, end: int, reason: str, *, quotes: bool) -> DataError:
    """Return the csv module's complaint in plain words; `start` is the line where the record starts."""
    place = f"{file.shown}, line {start}"
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
    file: TextFile, number: int, fields: list[str], columns: tuple[str, ...], form: _Form, *, has_header: bool
) -> DataError:
    """Return the error of a row whose number of fields differs."""
    delimiter = form.dialect.delimiter
    name = NAMES.get(delimiter, "separator")
    extra = len(fields) - len(columns)
    advice = f'A text with a {name} in it must be in double quotes ("…").'
    if extra > 0 and not any(field.strip() for field in fields[len(columns) :]):
        advice = (
            f"The row ends with {counted(extra, name)} too many: what follows the last column is empty. "
            f"Remove them from the rows, or add as many to the header."
        )
    elif form.obstacle:
        advice = f"Quotes are read as text in this file, since {form.obstacle}. Correct that, or this row."
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
    expected = f"the header has {len(columns)}" if has_header else f"--columns names {len(columns)}: {listed(columns)}"
    return DataError(
        f"{file.shown}, line {number}: {counted(len(fields), 'field')}, but {expected}. "
        f"The row begins {quoted(delimiter.join(fields))}.\n{advice}"
    )

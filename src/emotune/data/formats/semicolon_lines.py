"""`.txt` files with lines `text;label`, the label after the last semicolon; and .txt files that are tables of another kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from emotune.data.column_names import has_clear_name, named_like
from emotune.data.formats.delimited import Start, open_delimited, separator_line
from emotune.data.formats.quoting import TAB
from emotune.data.formats.reading import Reading
from emotune.data.formats.text_files import TextFile
from emotune.data.table import Broken, Row, Table
from emotune.system.errors import DataError
from emotune.system.wording import quoted

_LINES_LOOKED_AT = 50


def open_txt(file: TextFile, reading: Reading) -> Table:
    """Open a .txt file; arguments and errors as for `_opened`."""
    return replace(_opened(file, reading), format="text")


def _opened(file: TextFile, reading: Reading) -> Table:
    """Open a .txt file: lines `text;label`, or a table with other separators if it says so.

    Args:
        file: The file.
        reading: How it is read.

    Raises:
        DataError: It has nothing but blank lines, or the names given are not those of its columns.
    """
    number, first = next(((n, line) for n, line in file.lines() if line.strip()), (0, ""))
    if not first:
        raise file.only_blank()
    if reading.delimiter not in (None, ";") or separator_line(file) is not None:
        return open_delimited(file, reading, Start(";"))
    if reading.columns is not None:
        return _without_header(file, reading, reading.columns)
    fields = tuple(name.strip() for name in first.rstrip().rstrip(";").split(";"))
    if len(fields) > 2 and _names_both(fields):
        note = file.note("semicolons separate its columns, as its first line says")
        return open_delimited(file, reading, Start(";", ";", notes=(note,)))
    if ";" not in first:
        if TAB in first and (has_clear_name(first.split(TAB), "text") or _has_tabs(file, first.count(TAB))):
            return open_delimited(file, reading, Start(""))
        if any(_names_both(first.split(separator)) for separator in ",|"):
            return open_delimited(file, reading, Start(""))
        return _table(file, (first.strip(),), _Ends(), header=first, header_number=number)
    ends = _look_at_ends(file, number)
    if ends.tabs and len(fields) == 2:
        note = file.note("tabs separate its columns, though its first line has a semicolon")
        return open_delimited(file, reading, Start(TAB, TAB, number, fields, (note,)))
    if not first.rstrip().endswith(";"):
        before, _, after = first.rpartition(";")
        fields = (before.strip(), after.strip())
    return _table(file, fields, ends, header=first, header_number=number)


def _without_header(file: TextFile, reading: Reading, columns: tuple[str, ...]) -> Table:
    """Open a .txt file whose columns are named by the user."""
    first = next(line for _, line in file.lines() if line.strip())
    ends = _look_at_ends(file, 0)
    if len(columns) != 2 or (ends.tabs and reading.delimiter is None):
        return open_delimited(file, reading, Start(";"))
    if all(";" not in line for _, line in file.lines()):
        return open_delimited(file, reading, Start(";"))
    if _names_both(first.rstrip(";").split(";")):
        raise DataError(
            f"{file.shown} has a header, {quoted(first)}, and --columns is for files without one. Leave it out, and choose columns "
            "with --text-column NAME and --label-column NAME."
        )
    return _table(file, columns, ends)


@dataclass(frozen=True)
class _Ends:
    """What the lines of a file show.

    Attributes:
        trailing: True if every line ends with a semicolon after the label.
        tabs: True if some line has no semicolon, and every line has one tab.
    """

    trailing: bool = False
    tabs: bool = False


def _look_at_ends(file: TextFile, header_number: int) -> _Ends:
    trailing = tabs = True
    semicolons = True
    rows = 0
    for number, line in file.lines():
        if number <= header_number or not line.strip():
            continue
        rows += 1
        semicolons &= ";" in line
        tabs &= line.count(TAB) == 1
        trailing &= line.rstrip().endswith(";") and line.count(";") > 1
        if not (trailing or tabs or semicolons):
            break
    return _Ends(trailing=trailing and rows > 0, tabs=tabs and not semicolons and rows > 0)


def _has_tabs(file: TextFile, count: int) -> bool:
    """Return whether the first lines all have so many tabs, and there are several."""
    seen = 0
    for _, line in file.lines():
        if line.strip():
            if line.count(TAB) != count:
                return False
            seen += 1
            if seen == _LINES_LOOKED_AT:
                break
    return seen > 1


def _names_both(fields: Sequence[str]) -> bool:
    return has_clear_name(fields, "text") and has_clear_name(fields, "label")


def _table(
    file: TextFile, columns: tuple[str, ...], ends: _Ends, *, header: str | None = None, header_number: int = 0
) -> Table:
    # The text may hold semicolons, and the label holds none: the side of the label decides where a line is cut.
    label_first = len(columns) == 2 and bool(named_like(columns[:1], "label")) and not named_like(columns[1:], "label")
    side = "first" if label_first else "last"
    notes = [*file.notes]
    if ends.trailing:
        notes.append(file.note("every line ends with a semicolon, which is not read"))

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        picks = [0 if column == columns[0] else 2 for column in wanted]
        for number, line in file.lines():
            if number <= header_number or not line.strip():
                continue
            row = line.rstrip().removesuffix(";") if ends.trailing else line
            parts = row.partition(";") if label_first else row.rpartition(";")
            if parts[1]:
                yield number, [parts[pick] for pick in picks]
                continue
            tabs = (
                "\nIf tabs separate the columns in this file, put one into the first line too, and name the file .tsv."
                if TAB in row and header is not None
                else ""
            )
            error = DataError(
                f"{file.shown}, line {number}: no semicolon in {quoted(line)}. "
                f"In a .txt file every line is {';'.join(columns) if header is None else 'text;label'}, the label "
                f"{'before' if label_first else 'after'} the {side} semicolon.{tabs}"
            )
            yield number, [Broken(error)] * len(wanted)

    return Table(
        file.shown,
        columns,
        read,
        unit="line",
        header=header,
        delimiter=";",
        notes=tuple(notes),
    )

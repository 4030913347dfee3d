"""Excel workbooks: one sheet with a header, read row by row; merged cells and formulas without values are refused."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from emotune.data.cells import as_cell
from emotune.data.formats.reading import Reading
from emotune.data.table import Broken, Row, Table
from emotune.system.errors import DataError
from emotune.system.extras import require
from emotune.system.text import reason_of
from emotune.system.wording import escaped, listed, quoted

SUFFIXES = (".xlsx", ".xlsm")
# Bytes of all parts together, unpacked: an archive of some kilobytes can hold any amount.
_LARGEST = 2 << 30
_ROWS_LOOKED_AT = 100
_HINT = (
    "The first row of a sheet names its columns: say which is which with --text-column NAME and --label-column NAME, or insert "
    "a row with their names."
)
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"


@dataclass(frozen=True)
class _Sheet:
    """What the XML of a sheet says that openpyxl does not when it reads row by row.

    Attributes:
        merged: Ranges of merged cells: "A2:A5".
        without_value: Formulas whose value was not saved, by row and column.
    """

    merged: tuple[str, ...]
    without_value: frozenset[tuple[int, int]]


def open_excel(path: Path, reading: Reading) -> Table:
    """Open a workbook.

    Args:
        path: The file.
        reading: How it is read.

    Raises:
        DataError: It is damaged or encrypted; no sheet is named, and it has several; or cells are merged.
        ConfigError: openpyxl is not installed.
    """
    require("excel", ["openpyxl"], f"Reading {quoted(path.name)}")
    _refuse_large(path)
    title = _sheet_of(path, reading.sheet)
    with _opened(path) as book:
        numbered = ((number, _texts(row)) for number, row in _rows(book[title]))
        header_row, header = next(((number, cells) for number, cells in numbered if any(cells)), (0, []))
    if not header:
        raise DataError(f"{escaped(path)}: the sheet {quoted(title)} is empty.")
    while not header[-1]:
        header.pop()
    columns = tuple(name.strip() for name in header)
    source = f"{escaped(path)} ({escaped(title)})"
    sheet = _look(path, title)
    for merged in sheet.merged:
        _refuse_merged(source, merged, header_row, len(columns))

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        whole = tuple(wanted) == columns
        picks = range(len(columns)) if whole else [columns.index(column) for column in wanted]
        with _opened(path) as book:
            for number, cells in _rows(book[title]):
                texts = _texts(cells)
                if number <= header_row or not (
                    any(texts) or any((number, at + 1) in sheet.without_value for at in picks)
                ):
                    continue
                fault = _fault(cells, number, len(columns), picks, sheet)
                if fault:
                    yield number, [Broken(DataError(f"{source}, row {number}: {fault}"))] * len(picks)
                    continue
                texts += [""] * (len(columns) - len(texts))
                yield number, [texts[pick] for pick in picks]

    return Table(source, columns, read, format="csv", foreign="an Excel workbook", hint=_HINT)


def _sheet_of(path: Path, asked: str | None) -> str:
    """Return the name of the sheet to read: the one asked for, or the only one with cells."""
    with _opened(path) as book:
        titles = [sheet.title for sheet in book.worksheets]
        if asked is not None:
            if asked not in titles:
                raise DataError(f"{escaped(path)} has no sheet {quoted(asked)}. Its sheets are {listed(titles)}.")
            return asked
        filled = [
            sheet.title
            for sheet in book.worksheets
            if any(any(_texts(cells)) for _, cells in islice(_rows(sheet), _ROWS_LOOKED_AT))
        ]
    if not filled:
        raise DataError(f"{escaped(path)} is an Excel workbook whose sheets are empty.")
    if len(filled) > 1:
        raise DataError(f"{escaped(path)} has several sheets: {listed(filled)}. Choose one with --sheet NAME.")
    return str(filled[0])


def _fault(cells: Sequence[Any], number: int, width: int, picks: Sequence[int], sheet: _Sheet) -> str:
    """Return what is wrong with a row, or ""."""
    beyond = next((cell for cell in cells[width:] if as_cell(cell.value).strip()), None)
    if beyond is not None:
        return f"the cell {beyond.coordinate} is right of the last named column. Name its column in the header, or empty it."
    for pick in picks:
        place = f"{_letters(pick + 1)}{number}"
        if (number, pick + 1) in sheet.without_value:
            return (
                f"the cell {place} is a formula whose value was never saved. Open the workbook in a spreadsheet program and save it, or "
                "write the value."
            )
        if pick < len(cells) and getattr(cells[pick], "data_type", "") == "e":
            return f"the cell {place} holds the error {cells[pick].value}. Correct it, or remove the row."
    return ""


def _refuse_merged(source: str, merged: str, header_row: int, width: int) -> None:
    """Refuse merged cells that are in the rows: only the first of them has a value, and which rows it is for is a guess."""
    found = re.fullmatch(r"([A-Z]+)(\d+):([A-Z]+)(\d+)", merged)
    if found is None or _number(found[1]) > width or int(found[4]) < header_row:
        return
    raise DataError(
        f"{source}: the cells {merged} are merged, and only the first of them holds a value. "
        "Unmerge them in a spreadsheet program, and write the value into every row."
    )


# --- the file ---------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open the workbook for reading row by row, with the values of formulas; turn errors into messages."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        # openpyxl would leave the file open after an error, or where rows are left over.
        with path.open("rb") as file:
            with warnings.catch_warnings():
                # About styles and rules of a workbook, which are not read.
                warnings.simplefilter("ignore", UserWarning)
                book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            yield book
    except (
        InvalidFileException,
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        ElementTree.ParseError,
        EOFError,
        OSError,
    ) as error:
        raise DataError(
            f"{escaped(path)} is damaged, or not an Excel workbook that can be read: {reason_of(error)}. Save it again, or as CSV."
        ) from None


def _rows(sheet: Any) -> Iterator[tuple[int, Sequence[Any]]]:
    # Some programs write wrong dimensions, and rows beyond them would be left out.
    sheet.reset_dimensions()
    yield from enumerate(sheet.iter_rows(), 1)


def _texts(cells: Sequence[Any]) -> list[str]:
    """Return cells as CSV has them: numbers, dates and booleans as text."""
    return [as_cell(cell.value) for cell in cells]


def _refuse_large(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"{escaped(path)} is damaged, or not an Excel workbook: {reason_of(error)}. Save it again."
        ) from None
    if size > _LARGEST:
        raise DataError(
            f"{escaped(path)} would have {size:,} bytes when unpacked; at most {_LARGEST:,} are. Save the sheet as CSV."
        )


def _look(path: Path, title: str) -> _Sheet:
    """Read the XML of a sheet once, for what openpyxl leaves out."""
    merged: list[str] = []
    without: set[tuple[int, int]] = set()
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_part_of(archive, title)) as stream:
            for element in _ended(stream):
                tag = element.tag.rpartition("}")[2]
                if tag == "mergeCell":
                    merged.append(element.get("ref", ""))
                elif tag == "c":
                    inner = {child.tag.rpartition("}")[2]: child for child in element}
                    place = re.fullmatch(r"([A-Z]+)(\d+)", element.get("r", ""))
                    value = inner.get("v")
                    lacks = "f" in inner and "is" not in inner and (value is None or value.text is None)
                    if lacks and place is not None and element.get("t") != "str":
                        without.add((int(place[2]), _number(place[1])))
                elif tag == "row":
                    element.clear()
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, OSError) as error:
        raise DataError(
            f"{escaped(path)} is damaged, or not an Excel workbook: {reason_of(error)}. Save it again."
        ) from None
    return _Sheet(tuple(merged), frozenset(without))


def _ended(stream: IO[bytes]) -> Iterator[ElementTree.Element]:
    return (element for _, element in ElementTree.iterparse(stream))


def _part_of(archive: zipfile.ZipFile, title: str) -> str:
    """Return the name of the part that holds a sheet."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    sheet = next(
        element
        for element in book.iter()
        if element.tag in (f"{_MAIN}sheet", f"{_STRICT}sheet") and element.get("name") == title
    )
    number = next(value for name, value in sheet.attrib.items() if name.endswith("}id"))
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    target = next(element.get("Target", "") for element in relations if element.get("Id") == number)
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _number(letters: str) -> int:
    """Return the number of a column from its letters: 27 of "AA"."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def _letters(number: int) -> str:
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters

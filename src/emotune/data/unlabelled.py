"""Texts to predict, read lazily in chunks, with the other columns of their rows; `emotune.data.places.texts` opens them.

Chunks hold a fixed number of rows of the input, so that an interrupted job can continue at the start of any chunk.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from emotune.data.cells import Cells, ObjectCells, RowCells
from emotune.data.formats.json_files import MISSING, lookup
from emotune.data.formats.quoting import TAB
from emotune.data.options import MAX_CHARACTERS
from emotune.data.rows import blank, checked_text, no_rows
from emotune.data.table import Broken, Table
from emotune.system.errors import DataError
from emotune.system.pairs import TextPair, are_pairs, blank_side
from emotune.system.text import is_blank
from emotune.system.wording import counted, numbered

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 32768
"""Rows per chunk: enough to sort into batches of equal lengths (8,192 cost a sixth of the rate), some megabytes of text."""

_BLANK_LINE = "blank line"


@dataclass(frozen=True)
class Skipped:
    """Row that cannot be predicted.

    Attributes:
        number: Its line or row number.
        reason: What is wrong with it, in words.
        is_blank: True if its text is missing or blank.
    """

    number: int
    reason: str
    is_blank: bool


@dataclass(frozen=True, eq=False)
class Chunk:
    """Successive rows of an input.

    Attributes:
        read: Number of rows that were read.
        numbers: Line or row numbers of the rows with a text.
        texts: Their texts, checked.
        cells: Their own columns.
        skipped: The other rows.
    """

    read: int
    numbers: tuple[int, ...]
    texts: tuple[str, ...]
    cells: Cells
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """An input of texts, open but not read.

    Attributes:
        source: Its name in messages.
        unit: Unit of row numbers: "line" or "row".
        format: Name of its format, as in `emotune.data.writing.FORMATS`.
        text: Name of the column of texts.
        delimiter: Separator of its fields.
        chunks: Reads the rows from a row number on, counted from 0, which is a multiple of `CHUNK`.
        blank_lines: True if blank lines are no mistake, as in a file of lines.
        notes: Notes on reading it, one sentence each.
        table: The table behind it, if it has one.
        parquet: The columns' types, if it is a Parquet or Arrow file.
        foreign: Kind of the file, if predictions are not written in it.
        once: True if it can be read only once.
        pair: Name of the column of second texts; None for single texts.
        identity: What tells it from another input: name, size and time of the last change of a file.
    """

    source: str
    unit: Literal["line", "row"]
    format: str
    text: str
    chunks: Callable[[int], Iterator[Chunk]]
    delimiter: str = ","
    blank_lines: bool = False
    notes: tuple[str, ...] = ()
    table: Table | None = None
    parquet: pa.Schema | None = None
    foreign: str = ""
    once: bool = False
    identity: tuple[str | int, ...] = ()
    pair: str | None = None

    def at(self, number: int) -> str:
        """Return the place of a row, for the start of a message."""
        return f"{self.source}, {self.unit} {number}" if self.table is None else self.table.at(number)

    def numbered(self, numbers: Sequence[int], total: int | None = None) -> str:
        """Return the places of rows, as `emotune.system.wording.numbered` does; with their files if there are several."""
        if self.table is None or self.table.place is None:
            return numbered(self.unit, numbers, total)
        rest = (len(numbers) if total is None else total) - len(numbers)
        return self.table.numbered(numbers) + (f" and {rest:,} more" if rest else "")

    def mistakes(self, chunk: Chunk) -> list[Skipped]:
        """Return the rows of a chunk that cannot be predicted; blank lines are none where they are no mistake."""
        return [row for row in chunk.skipped if not (self.blank_lines and row.is_blank)]


def column_of(table: Table, column: str, max_characters: int = MAX_CHARACTERS, pair: str | None = None) -> Unlabelled:
    """Return a column of a table as an input of texts.

    Args:
        table: The table.
        column: The column.
        max_characters: The longest text allowed.
        pair: The column of second texts; None for single texts.
    """
    columns = (column,) if pair is None else (column, pair)
    read = _objects_of(table, columns) if table.objects is not None else _rows_of(table, columns)
    chunks = _chunked(table, read, max_characters)
    return Unlabelled(table.source, table.unit, "jsonl", column, chunks, table=table, pair=pair)


def all_texts(given: Unlabelled) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of every row, where none may be left out but blank lines.

    Raises:
        DataError: A row cannot be read (when reading gets there), or some texts are blank (at the end).
    """
    without: list[Skipped] = []
    read = 0
    for chunk in given.chunks(0):
        read += chunk.read
        mistakes = given.mistakes(chunk)
        without += [row for row in mistakes if row.is_blank]
        unreadable = next((row for row in mistakes if not row.is_blank), None)
        for number, text in zip(chunk.numbers, chunk.texts, strict=True):
            if unreadable is None or number < unreadable.number:
                yield number, text
        if unreadable is not None:
            raise DataError(f"{given.at(unreadable.number)}: {unreadable.reason}")
    if without:
        reasons = " or ".join(dict.fromkeys(row.reason for row in without))
        numbers = given.numbered([row.number for row in without])
        raise DataError(f"{given.source}: {reasons} in {counted(len(without), 'row')}: {numbers}. Fill or remove them.")
    if not read:
        raise nothing_usable(given, 0, [])


def nothing_usable(given: Unlabelled, read: int, first: Sequence[Skipped]) -> DataError:
    """Return the error of an input without a usable row."""
    if not read:
        return DataError(f"{given.source} is empty.") if given.table is None else no_rows(given.table)
    if given.blank_lines and not first:
        return DataError(f"{given.source} has nothing but blank lines. Expected one text per line.")
    seen = f" The first, {given.unit} {first[0].number}: {first[0].reason}" if first else ""
    return DataError(f"{given.source}: none of its {counted(read, 'row')} can be used.{seen}")


def lines_of(
    stream: BinaryIO,
    source: str,
    max_characters: int = MAX_CHARACTERS,
    *,
    pairs: bool = False,
    encoding: str | None = None,
) -> Unlabelled:
    """Return the lines of a stream, which can be read only once, as texts.

    Args:
        stream: The bytes, with or without a byte order mark.
        source: Name of the stream in messages.
        max_characters: The longest text allowed.
        pairs: True if each line is a pair of texts, with a tab between them.
        encoding: Their encoding; None for UTF-8.
    """

    def read() -> Iterator[tuple[int, str]]:
        lines = _decoded(stream, encoding)
        number = 0
        while True:
            number += 1
            try:
                line = next(lines, None)
            except UnicodeError:
                named = "not UTF-8, which is expected" if encoding is None else f"not {encoding}"
                raise DataError(
                    f"{source}, line {number:,}: {named}. Name the encoding of the lines with --encoding, such as "
                    "windows-1252, or the format of the input with --input-format."
                ) from None
            if line is None:
                return
            yield number, line.removesuffix("\n").removesuffix("\r")

    return replace(text_lines(source, read, max_characters, pairs=pairs), once=True)


def _decoded(stream: BinaryIO, encoding: str | None) -> Iterator[str]:
    """Yield the lines of a stream as soon as each is there."""
    if encoding is not None:
        # Line feeds of encodings such as UTF-16 have several bytes.
        yield from io.TextIOWrapper(stream, encoding=encoding, newline="\n")
        return
    for number, line in enumerate(stream, start=1):
        yield line.decode("utf-8-sig" if number == 1 else "utf-8")


def texts_of(texts: Sequence[str], source: str) -> Unlabelled:
    """Return texts in memory as an input; a blank one is a mistake.

    Args:
        texts: The texts, or pairs of texts.
        source: Name of the texts in messages.
    """
    names = _NAMES[are_pairs(texts)]
    table = Table(source, names, lambda wanted: iter([]), in_memory=True)
    sides = [(text.first, text.second) if isinstance(text, TextPair) else (text,) for text in texts]
    rows = [(number, cells, cells) for number, cells in enumerate(sides, start=1)]
    chunks = _chunked(table, lambda: iter(rows), MAX_CHARACTERS)
    return Unlabelled(source, "row", "text", "text", chunks, table=table, pair=names[1] if len(names) > 1 else None)


# Rows as they are read: number, own cells, and the cells of the text, or of both texts of a pair.
_Read = Iterator[tuple[int, Any, tuple[object, ...]]]
# Names of the columns of single texts, and of pairs, where the input has none.
_NAMES = (("text",), ("text", "text_pair"))


def text_lines(
    source: str,
    read: Callable[[], Iterator[tuple[int, str]]],
    max_characters: int = MAX_CHARACTERS,
    *,
    pairs: bool = False,
    place: Callable[[int], str] | None = None,
) -> Unlabelled:
    """Return lines as texts.

    Args:
        source: Name of the lines in messages.
        read: Reads the lines with their numbers.
        max_characters: The longest text allowed.
        pairs: True if each line is a pair of texts, with a tab between them.
        place: Returns the place of a line, where the source and a number are not the place.
    """
    names = _NAMES[pairs]
    table = Table(source, names, lambda wanted: iter([]), unit="line", place=place)

    def rows() -> _Read:
        for number, line in read():
            cells = tuple(line.split(TAB)) if pairs and not is_blank(line) else (line,) * len(names)
            if len(cells) == len(names):
                yield number, cells, cells
            else:
                tabs = counted(len(cells) - 1, "tab")
                yield (
                    number,
                    cells,
                    (Broken(DataError(f"{table.at(number)}: {tabs}; expected one, between two texts.")),),
                )

    chunks = _chunked(table, rows, max_characters, lines=True)
    return Unlabelled(
        source,
        "line",
        "text",
        "text",
        chunks,
        blank_lines=True,
        table=table if place is not None else None,
        pair=names[1] if len(names) > 1 else None,
    )


def _rows_of(table: Table, columns: Sequence[str]) -> Callable[[], _Read]:
    places = [table.columns.index(column) for column in columns]
    return lambda: ((number, row, tuple(row[at] for at in places)) for number, row in table.read(table.columns))


def _objects_of(table: Table, columns: Sequence[str]) -> Callable[[], _Read]:
    def read() -> _Read:
        assert table.objects is not None
        for number, row in table.objects():
            if isinstance(row, DataError):
                yield number, None, (Broken(row),)
                continue
            cells = [lookup(row, column) for column in columns]
            if MISSING in cells:
                missing = columns[cells.index(MISSING)]
                yield number, row, (Broken(DataError(f"{table.at(number)}: no key '{missing}' in this object.")),)
            else:
                yield number, row, tuple(cells)

    return read


def _chunked(
    table: Table, read: Callable[[], _Read], max_characters: int, *, lines: bool = False
) -> Callable[[int], Iterator[Chunk]]:
    def chunks(start: int) -> Iterator[Chunk]:
        rows = islice(read(), start, None)
        while part := list(islice(rows, CHUNK)):
            numbers, own, cells = zip(*part, strict=True)
            usable, texts, skipped = usable_rows(table, numbers, cells, max_characters, lines=lines)
            kept = [own[at] for at in usable]
            held = ObjectCells(kept) if table.objects is not None else RowCells(table.columns, kept)
            yield Chunk(len(part), tuple(numbers[at] for at in usable), texts, held, skipped)

    return chunks


def usable_rows(
    table: Table,
    numbers: Sequence[int],
    cells: Sequence[Sequence[object]],
    max_characters: int,
    *,
    lines: bool = False,
) -> tuple[list[int], tuple[str, ...], tuple[Skipped, ...]]:
    """Return the positions of the rows with a usable text or pair, their texts, and the other rows.

    Args:
        table: The table, for messages.
        numbers: The numbers of the rows.
        cells: The cells of each row's texts.
        max_characters: The longest text allowed.
        lines: True if the rows are lines of text.
    """
    usable: list[int] = []
    texts: list[str] = []
    skipped: list[Skipped] = []
    for at, (number, sides) in enumerate(zip(numbers, cells, strict=True)):
        try:
            found = [checked_text(table, number, cell, max_characters) for cell in sides]
        except DataError as error:
            skipped.append(Skipped(number, str(error).removeprefix(f"{table.at(number)}: "), is_blank=False))
            continue
        text = TextPair(*found) if len(found) > 1 else found[0]
        side = blank_side(text)
        if side is None:
            usable.append(at)
            texts.append(text)
        else:
            is_line = lines and all(map(is_blank, found))
            skipped.append(Skipped(number, _BLANK_LINE if is_line else blank(side), is_blank=not lines or is_line))
    return usable, tuple(texts), tuple(skipped)

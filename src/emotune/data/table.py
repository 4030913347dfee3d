"""`Table`: an open data file or Hub split, whose rows are read lazily."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from emotune.system.errors import DataError
from emotune.system.wording import numbered

# Rows whose places are named one by one.
_PLACES_NAMED = 5

Row = tuple[int, Sequence[object]]
"""Line or row number of a row's start, counted from 1, and its values; only `Broken` if the row cannot be read."""


@dataclass(frozen=True)
class Broken:
    """Value in every cell of a row that cannot be read, so that reading can continue after it.

    In an object of JSON that lacks some keys, it is only in the cells of these.

    Attributes:
        error: The error of the row; its message names the place.
    """

    error: DataError


@dataclass(frozen=True)
class Table:
    """Named columns and their rows.

    Attributes:
        source: Name of the table in messages: a path as the user gave it, or a Hub id with its split.
        columns: The column names, in the source's order.
        read: Reads the rows and yields for each the values of the columns asked for, in the order asked for. Each call
            starts again.
        unit: The unit of row numbers: lines of a text file, or rows.
        header: The first line, if it gave the column names; None if the format has its own names.
        class_names: For columns of label ids whose names are known (a Hub data set's ClassLabel): name i belongs
            to id i.
        delimiter: The separator of fields, in a file that has lines of fields.
        quoting: True if quotes in a file are quoting, so that an unclosed one swallows the text after it.
        in_memory: True if the rows are in memory, so that there is no file or id to give to a command.
        notes: Notes on reading the rows, one sentence each.
        hint: Advice, with the apparent kind of the source, if it lacks the columns wanted.
        objects: Reads the rows of JSON Lines as they are, with their line numbers; an error for what is no object.
        nested: Names of keys inside those of objects, such as "review.text", which can be read like columns.
        format: Name of the format in which predictions of the rows are written, as in `emotune.data.writing.FORMATS`.
        foreign: Kind of the file, such as "an Excel workbook", if predictions are not written in it.
        place: Returns the place of a row that has been read, where the source and a number are not the place.
    """

    source: str
    columns: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[Row]]
    unit: Literal["line", "row"] = "row"
    header: str | None = None
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    delimiter: str | None = None
    quoting: bool = False
    in_memory: bool = False
    notes: tuple[str, ...] = ()
    hint: str = ""
    objects: Callable[[], Iterator[tuple[int, dict[str, Any] | DataError]]] | None = None
    nested: frozenset[str] = frozenset()
    format: str = "csv"
    foreign: str = ""
    place: Callable[[int], str] | None = None

    def at(self, number: int) -> str:
        """Return the place of a row, for the start of a message: "reviews.csv, line 7"."""
        return f"{self.source}, {self.unit} {number}" if self.place is None else self.place(number)

    def numbered(self, numbers: Sequence[int]) -> str:
        """Return the places of some rows, the first of them if there are many: "lines 7, 9"."""
        if self.place is None:
            return numbered(self.unit, numbers)
        rest = len(numbers) - _PLACES_NAMED
        return "; ".join(map(self.place, numbers[:_PLACES_NAMED])) + (f" and {rest:,} more" if rest > 0 else "")

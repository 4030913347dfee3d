"""A `Table`: a data file or a Hub split, opened, whose rows are read as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from emotune.system.errors import DataError

Row = tuple[int, Sequence[object]]
"""Where a row starts (its line or row number, counted from 1), and its values; `Broken` alone where the row cannot be read."""


@dataclass(frozen=True)
class Broken:
    """What stands in every cell of a row that cannot be read, so that the rows after it can be.

    Attributes:
        error: What is wrong with the row; its message names the place.
    """

    error: DataError


@dataclass(frozen=True)
class Table:
    """Columns by name, and the rows behind them.

    Attributes:
        source: What messages call it: a path as the user gave it, or a Hub id with its split.
        columns: The column names, in the source's order.
        read: Reads the rows, giving for each the values of the columns asked for, in the order asked for. Each call
            reads anew.
        unit: What row numbers count: lines of a text file, or rows.
        header: The first line, where the column names were taken from it; None where a format carries names of its own.
        class_names: For columns of label ids whose names are known (a Hub data set's ClassLabel): name i belongs
            to id i.
        delimiter: What separates the fields of a line, in a file that has lines of fields.
        quoting: Whether quotes in a file are quoting, so that one left open swallows what follows.
        in_memory: Whether the rows are in memory, so that there is no file or id to give to a command.
        notes: What the reader must know about how the rows are read, one sentence each.
        hint: What to do where the columns wanted are not among these: what the source seems to be instead.
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

    def at(self, number: int) -> str:
        """The place of a row, for the start of a message: "reviews.csv, line 7"."""
        return f"{self.source}, {self.unit} {number}"

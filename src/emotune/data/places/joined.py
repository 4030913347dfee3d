"""Several tables with the same columns, read one after the other as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from emotune.data.table import Row, Table
from emotune.system.errors import DataError
from emotune.system.wording import listed, quoted

Value = TypeVar("Value")


class Numbering:
    """Numbers of rows that go on from table to table, and the places that they stand for.

    Args:
        tables: The tables.
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables
        # The numbers at which the tables begin, less 1; known of a row as soon as it has been read.
        self._starts = [0]

    def through(self, read: Callable[[Table], Iterator[tuple[int, Value]]]) -> Iterator[tuple[int, Value]]:
        """Read all tables, and number their rows on.

        Args:
            read: Reads one of them, with its own numbers.
        """
        start = 0
        for at, table in enumerate(self._tables):
            self.begin(at, start)
            last = start
            for number, value in read(table):
                last = start + number
                yield last, value
            start = last

    def begin(self, at: int, start: int) -> None:
        """Note that a table begins after so many rows."""
        self._starts[at:] = [start]

    def place(self, number: int) -> str:
        """Return the place of a row that has been read: its table, and its number there."""
        at = bisect_right(self._starts, number - 1) - 1
        return self._tables[at].at(number - self._starts[at])


def joined(tables: Sequence[Table], source: str) -> Table:
    """Return the rows of several tables as one table.

    Rows are numbered on from table to table; the place of a row in messages is that in its own table.

    Args:
        tables: At least one table.
        source: Name of the whole in messages.

    Raises:
        DataError: The tables have different columns, or different class names.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    for other in tables[1:]:
        if set(other.columns) != set(first.columns):
            raise DataError(
                f"{source}: the files are read as one table, and their columns differ: {quoted(first.source)} has "
                f"{listed(first.columns)}; {quoted(other.source)} has {listed(other.columns)}.\n"
                "Give all of them the same columns, or give one file."
            )
        if dict(other.class_names) != dict(first.class_names):
            raise DataError(
                f"{source}: the files are read as one table, and the class names in {quoted(first.source)} and "
                f"{quoted(other.source)} differ. Give one file, or write them with the same classes."
            )
    numbering = Numbering(tables)

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        return numbering.through(lambda table: table.read(wanted))

    def objects() -> Iterator[tuple[int, dict[str, Any] | DataError]]:
        return numbering.through(lambda table: iter(()) if table.objects is None else table.objects())

    delimiters = {table.delimiter for table in tables}
    return Table(
        source,
        first.columns,
        read,
        unit=first.unit,
        header=first.header,
        class_names=first.class_names,
        delimiter=first.delimiter if len(delimiters) == 1 else None,
        quoting=any(table.quoting for table in tables),
        in_memory=first.in_memory,
        notes=tuple(note for table in tables for note in table.notes),
        hint=first.hint,
        nested=frozenset.intersection(*(table.nested for table in tables)),
        place=numbering.place,
        objects=objects if all(table.objects is not None for table in tables) else None,
        format=first.format,
        foreign=first.foreign,
    )

"""Several tables with the same columns, read one after the other as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from emotune.data.table import Row, Table
from emotune.system.errors import DataError
from emotune.system.wording import listed, quoted


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
    # The numbers at which the tables begin, less 1; known of a row as soon as it has been read.
    starts = [0]

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        start = 0
        for at, table in enumerate(tables):
            starts[at:] = [start]
            last = start
            for number, values in table.read(wanted):
                last = start + number
                yield last, values
            start = last

    def place(number: int) -> str:
        at = bisect_right(starts, number - 1) - 1
        return tables[at].at(number - starts[at])

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
        place=place,
    )

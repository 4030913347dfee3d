"""Groups of rows that belong together, such as those of one author: their names, and their union with repeated texts."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.system.errors import DataError
from emotune.system.wording import counted, quoted

Names = tuple[str | None, ...]
"""The name of each row's group; None where it is missing, which makes the row a group of its own."""


@dataclass(frozen=True)
class Crossing:
    """Rows of a split whose group is also in another split.

    Attributes:
        split: The split of the rows.
        into: The other split.
        rows: Number of these rows.
        groups: Number of their groups.
        example: Name of the largest of these groups.
    """

    split: str
    into: str
    rows: int
    groups: int
    example: str


def group_names(cells: Sequence[object], places: Sequence[str]) -> Names:
    """Return the names of groups from the cells of their column.

    A number is named as a text file has it, so that 7, 7.0 and "7" are one group in files of different formats.

    Args:
        cells: The cells.
        places: The place of each row, for messages.

    Raises:
        DataError: A cell is no text, number, date or boolean.
    """
    return tuple(_name(cell, place) for cell, place in zip(cells, places, strict=True))


def _name(cell: object, place: str) -> str | None:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, (list, tuple, dict, set, bytes)):
        raise DataError(
            f"{place}: the group is of type {type(cell).__name__}, {quoted(cell)}. "
            "Expected one text or number per row; choose another column with --group-column NAME."
        )
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return unicodedata.normalize("NFC", str(cell).strip()) or None


def missing_note(column: str, names: Mapping[str, Names]) -> Iterator[str]:
    """Say how many rows have no group.

    Args:
        column: The column of groups.
        names: The names by split.
    """
    missing = sum(name is None for found in names.values() for name in found)
    if missing:
        each = "it is" if missing == 1 else "each of them is"
        yield f"{quoted(column)} is empty in {counted(missing, 'row')}: {each} a group of its own."


def group_numbers(names: Sequence[str | None]) -> NDArray[np.int64]:
    """Return a number for each row's group, shape (rows,): the place of the group's first row."""
    first: dict[str, int] = {}
    return np.fromiter(
        (row if name is None else first.setdefault(name, row) for row, name in enumerate(names)), np.int64, len(names)
    )


def united(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the finest groups in which rows are together that are together in either grouping, however long the chain.

    Args:
        one: Shape (rows,), a grouping by any numbers.
        other: Another grouping of the same rows.

    Returns:
        Shape (rows,), numbers from 0 without gaps.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Groups of both kinds are the nodes, and each row is an edge between its two groups.
    _, first = np.unique(one, return_inverse=True)
    _, second = np.unique(other, return_inverse=True)
    nodes = int(first.max(initial=-1)) + 1
    size = nodes + int(second.max(initial=-1)) + 1
    edges = coo_array((np.ones(len(one)), (first, nodes + second)), shape=(size, size))
    _, components = connected_components(edges, directed=False)
    return np.asarray(np.unique(components[first], return_inverse=True)[1], dtype=np.int64)


def crossings(names: Mapping[str, Names]) -> Iterator[Crossing]:
    """Yield the groups that are in several splits: of validation and test in training, and of test in validation.

    Args:
        names: The names by split.
    """
    for split, into in (("validation", "train"), ("test", "train"), ("test", "validation")):
        held = set(names.get(into, ())) - {None}
        crossing = [name for name in names.get(split, ()) if name is not None and name in held]
        if crossing:
            counts = Counter(crossing)
            largest = max(sorted(counts), key=counts.__getitem__)
            yield Crossing(split, into, len(crossing), len(counts), largest)

"""Columns of zeros and ones, each of which may say of every row whether it has one label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from emotune.data.column_names import has_clear_name
from emotune.data.table import Broken, Table
from emotune.system.wording import counted, listed, quoted, word

ROWS_LOOKED_AT = 1000
"""First rows by which columns are judged."""

_ONE_HOT = {"0": "0", "0.0": "0", "false": "0", "1": "1", "1.0": "1", "true": "1"}
# Share of the cells of a column of zeros and ones up to which others look like mistakes.
_MISTAKES = 0.1
# Number of such columns of which a message shows a cell.
_FAULTS_SHOWN = 3


@dataclass(frozen=True)
class Flags:
    """Cells of a column that may hold zeros and ones, in the first rows that can be read.

    Attributes:
        rows: Number of rows.
        values: Those of "0" and "1" that occur.
        others: The other cells, with the numbers of their rows.
    """

    rows: int
    values: frozenset[str]
    others: tuple[tuple[int, object], ...]

    @property
    def are_plain(self) -> bool:
        """True if zeros and ones both occur, and nothing else."""
        return len(self.values) == 2 and not self.others

    @property
    def are_zeros(self) -> bool:
        """True if there is nothing but zeros."""
        return self.values == {"0"} and not self.others

    @property
    def are_almost(self) -> bool:
        """True if zeros and ones both occur, and other cells are so few that they look like mistakes."""
        return len(self.values) == 2 and 0 < len(self.others) <= _MISTAKES * self.rows


def flags_of(table: Table, columns: Sequence[str]) -> dict[str, Flags]:
    """Return the zeros and ones of columns, in the first rows.

    Args:
        table: The table.
        columns: The columns.
    """
    rows = 0
    seen: dict[str, set[str]] = {column: set() for column in columns}
    others: dict[str, list[tuple[int, object]]] = {column: [] for column in columns}
    for number, cells in islice(table.read(columns), ROWS_LOOKED_AT):
        rows += 1
        for column, cell in zip(columns, cells, strict=True):
            if isinstance(cell, Broken):
                continue
            value = _ONE_HOT.get(str(cell).strip().lower())
            if value is None:
                others[column].append((number, cell))
            else:
                seen[column].add(value)
    return {column: Flags(rows, frozenset(seen[column]), tuple(others[column])) for column in columns}


def one_hot_hint(table: Table) -> str:
    """Return advice where every label has a column of zeros and ones; "" where the first rows show otherwise.

    A column with a few other cells counts as one of labels, so that the advice does not drop a label unseen. So does one of zeros,
    whose label may be in later rows.

    Args:
        table: The table.
    """
    columns = [column for column in table.columns if column and not has_clear_name([column], "text")]
    found = flags_of(table, columns)
    plain = {column for column, flags in found.items() if flags.are_plain}
    almost = {column: flags for column, flags in found.items() if flags.are_almost}
    if len(plain) + len(almost) < 2:
        return ""
    labels = [column for column in columns if column in plain or column in almost or found[column].are_zeros]
    seen = f"{listed(labels)} look like one column for each label"
    option = f"--label-columns {word(','.join(labels))}"
    if not almost:
        return f"{seen}. Name them: {option}."
    faults = [
        f"{quoted(column)} holds {quoted(flags.others[0][1])} in {table.numbered([flags.others[0][0]])}"
        + (f" (and {counted(len(flags.others) - 1, 'more such cell')})" if len(flags.others) > 1 else "")
        for column, flags in islice(almost.items(), _FAULTS_SHOWN)
    ]
    rest = f" and {counted(len(almost) - len(faults), 'more column')} likewise" if len(almost) > len(faults) else ""
    return (
        f"{seen}, but {', '.join(faults)}{rest}; expected 0, 1, true or false.\n"
        f"Correct the cells, and name the columns that are labels: {option}."
    )

"""Read the labels of a row: one label, or several from a list, a separated string, or columns with one label each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from emotune.data.columns import Columns
from emotune.data.labels import LabelError, WithheldError, label_name
from emotune.data.options import DataSource
from emotune.data.renaming import Renaming
from emotune.data.table import Table
from emotune.system.errors import DataError
from emotune.system.text import is_unicode
from emotune.system.wording import counted, quoted
from emotune.tasks.multi_label import joined_names

LabelSets = tuple[tuple[str, ...], ...]
"""The labels of each row; a row may have none."""

_ITEM = re.compile(r"""'[^']*'|"[^"]*"|[+-]?\d+(?:\.0*)?""")
_LIST = re.compile(rf"[\[({{]\s*(?:(?:{_ITEM.pattern})(?:[\s,;]+(?:{_ITEM.pattern}))*\s*,?\s*)?[\])}}]")
_QUOTE = re.compile(r"""['"]""")
_YES = {"1", "1.0", "true"}
_NO = {"0", "0.0", "false"}


class SurrogateError(LabelError):
    """Error of a label that is not valid Unicode."""


class FlagError(LabelError):
    """Error of columns with one label each, of which one holds neither 0 nor 1.

    Attributes:
        cells: The row's cells of these columns.
    """

    def __init__(self, message: str, cells: Sequence[object]) -> None:
        super().__init__(message)
        self.cells = tuple(cells)


def is_flag(cell: object) -> bool:
    """Return whether a cell says that a row has a label, or has not."""
    return str(cell).strip().lower() in _YES | _NO


class LabelReader:
    """Reads the cells of a row that hold its labels, and renames the labels.

    Args:
        table: The table.
        columns: The columns that are read.
        asked: How labels are read.

    Attributes:
        several: True if rows may have several labels: a cell holds a list, or the user has said so.
    """

    def __init__(self, table: Table, columns: Columns, asked: DataSource) -> None:
        self._table = table
        self._columns = columns
        self._separator = asked.label_separator
        self._drops_empty = asked.drop_unlabelled
        self._class_names = table.class_names.get(columns.label) if not columns.labels else None
        self._seen_separator = False
        self.renaming = Renaming(asked.map)
        self.several = bool(columns.labels) or self._separator is not None

    def __call__(self, cells: Sequence[object]) -> tuple[str, ...] | None:
        """Return the labels of a row with their new names, in the order in which they stand; None if they are missing.

        Args:
            cells: The row's cells of the label columns.

        Raises:
            LabelError: A cell is not valid.
        """
        names = self._of_columns(cells) if self._columns.labels else self._of_cell(cells[0])
        if names is None or (self.several and not names and self._drops_empty):
            return None
        if not all(map(is_unicode, names)):
            raise SurrogateError("the label holds half a character")
        return names

    def _of_columns(self, cells: Sequence[object]) -> tuple[str, ...] | None:
        found = []
        for column, cell in zip(self._columns.labels, cells, strict=True):
            value = str(cell).strip().lower()
            if value in _YES:
                found.append(column)
            elif value not in _NO:
                raise FlagError(
                    f"the column {quoted(column)} holds {quoted(cell)}; expected 0, 1, true or false", cells
                )
        return tuple(found)

    def _of_cell(self, cell: object) -> tuple[str, ...] | None:
        if isinstance(cell, (list, tuple, set, frozenset)):
            self.several = True
            return self._distinct(cell if isinstance(cell, (list, tuple)) else sorted(cell, key=str))
        if isinstance(cell, Mapping):
            return self._of_scores(cell)
        items = _written_list(cell) if isinstance(cell, str) and self._separator is None else None
        if items is not None:
            self.several = True
            return self._distinct(items)
        if self._separator is not None and isinstance(cell, str):
            self._seen_separator |= self._separator in cell
            return self._distinct(part for part in cell.split(self._separator) if part.strip())
        name = label_name(cell, self._class_names)
        return None if name is None else (name,)

    def _of_scores(self, cell: Mapping[str, object]) -> tuple[str, ...]:
        """Return the labels of an object with a score of 0 or 1 for each, such as the "cats" of spaCy."""
        self.several = True
        for name, score in cell.items():
            if isinstance(score, str) or score not in (0, 1):
                raise LabelError(
                    f"the label {quoted(name)} has the score {quoted(score)}; expected 0 or 1 for every label"
                )
        return self._distinct([name for name, score in cell.items() if score == 1])

    def _distinct(self, items: Iterable[object]) -> tuple[str, ...]:
        names = []
        for item in items:
            try:
                name = label_name(item, self._class_names)
            except WithheldError:
                raise
            except LabelError as error:
                raise LabelError(f"in the list of labels, {error}") from None
            if name is None:
                raise LabelError(f"the list of labels holds {item!r}, which is no label")
            names.append(name)
        return tuple(dict.fromkeys(names))

    def renamed(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the new names of a row's labels in alphabetical order; several that become one are one."""
        return tuple(sorted(set(map(self.renaming, names))))

    def class_names(self) -> tuple[str, ...] | None:
        """Return all labels in order, if the data has them, under their new names."""
        return self.renaming.of_classes(self._columns.labels or self._class_names)

    def check_separator(self) -> None:
        """Refuse a separator that is in no row.

        Raises:
            DataError: It is in none.
        """
        if self._separator is not None and not self._seen_separator and self._class_names is None:
            raise DataError(
                f"{self._table.source}: the label separator {quoted(self._separator)} is in no row of the column "
                f"{quoted(self._columns.label)}. Give the one that the labels have, or leave --label-separator out."
            )


def _written_list(cell: str) -> list[object] | None:
    """Return the items of a list that was written as text, as Python, JSON or NumPy writes it; None for other text.

    Numbers count only in square brackets: "(2)" is a name.
    """
    found = _LIST.fullmatch(cell.strip())
    if found is None or not (_QUOTE.search(cell) or cell.strip().startswith("[")):
        return None
    return [item.strip("'\"") for item in _ITEM.findall(cell)]


def one_each(sets: Iterable[LabelSets]) -> bool:
    """Return whether every row of every split has exactly one label."""
    return all(len(names) == 1 for labels in sets for names in labels)


def note_on_kind(sets: Mapping[str, LabelSets], *, single: bool) -> str:
    """Return the note on rows whose labels could be several.

    Args:
        sets: The labels of each row, by split.
        single: Every row has exactly one, and is read so.
    """
    if single:
        return "Every row has exactly one label, so this is single-label data."
    rows = [names for labels in sets.values() for names in labels]
    several, none = sum(len(names) > 1 for names in rows), sum(not names for names in rows)
    without = f", and {counted(none, 'row')} without any" if none else ""
    return (
        f"Rows have several labels, so this is multi-label data: {counted(several, 'row')} of {len(rows):,} with more than one"
        f"{without}; {sum(map(len, rows)) / len(rows):.2f} labels per row."
    )


def shown_names(names: Sequence[str]) -> str:
    """Return the labels of a row as one text."""
    return joined_names(names)

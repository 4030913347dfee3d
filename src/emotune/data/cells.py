"""Cells of rows as a file has them, so that a file of predictions can keep the columns of its input."""

from __future__ import annotations

import base64
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class Cells(ABC):
    """Rows with their own columns, in the order of the file."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of these rows."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield every row as an object for JSON."""

    @abstractmethod
    def rows(self, columns: Sequence[str]) -> Iterator[Sequence[object]]:
        """Yield the cells of every row in the order of the columns asked for; None for a cell that a row lacks."""

    @abstractmethod
    def table(self, schema: pa.Schema) -> pa.Table:
        """Return the rows as a table of this schema.

        Raises:
            ValueError: A cell is not of its column's type.
        """


@dataclass(frozen=True)
class RowCells(Cells):
    """Rows of text cells, as in CSV.

    Attributes:
        names: Names of the columns.
        values: The cells, by row.
    """

    names: tuple[str, ...]
    values: Sequence[Sequence[object]]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.names

    def __len__(self) -> int:
        return len(self.values)

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield every row as an object."""
        return (dict(zip(self.names, row, strict=True)) for row in self.values)

    def rows(self, columns: Sequence[str]) -> Iterator[Sequence[object]]:
        """Yield every row."""
        return iter(self.values)

    def table(self, schema: pa.Schema) -> pa.Table:
        """Return a table of strings."""
        import pyarrow as pa

        arrays = [pa.array([row[at] for row in self.values], pa.string()) for at in range(len(self.names))]
        return pa.Table.from_arrays(arrays, schema=schema)


@dataclass(frozen=True)
class ObjectCells(Cells):
    """Rows as objects, as in JSON Lines; rows may have different keys.

    Attributes:
        held: The objects.
    """

    held: Sequence[Mapping[str, Any]]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every key of any row, in the order of first occurrence."""
        return tuple(dict.fromkeys(key for row in self.held for key in row))

    def __len__(self) -> int:
        return len(self.held)

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield a copy of every row."""
        return (dict(row) for row in self.held)

    def rows(self, columns: Sequence[str]) -> Iterator[Sequence[object]]:
        """Yield the values of every row."""
        return ([row.get(column) for column in columns] for row in self.held)

    def table(self, schema: pa.Schema) -> pa.Table:
        """Return a table of the schema."""
        import pyarrow as pa

        return pa.Table.from_pylist(list(self.held), schema=schema)


@dataclass(frozen=True, eq=False)
class ArrowCells(Cells):
    """Rows of a Parquet file.

    Attributes:
        held: The rows.
    """

    held: pa.Table

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.held.column_names)

    def __len__(self) -> int:
        return int(self.held.num_rows)

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield every row as an object of JSON's types."""
        for row in self.held.to_pylist():
            yield {key: as_json(value) for key, value in row.items()}

    def rows(self, columns: Sequence[str]) -> Iterator[Sequence[object]]:
        """Yield the cells of every row."""
        return zip(*(self.held.column(at).to_pylist() for at in range(self.held.num_columns)), strict=True)

    def table(self, schema: pa.Schema) -> pa.Table:
        """Return the rows as they are."""
        return self.held


def as_json(value: object) -> Any:
    """Return a value of Arrow as JSON has it: times in ISO 8601, bytes in base64, no number that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {str(key): as_json(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(held) for held in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)  # Decimal, UUID


def as_cell(value: object) -> str:
    """Return a value as a cell of CSV: nothing for null, JSON for lists and objects, true and false in lower case."""
    if isinstance(value, str):
        return value
    value = as_json(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

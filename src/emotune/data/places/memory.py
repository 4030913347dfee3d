"""Rows in memory: data frames, `datasets` objects, and lists of pairs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emotune.data.columns import columns_of_objects
from emotune.data.dataset import Split, TextDataset
from emotune.data.places.hub_dataset import table_of
from emotune.data.table import Broken, Row, Table
from emotune.system.errors import DataError
from emotune.system.wording import in_full, listed, quoted

IN_MEMORY = "in memory"
_ACCEPTED = (
    "Expected a path, a Hub data set id, a pandas DataFrame, a Dataset or DatasetDict of the datasets library, "
    "a list of (text, label) pairs, or a dict of such tables by split"
)


def called(source: object) -> str:
    """Return the name of a source in messages: its path or id between quotes, or the kind of object."""
    return in_full(source) if isinstance(source, (str, Path)) else kind_of(source)


def kind_of(source: object) -> str:
    """Return the name of rows in memory in results: "DataFrame", "Dataset", "DatasetDict" or "in memory"."""
    known = ("pandas", "DataFrame"), ("datasets", "DatasetDict"), ("datasets", "Dataset")
    return next((name for module, name in known if _is(source, module, name)), IN_MEMORY)


def open_tables(source: object) -> dict[str, Table] | Table:
    """Open rows in memory.

    Args:
        source: One table, or a mapping of tables by split. A list of pairs has the columns "text" and "label"; the
            columns of a list of dicts are their keys.

    Returns:
        A table, or tables under the names of the mapping.

    Raises:
        DataError: It is none of these.
    """
    if isinstance(source, Mapping):
        name = kind_of(source)
        if not source:
            raise DataError(
                "The dict of splits is empty. Expected tables by split: train, and validation and test if there are any."
            )
        return {str(split): open_object(rows, f"{name} ({split})") for split, rows in source.items()}
    return open_object(source, kind_of(source))


def open_object(rows: object, source: str) -> Table:
    """Open one table.

    Args:
        rows: A data frame, a `datasets.Dataset`, or a list of pairs or dicts.
        source: Its name in messages.

    Raises:
        DataError: It is none of these.
    """
    if _is(rows, "pandas", "DataFrame"):
        return _of_frame(rows, source)
    if _is(rows, "datasets", "Dataset"):
        return replace(table_of(source, rows), in_memory=True)
    if isinstance(rows, (list, tuple)):
        return _of_list(rows, source)
    if isinstance(rows, (TextDataset, Split)):
        raise DataError(f"{source}: this is a {type(rows).__name__} already; load_data makes one. Use it as it is.")
    remedy = ""
    if _is(rows, "datasets", "IterableDataset") or _is(rows, "datasets", "IterableDatasetDict"):
        remedy = " Load it without streaming."
    elif hasattr(rows, "to_pandas"):
        remedy = " Convert it with to_pandas()."
    raise DataError(f"{source}: cannot read rows from an object of type {type(rows).__name__}. {_ACCEPTED}.{remedy}")


def _is(value: object, module: str, name: str) -> bool:
    """Return whether a value is of a library's class, without importing it: such a value means that it is imported."""
    found = getattr(sys.modules.get(module), name, None)
    return found is not None and isinstance(value, found)


def _of_frame(frame: Any, source: str) -> Table:
    columns = tuple(str(column) for column in frame.columns)

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        cells = (_cells(frame.iloc[:, columns.index(column)]) for column in wanted)
        yield from enumerate(zip(*cells, strict=True), start=1)

    return Table(source, columns, read, in_memory=True)


def _cells(column: Any) -> list[object]:
    """Return the values of a column as Python objects; missing values of every pandas kind become None."""
    values, missing = column.astype(object).tolist(), column.isna().tolist()
    return [None if lacks else _plain(value) for value, lacks in zip(values, missing, strict=True)]


def _plain(value: object) -> object:
    """Return a NumPy value as a Python object, arrays as lists; None for missing values; others unchanged."""
    if isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, np.ndarray):
        return value.tolist()
    pandas = sys.modules.get("pandas")
    if pandas is not None and (value is pandas.NA or value is pandas.NaT):
        return None
    return None if isinstance(value, float) and value != value else value


def _of_list(rows: Sequence[object], source: str) -> Table:
    first = next((row for row in rows if isinstance(row, (Mapping, list, tuple))), None)
    columns: tuple[str, ...] = ("text", "label")
    if isinstance(first, Mapping):
        columns = columns_of_objects(row for row in rows if isinstance(row, Mapping))

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        picks = [columns.index(column) for column in wanted]
        for number, row in enumerate(rows, start=1):
            fault = _list_fault(row, columns, wanted)
            if fault:
                error = DataError(f"{source}, row {number}: {fault}")
                yield number, [Broken(error)] * len(wanted)
                continue
            values: Any = row
            keys: Sequence[Any] = wanted if isinstance(row, Mapping) else picks
            yield number, [_plain(values[key]) for key in keys]

    return Table(source, columns, read, in_memory=True)


def _list_fault(row: object, columns: tuple[str, ...], wanted: Sequence[str]) -> str:
    """Return the reason why a row of a list cannot be read, or "" if it can."""
    of_pairs = columns == ("text", "label")
    if isinstance(row, Mapping):
        missing = [column for column in wanted if column not in row]
        advice = f"this dict has {listed(row)}. Add it, or remove the row."
        return f"no key {quoted(missing[0])}; {advice}" if missing else ""
    if of_pairs and isinstance(row, (list, tuple)) and len(row) == 2:
        return ""
    expected = "a pair of a text and a label" if of_pairs else f"a dict with the keys {listed(columns)}"
    return f"{quoted(row)} is not {expected}. {_ACCEPTED}."

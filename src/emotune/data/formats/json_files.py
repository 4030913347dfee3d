"""JSON files: JSON Lines, read line by line, and files that are one JSON value, read at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from emotune.data.columns import columns_of_objects
from emotune.data.formats.reading import Reading
from emotune.data.formats.text_files import TextFile
from emotune.data.formats.whole_json import NotRows, Rows, UniqueKeys, find_rows, read_values
from emotune.data.table import Broken, Row, Table
from emotune.system.errors import DataError
from emotune.system.wording import listed, quoted

Objects = Callable[[], Iterator[tuple[int, dict[str, Any] | DataError]]]
"""Reads rows that are objects, with their numbers; an error for what is no object."""

_OBJECTS_LOOKED_AT = 1000
_DEEPEST, _MOST_NESTED = 5, 200
_MISSING = object()


def open_json(file: TextFile, reading: Reading) -> Table:
    """Open a JSON file of either kind, whatever its suffix.

    Args:
        file: The file.
        reading: How it is read.

    Raises:
        DataError: It has no object, or is one JSON value that holds no rows, or is damaged.
    """
    first = list(islice(((number, line) for number, line in file.lines() if line.strip()), 2))
    if not first:
        raise file.only_blank()
    line = first[0][1].strip()
    try:
        value = json.loads(line, object_pairs_hook=UniqueKeys.checked)
    except (ValueError, RecursionError, UniqueKeys):
        # An object that is not closed on its line is damaged, or goes on; the whole file shows which.
        whole = _whole(file) if line[:1] in "[{" else None
        return _of_lines(file) if whole is None else whole
    if len(first) > 1 or not isinstance(value, (list, dict)):
        return _of_lines(file)
    found = find_rows([value])
    is_row = found.rows == [value] if isinstance(found, Rows) else not found.is_certain
    return _of_lines(file) if is_row else _whole(file) or _of_lines(file)


def lookup(row: Mapping[str, Any], name: str) -> object:
    """Return the value of a key, or of keys inside one another ("review.text"); `MISSING` if it lacks them.

    Args:
        row: The object.
        name: The name of the column.
    """
    if name in row:
        return row[name]
    held: object = row
    for key in name.split("."):
        if held is None:
            return None
        if not isinstance(held, Mapping) or key not in held:
            return _MISSING
        held = held[key]
    return held


MISSING = _MISSING
"""What `lookup` returns for a key that an object lacks."""


def _of_lines(file: TextFile) -> Table:
    return _table(file, lambda: _lines_of(file), "line")


def _whole(file: TextFile) -> Table | None:
    """Open a file that is one JSON value, or objects of several lines; None if it is not."""
    values = read_values(file)
    if values is None:
        return None
    found = find_rows(values)
    if isinstance(found, NotRows):
        raise DataError(f"{file.shown} {found.reason}")

    def objects() -> Iterator[tuple[int, dict[str, Any] | DataError]]:
        for number, row in enumerate(found.rows, 1):
            if isinstance(row, dict):
                yield number, row
            else:
                error = (
                    f'{file.shown}, row {number}: {quoted(row)} is not an object such as {{"text": "…", "label": "…"}}.'
                )
                yield number, DataError(error)

    return _table(file, objects, "row", notes=(file.note(found.note),) if found.note else (), foreign=found.kind)


def _table(file: TextFile, objects: Objects, unit: Any, *, notes: tuple[str, ...] = (), foreign: str = "") -> Table:
    first = [row for _, row in islice(objects(), _OBJECTS_LOOKED_AT)]
    usable = [row for row in first if not isinstance(row, DataError)]
    if not first:
        raise DataError(f"{file.shown} has no rows.")
    if not usable:
        raise next(row for row in first if isinstance(row, DataError))

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        for number, row in objects():
            if isinstance(row, DataError):
                yield number, [Broken(row)] * len(wanted)
                continue
            yield number, [_cell(row, name, number) for name in wanted]

    def _cell(row: Mapping[str, Any], name: str, number: int) -> object:
        value = lookup(row, name)
        if value is not _MISSING:
            return value
        return Broken(
            DataError(
                f"{file.shown}, {unit} {number}: no key {quoted(name)} in this object, which has {listed(row)}. "
                f"Add it, or remove the {unit}."
            )
        )

    return Table(
        file.shown,
        columns_of_objects(usable),  # the first object may lack a key
        read,
        unit=unit,
        notes=(*file.notes, *notes),
        objects=objects,
        nested=_nested(usable),
        format="jsonl",
        foreign=foreign,
    )


def _nested(objects: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the names of keys inside other keys, as in "review.text"."""
    found: set[str] = set()

    def add(row: Mapping[str, Any], path: str, depth: int) -> None:
        for key, value in row.items():
            name = f"{path}{key}"
            if path:
                found.add(name)
            if isinstance(value, Mapping) and depth < _DEEPEST and len(found) < _MOST_NESTED:
                add(value, f"{name}.", depth + 1)

    for row in objects:
        add(row, "", 1)
    return frozenset(found)


def _lines_of(file: TextFile) -> Iterator[tuple[int, dict[str, Any] | DataError]]:
    """Yield every object with its line number, or what is wrong with the line."""
    for number, line in file.lines():
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=UniqueKeys.checked)
        except UniqueKeys as error:
            fault = f"the key {quoted(error)} occurs twice in this object. Rename one."
            yield number, DataError(f"{file.shown}, line {number}: {fault}")
        except (ValueError, RecursionError) as error:
            yield number, _not_an_object(file, number, line, error)
        else:
            yield number, row if isinstance(row, dict) else _not_an_object(file, number, line, None)


def _not_an_object(file: TextFile, number: int, line: str, error: Exception | None) -> DataError:
    reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is not an object"
    return DataError(
        f"{file.shown}, line {number}: not a JSON object ({reason}): {quoted(line)}. "
        'Expected one object per line, such as {"text": "…", "label": "…"}.'
    )

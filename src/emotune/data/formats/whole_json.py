"""JSON that is one value, or objects of several lines: finding its rows."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotune.data.column_names import has_clear_name
from emotune.data.formats.text_files import TextFile
from emotune.system.errors import DataError
from emotune.system.wording import counted, listed, quoted, word

LARGEST = 500_000_000
"""Characters of the largest file that is read at once; its objects take several times as much memory."""

_SOMETHING = re.compile(r"\S")


class UniqueKeys(Exception):
    """Error of a JSON object with the same key twice; the json module would silently keep the last value."""

    @classmethod
    def checked(cls, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return an object of these pairs, for `json.loads`.

        Raises:
            UniqueKeys: A key occurs twice; the message is the key.
        """
        row = dict(pairs)
        if len(row) < len(pairs):
            keys = [key for key, _ in pairs]
            raise cls(next(key for key in keys if keys.count(key) > 1))
        return row


@dataclass(frozen=True)
class Rows:
    """Rows found in JSON.

    Attributes:
        rows: The rows; what is not an object is refused where it is read.
        kind: What the file is, in words.
        note: Where the rows are, as a clause; "" if nothing was guessed.
    """

    rows: Sequence[object]
    kind: str
    note: str = ""


@dataclass(frozen=True)
class NotRows:
    """The reason why JSON holds no rows that can be read, as the rest of a sentence about the file.

    Attributes:
        reason: The reason.
        is_certain: True if it cannot be one row of JSON Lines either.
    """

    reason: str
    is_certain: bool = False


def read_values(file: TextFile) -> list[object] | None:
    """Return the JSON values of a whole file; None if it holds something else, such as lines some of which are damaged.

    Raises:
        DataError: It is one array that is damaged, or too large to be read at once; or a key occurs twice.
    """
    with file.opened("\n") as stream:
        text = stream.read(LARGEST + 1)
    is_array = text[:1000].lstrip().startswith("[")
    if len(text) > LARGEST:
        if not is_array:
            return None
        raise DataError(
            f"{file.shown} is one JSON array of more than {LARGEST:,} characters, which would be read at once. "
            f"Write it as JSON Lines, for example: jq -c {shlex.quote('.[]')} {word(file.path)} > "
            f"{word(file.path.with_name(f'{file.path.stem}-lines.jsonl'))}"
        )
    decoder = json.JSONDecoder(object_pairs_hook=UniqueKeys.checked)
    values: list[object] = []
    start = _SOMETHING.search(text)
    try:
        while start is not None:
            value, end = decoder.raw_decode(text, start.start())
            values.append(value)
            start = _SOMETHING.search(text, end)
    except UniqueKeys as error:
        if is_array:
            raise DataError(
                f"{file.shown}: the key {quoted(error)} occurs twice in one of its objects. Rename one."
            ) from None
        return None
    except (ValueError, RecursionError) as error:
        if not is_array:
            return None
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
        raise DataError(
            f"{file.shown}{line}: this is a JSON array that is damaged or incomplete ({reason}). Write or download it again."
        ) from None
    return values


def find_rows(values: Sequence[object]) -> Rows | NotRows:
    """Find the rows in the values of a file.

    Args:
        values: One value: an array, or an object that holds rows under a key or column by column. Or several objects.
    """
    if len(values) > 1:
        return Rows(values, "JSON objects of several lines")
    value = values[0]
    if isinstance(value, list):
        return _of_array(value, "a JSON array", "")
    if not isinstance(value, dict):
        return NotRows(f'is one JSON value, {quoted(value)}; expected rows such as {{"text": "…", "label": "…"}}.')
    return _of_object(value)


def _of_array(rows: list[Any], kind: str, note: str) -> Rows:
    """Return the rows of an array of objects, or of pairs."""
    if rows and all(isinstance(row, list) and len(row) == 2 for row in rows):
        pairs = "its pairs are taken as text and label"
        objects = [dict(zip(("text", "label"), row, strict=True)) for row in rows]
        return Rows(objects, kind, f"{note}; {pairs}" if note else pairs)
    return Rows(rows, kind, note)


def _of_object(value: dict[str, Any]) -> Rows | NotRows:
    kind = "a JSON object"
    if any(isinstance(held, str) and has_clear_name([key], "text") for key, held in value.items()):
        return Rows([value], kind)  # a row, whatever else is in it
    names, rows = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(rows, list) and all(_has_width(row, len(names)) for row in rows):
        objects = [dict(zip(map(str, names), row, strict=True)) for row in rows]
        return Rows(objects, kind, "its rows are lists under 'data', with their names under 'columns'")
    lists = {key: held for key, held in value.items() if isinstance(held, list) and _are_rows(held)}
    if len(lists) == 1:
        ((key, held),) = lists.items()
        return _of_array(held, kind, f"its rows are under {quoted(key)}")
    if len(lists) > 1:
        return NotRows(
            f"is one JSON object with rows under several keys ({listed(lists)}). Write each into a file of its own, named after its "
            "split, and give the folder.",
            is_certain=True,
        )
    columns = _columns_of(value)
    if columns is not None:
        objects = [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
        return Rows(objects, kind, "it holds its rows column by column")
    if value and all(isinstance(held, dict) for held in value.values()):
        inner = list(value.values())
        if all(has_clear_name(list(held), "text") for held in inner):
            return Rows(inner, kind, f"its {counted(len(inner), 'row')} are the objects under its keys")
    return NotRows(
        f"is one JSON object with the keys {listed(value)}, which holds no rows. Expected one object per line, an array of "
        "objects, or rows under one key."
    )


def _columns_of(value: Mapping[str, Any]) -> list[list[object]] | None:
    """Return the cells of columns, by row number or in lists; None if these are no columns."""
    held = list(value.values())
    if not has_clear_name(list(value), "text") and not all(isinstance(cells, list) for cells in held):
        # Under keys such as "0" and "1" are rows rather than columns.
        keys = [set(cells) for cells in held if isinstance(cells, dict)]
        if not all(key.isdigit() for inner in keys for key in inner):
            return None
    if all(isinstance(cells, dict) for cells in held):
        if not held or any(list(cells) != list(held[0]) for cells in held):
            return None
        columns = [list(cells.values()) for cells in held]
    elif all(isinstance(cells, list) for cells in held):
        columns = held
    else:
        return None
    is_table = len({len(cells) for cells in columns}) == 1 and len(columns) > 1
    return columns if is_table and columns[0] else None


def _has_width(row: object, width: int) -> bool:
    return isinstance(row, list) and len(row) == width


def _are_rows(held: list[object]) -> bool:
    return bool(held) and (isinstance(held[0], dict) or (isinstance(held[0], list) and len(held[0]) == 2))

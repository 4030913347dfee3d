"""JSON files that are not JSON Lines: the nesting of their rows, and the command that writes one object per line."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

from emotune.system.errors import DataError
from emotune.system.wording import escaped, quoted, word

# Limit, in bytes: a file that is not JSON Lines is read whole only to say what it is.
_LARGEST_READ = 200_000_000
_SOMETHING = re.compile(r"\S")


def refuse_json_file(path: Path) -> None:
    """Refuse a file that is one JSON value over several lines; return if it is not.

    Raises:
        DataError: It is an array, or an object that holds rows; the message says how to convert it.
    """
    text = ""
    try:
        if path.stat().st_size > _LARGEST_READ:
            return
        text = path.read_text(encoding="utf-8-sig")
        value = json.loads(text)
    except (OSError, ValueError, RecursionError):
        _refuse_beginning_of_array(path)
        if _has_object_over_lines(text):
            raise _convert(path, "JSON objects, one after another, of several lines each", ".", []) from None
        return
    if isinstance(value, list):
        raise _convert(path, "one JSON array", ".[]", value)
    if isinstance(value, dict):
        hint = whole_json_hint(path, value)
        raise (
            DataError(f"{escaped(path)}: {hint}")
            if hint
            else _convert(path, "one JSON object over several lines", ".", [value])
        )


def whole_json_hint(path: Path, value: Mapping[str, object]) -> str:
    """Return advice on a file whose only object holds the rows under a key; "" if it does not.

    Args:
        path: The file.
        value: Its only object.

    Raises:
        DataError: It holds the rows column by column.
    """
    columns = [held for held in value.values() if _is_column(held)]
    if columns and len(columns) == len(value) and len({len(held) for held in columns}) == 1:
        python = (
            "import json, sys; d = json.load(open(sys.argv[1])); "
            "c = [list(v.values()) if isinstance(v, dict) else v for v in d.values()]; "
            "[print(json.dumps(dict(zip(d, row)))) for row in zip(*c)]"
        )
        raise DataError(
            f"{escaped(path)} is one JSON object of columns, as to_json() of pandas writes it; emotune reads JSON Lines, one object per "
            "line. Write it with to_json(PATH, orient='records', lines=True), or convert it:\n"
            f"python3 -c {shlex.quote(python)} {word(path)} > {_lines_of(path)}"
        )

    lists = {key: held for key, held in value.items() if isinstance(held, list) and _are_rows(held)}
    if not lists:
        return ""
    key, held = max(lists.items(), key=lambda item: len(item[1]))
    return _how_to_convert(
        path, f"this is one JSON object with its rows under {quoted(key)}", f".[{json.dumps(key)}][]", held
    )


def _is_column(held: object) -> TypeGuard[dict[str, object] | list[object]]:
    """Return whether a value holds several cells, by row number or in a list."""
    cells = list(held.values()) if isinstance(held, dict) else held
    return isinstance(cells, list) and len(cells) > 1 and not any(isinstance(cell, (dict, list)) for cell in cells)


def _are_rows(held: list[object]) -> bool:
    return bool(held) and (isinstance(held[0], dict) or (isinstance(held[0], list) and len(held[0]) == 2))


def _has_object_over_lines(text: str) -> bool:
    """Return whether a sequence of JSON values has an object of several lines before its first mistake."""
    decoder = json.JSONDecoder()
    start = _SOMETHING.search(text)
    while start is not None:
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            return False
        if isinstance(value, dict) and "\n" in text[start.start() : end]:
            return True
        start = _SOMETHING.search(text, end)
    return False


def _refuse_beginning_of_array(path: Path) -> None:
    """Refuse an array that is damaged or too large to be read whole."""
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        if stream.read(1000).lstrip().startswith("["):
            raise _convert(path, "one JSON array", ".[]", [])


def _convert(path: Path, what: str, rows: str, held: list[object]) -> DataError:
    return DataError(f"{escaped(path)} is {_how_to_convert(path, what, rows, held)}")


def _how_to_convert(path: Path, what: str, rows: str, held: list[object]) -> str:
    pairs = bool(held) and isinstance(held[0], list)
    objects = f"{rows} | {{text: .[0], label: .[1]}}" if pairs else rows
    return (
        f"{what}; emotune reads JSON Lines, one object per line. "
        f"Convert it, for example: jq -c {shlex.quote(objects)} {word(path)} > {_lines_of(path)}"
    )


def _lines_of(path: Path) -> str:
    return word(path.with_name(f"{path.stem}-lines.jsonl"))

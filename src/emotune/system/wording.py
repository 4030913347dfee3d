"""How the data's errors put values, counts and places into words: escaped, shortened, in plain English."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from emotune.system.text import printable

_LONGEST_VALUE = 60
_LONGEST_PATH = 4096
_MOST_ITEMS = 8

UNCLOSED_QUOTE = "Usually a quote was opened there and never closed. "
LONGER = "--max-characters (max_characters in Python)"
"""The setting that allows longer texts, as the command and as Python call it."""


def shown(value: object) -> str:
    """A value from a file, safe and short enough to print: control characters escaped, long text cut."""
    text = str(value)
    return escaped(text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…")


def escaped(value: object) -> str:
    """A path or an id in full, with its control characters escaped."""
    return printable(str(value))


def word(value: object) -> str:
    """A path, an id or a text as one word of a command line: quoted for the shell where it must be, never cut, since it would not run."""
    return printable(shlex.quote(str(value)))


def in_full(value: object) -> str:
    """A path or an id between single quotes, not shortened unless it is longer than any path."""
    return f"'{printable(str(value), _LONGEST_PATH)}'"


def quoted(value: object) -> str:
    """As `shown`, between single quotes."""
    return f"'{shown(value)}'"


def listed(values: Iterable[object]) -> str:
    """'a', 'b', 'c': at most eight of them, and how many more there are."""
    return _enumerated([quoted(value) for value in values])


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """The number with its noun: "1 row", "1,000 rows"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def numbered(unit: str, numbers: Sequence[int], total: int | None = None) -> str:
    """Where in a file: "line 7", "lines 7, 9"; at most eight numbers, and how many more there are.

    Args:
        unit: What the numbers count.
        numbers: The numbers, or the first eight of them.
        total: How many there are, where these are not all.
    """
    total = len(numbers) if total is None else total
    return f"{unit if total == 1 else unit + 's'} {_enumerated([str(number) for number in numbers], total)}"


def _enumerated(items: Sequence[str], total: int | None = None) -> str:
    head = ", ".join(items[:_MOST_ITEMS])
    rest = (len(items) if total is None else total) - _MOST_ITEMS
    return head if rest <= 0 else f"{head} and {rest:,} more"

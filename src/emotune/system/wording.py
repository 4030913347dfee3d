"""Values, counts and places in the words of messages: escaped, shortened, in plain English."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from emotune.system.text import printable

_LONGEST_VALUE = 60
_LONGEST_PATH = 4096
_MOST_ITEMS = 8
# An absolute path, or one from here or from home, up to its last part; a Hub id and a URL are none.
_FOLDERS = re.compile(r"^(?:~[^/]*|\.{0,2}|[A-Za-z]:)[/\\](?:.*[/\\])?(?=[^/\\])")

UNCLOSED_QUOTE = "Usually a quote was opened there and never closed. "
LONGER = "--max-characters (max_characters in Python)"
"""The setting that allows longer texts, as the command and as Python call it."""


def shown(value: object) -> str:
    """Return a value from a file, safe and short enough to print: control characters escaped, long text cut."""
    text = str(value)
    return escaped(text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…")


def escaped(value: object) -> str:
    """Return a path or an id in full, with its control characters escaped."""
    return printable(str(value))


def word(value: object) -> str:
    """Return a path, an id or a text as one word of a command line: quoted for the shell if needed, never cut."""
    return printable(shlex.quote(str(value)))


def in_full(value: object) -> str:
    """Return a path or an id between single quotes, shortened only if it is longer than any path."""
    return f"'{printable(str(value), _LONGEST_PATH)}'"


def last_part(place: object) -> str:
    """Return a place in data without the folders of this machine, for notes that are saved: "reviews.csv, line 7"."""
    return escaped(_FOLDERS.sub("", str(place)))


def quoted(value: object) -> str:
    """Return a value as `shown` does, between single quotes."""
    return f"'{shown(value)}'"


def listed(values: Iterable[object]) -> str:
    """Return values as "'a', 'b', 'c'": at most eight, and the number of further ones."""
    return _enumerated([quoted(value) for value in values])


def enumerated(items: Sequence[str]) -> str:
    """Return items as a clause: "a", "a and b", "a, b and c"."""
    *head, last = items
    return f"{', '.join(head)} and {last}" if head else last


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Return the number with its noun: "1 row", "1,000 rows"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def numbered(unit: str, numbers: Sequence[int], total: int | None = None) -> str:
    """Return places in a file: "line 7", "lines 7, 9"; at most eight numbers, and the number of further ones.

    Args:
        unit: The unit that the numbers count.
        numbers: The numbers, or the first eight of them.
        total: Their number, if these are not all.
    """
    total = len(numbers) if total is None else total
    return f"{unit if total == 1 else unit + 's'} {_enumerated([str(number) for number in numbers], total)}"


def _enumerated(items: Sequence[str], total: int | None = None) -> str:
    head = ", ".join(items[:_MOST_ITEMS])
    rest = (len(items) if total is None else total) - _MOST_ITEMS
    return head if rest <= 0 else f"{head} and {rest:,} more"

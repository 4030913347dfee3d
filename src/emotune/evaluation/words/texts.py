"""`TextTable`: a table as text, for the terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """A cell that holds a difference.

    Attributes:
        text: The difference with its sign.
        lower_is_better: True if a decrease is a gain.
    """

    text: str
    lower_is_better: bool = False

    def __str__(self) -> str:
        return self.text

    @property
    def is_gain(self) -> bool | None:
        """True for a gain; None if the digits shown do not change, or there is nothing to compare."""
        if not any(digit in self.text for digit in "123456789"):
            return None
        return (self.text[0] == "-") == self.lower_is_better


@dataclass(frozen=True)
class TextTable:
    """A table of texts that are safe to show: names to the left, numbers to the right.

    Attributes:
        title: Its title.
        headings: One per column.
        rows: One cell per column.
        note: Explanation below the table, or "".
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str | Change]]
    note: str = ""

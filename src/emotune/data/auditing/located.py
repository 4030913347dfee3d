"""Objects of an audit: a `Row` of the data, and its `Place`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Position of a row.

    Attributes:
        split: Its split.
        number: Its line or row number in the source.
    """

    split: str
    number: int


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the data.

    Attributes:
        place: Its position.
        text: Its text.
        label: Its label's name.
    """

    place: Place
    text: str
    label: str

"""`TextPair`: two texts that are classified together, such as a premise and a hypothesis."""

from __future__ import annotations

from collections.abc import Sequence

from emotune.system.text import is_blank

# A symbol, so that what compares words takes it for a word of its own: ("a b", "c") is not ("a", "b c").
BETWEEN = "\u241f"


class TextPair(str):
    """Two texts that are classified together.

    As a string it is both texts with the symbol ␟ between them. So code that only shows, compares or hashes texts needs
    to know nothing about pairs, and none can take the first text for the whole. Code that computes with the texts asks
    for `first` and `second`.

    Args:
        first: The first text.
        second: The second text.
    """

    __slots__ = ("first", "second")

    first: str
    second: str

    def __new__(cls, first: str, second: str) -> TextPair:  # noqa: D102 - the class says it
        pair = super().__new__(cls, f"{first} {BETWEEN} {second}")
        pair.first, pair.second = str(first), str(second)
        return pair

    def __reduce_ex__(self, protocol: object) -> tuple[type[TextPair], tuple[str, str]]:
        return type(self), (self.first, self.second)


def are_pairs(texts: Sequence[str]) -> bool:
    """Return whether texts are pairs. Those of one data set are all pairs, or none is."""
    return bool(len(texts)) and isinstance(texts[0], TextPair)


def sides_of(texts: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Return the first texts, and the second ones; None if the texts are no pairs.

    Raises:
        TypeError: Only some of the texts are pairs.
    """
    pairs = [text for text in texts if isinstance(text, TextPair)]
    if not pairs:
        return list(texts), None
    if len(pairs) < len(texts):
        raise TypeError("some of the texts are pairs, and others are not")
    return [pair.first for pair in pairs], [pair.second for pair in pairs]


def blank_side(text: str) -> str | None:
    """Return the blank part of a text, in words: "text", "first text" or "second text"; None if there is none."""
    if not isinstance(text, TextPair):
        return "text" if is_blank(text) else None
    if is_blank(text.first):
        return "first text"
    return "second text" if is_blank(text.second) else None

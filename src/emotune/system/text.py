"""Text from outside, made safe to show: nothing in it may steer a terminal or hide from the reader."""

from __future__ import annotations

# Joiners that Persian, Indic scripts and emoji need. Python counts them as unprintable, but they move no cursor.
_JOINERS = "\u200c\u200d"

# Soft hyphen, zero-width space and joiners, marks of direction, word joiner and its kin, byte order mark: nothing to classify.
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff")

LONGEST_REASON = 300
"""How much of a library's message is passed on, in characters."""


def printable(text: str, limit: int | None = None) -> str:
    r"""Text from a user on one line, with nothing in it that could steer a terminal or hide from the reader.

    Control characters, line ends, marks that reverse the reading direction, unusual spaces and lone surrogates are
    shown as Python would write them: `\n`, `\x1b`, `\u202e`.

    Args:
        text: Any text.
        limit: Longest result in characters; what is longer ends in "...".
    """
    shown = "".join(
        character
        if character.isprintable() or character in _JOINERS
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
    if limit is not None and len(shown) > limit:
        return shown[: limit - 3] + "..."
    return shown


def is_blank(text: str) -> bool:
    """Whether a text holds nothing but white space and characters that have no width."""
    return all(character.isspace() or character in _INVISIBLE for character in text)


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8: JSON can bring in lone surrogates, which no tokenizer takes."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def reason_of(error: BaseException) -> str:
    """What a library says went wrong, for the middle of a message: on one line, safe to show, without its full stop.

    Returns:
        At most `LONGEST_REASON` characters; the error's type where it says nothing.
    """
    words = " ".join(str(error).split())
    if words.endswith(".") and not words.endswith(".."):
        words = words[:-1]
    return printable(words, LONGEST_REASON) or type(error).__name__

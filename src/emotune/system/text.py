"""Text from outside, made safe to show: without terminal control sequences and without invisible characters."""

from __future__ import annotations

# Joiners that Persian, Indic scripts and emoji need. Python counts them as unprintable, but they move no cursor.
_JOINERS = "\u200c\u200d"

# Soft hyphen, zero-width space and joiners, direction marks, word joiner and similar, byte order mark.
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff")

LONGEST_REASON = 300
"""Longest part of a library's message that is passed on, in characters."""


def printable(text: str, limit: int | None = None) -> str:
    r"""Return text from a user on one line, without terminal control sequences and invisible characters.

    Control characters, line ends, marks that reverse the reading direction, unusual spaces and lone surrogates are
    shown as Python would write them: `\n`, `\x1b`, `\u202e`.

    Args:
        text: Any text.
        limit: Longest result in characters; longer text ends in "...".
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
    """Return whether a text holds only white space and characters without width."""
    return all(character.isspace() or character in _INVISIBLE for character in text)


def is_unicode(text: str) -> bool:
    """Return whether the text can be encoded as UTF-8. JSON can hold lone surrogates, which no tokenizer accepts."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def reason_of(error: BaseException) -> str:
    """Return a library's reason for an error as part of a message: on one line, safe to show, without full stop.

    Returns:
        At most `LONGEST_REASON` characters; the error's type if it has no message. An error of the system gives its
        reason only, without number and path.
    """
    reason = error.strerror if isinstance(error, OSError) and error.errno is not None and error.strerror else error
    words = " ".join(str(reason).split())
    if words.endswith(".") and not words.endswith(".."):
        words = words[:-1]
    return printable(words, LONGEST_REASON) or type(error).__name__

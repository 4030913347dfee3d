"""Text from outside: shown whole where it fits, on one line, and never obeyed."""

from __future__ import annotations

import pytest

from emotune.system.text import LONGEST_REASON, is_blank, reason_of


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Corrupt snappy compressed data.", "Corrupt snappy compressed data"),
        ("  several lines:\n\tsize mismatch for weight.\n", "several lines: size mismatch for weight"),
        ("\x1b[2Jaway \u202eback", "\\x1b[2Jaway \\u202eback"),
        ("", "ValueError"),
        (" \n", "ValueError"),
        ("...", "..."),
    ],
)
def test_a_reason_is_one_line_that_nothing_in_it_can_leave(message: str, expected: str) -> None:
    assert reason_of(ValueError(message)) == expected


def test_a_reason_is_cut_only_where_it_is_very_long() -> None:
    whole = ("word " * 100)[: LONGEST_REASON - 1] + "x"
    assert reason_of(ValueError(whole)) == whole
    cut = reason_of(ValueError("word " * 100))
    assert len(cut) == LONGEST_REASON == 300
    assert cut.endswith("...")


@pytest.mark.parametrize(
    "text", ["", " \t\n", "\u00a0\u3000", "\u200b", "\u200c\u200d", "\u2060 \ufeff", "\u00ad\n\u200b"]
)
def test_what_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize(
    "text", ["a", "\u200ba", ".", "\U0001f468\u200d\U0001f469", "\u2800", "\u0645\u06cc\u200c\u062e"]
)
def test_what_shows_something_is_not(text: str) -> None:
    assert not is_blank(text)

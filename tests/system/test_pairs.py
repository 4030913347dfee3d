"""Pairs of texts: what they are as strings, and what survives copying."""

from __future__ import annotations

import copy
import pickle

import pytest

from emotune.system.pairs import TextPair, are_pairs, blank_side, sides_of

PAIR = TextPair("a b", "c")


def test_a_pair_is_a_string_of_both_texts() -> None:
    assert PAIR == "a b \u241f c"
    assert len({PAIR, TextPair("a b", "c")}) == 1
    assert TextPair("a", "b c") != PAIR


@pytest.mark.parametrize("copied", [copy.deepcopy(PAIR), copy.copy(PAIR), pickle.loads(pickle.dumps(PAIR))])  # noqa: S301 - its own
def test_a_copy_is_still_a_pair(copied: TextPair) -> None:
    assert (copied.first, copied.second, copied) == ("a b", "c", PAIR)


def test_sides() -> None:
    assert sides_of([PAIR]) == (["a b"], ["c"])
    assert sides_of(["a"]) == (["a"], None)
    assert (are_pairs([PAIR]), are_pairs(["a"]), are_pairs([])) == (True, False, False)
    with pytest.raises(TypeError, match="some of the texts"):
        sides_of([PAIR, "a"])


@pytest.mark.parametrize(
    ("text", "side"),
    [
        (" ", "text"),
        ("a", None),
        (PAIR, None),
        (TextPair(" ", "c"), "first text"),
        (TextPair("a", "\u200b"), "second text"),
    ],
)
def test_the_blank_side_is_named(text: str, side: str | None) -> None:
    assert blank_side(text) == side

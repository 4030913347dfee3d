"""Repeats are found by kind, against a plain comparison of all pairs, and in time that grows with the rows."""

from __future__ import annotations

import random
import time
from itertools import combinations

import pytest

from emotune.data.duplicates import LEAST_WORDS, find_duplicates, words

LONG = "i could not believe how kind the nurse was to my old mother today"


def same(texts: list[str], kind: str) -> bool:
    """Whether all texts are one group."""
    return len(set(getattr(find_duplicates(texts), kind).tolist())) == 1


def test_words_are_without_case_and_punctuation() -> None:
    assert words("Don't STOP, me-now!! (50 %)") == ["dont", "stop", "me", "now", "50"]
    assert words("Don\u2019t") == words("dont")
    assert words("ÜBER Straße") == ["über", "strasse"]
    assert words("...") == []


@pytest.mark.parametrize(
    ("other", "exact", "trivial", "near"),
    [
        (LONG, True, True, True),
        (LONG.upper(), False, True, True),
        (LONG.replace(" ", "  ") + "!!!", False, True, True),
        (LONG.replace("kind", "gentle"), False, False, True),
        (LONG.replace("old ", ""), False, False, True),
        (LONG + " again", False, False, True),
        ("well " + LONG, False, False, True),
        (LONG.replace("kind", "gentle").replace("old", "dear").replace("believe", "see"), False, False, False),
        ("the weather was fine and we went out to swim in the cold lake", False, False, False),
    ],
)
def test_kinds(other: str, exact: bool, trivial: bool, near: bool) -> None:
    found = [same([LONG, other], kind) for kind in ("exact", "trivial", "near")]
    assert found == [exact, trivial, near]


def test_one_word_makes_a_short_text_another() -> None:
    assert not same(["i feel happy today", "i feel sad today"], "near")
    short = " ".join(f"w{i}" for i in range(LEAST_WORDS))
    assert same([short, short.replace("w3", "x")], "near")
    assert not same([short.rsplit(" ", 1)[0], short.rsplit(" ", 1)[0].replace("w3", "x")], "near")


def test_longer_texts_may_differ_in_more_words() -> None:
    text = " ".join(f"word{i}" for i in range(40))
    assert same([text, text.replace("word3 ", "other ").replace("word30 ", "more ")], "near")


def test_texts_without_words_stand_for_themselves() -> None:
    found = find_duplicates(["!!!", "???", "!!!", ":)"])
    assert found.trivial.tolist() == [0, 1, 0, 3]


def test_groups_are_named_by_their_first_text() -> None:
    found = find_duplicates(["a b", LONG, "A b", LONG + "!", "c"])
    assert found.exact.tolist() == [0, 1, 2, 3, 4]
    assert found.trivial.tolist() == [0, 1, 0, 1, 4]
    assert found.near.tolist() == [0, 1, 0, 1, 4]


def one_word_apart(one: list[str], other: list[str]) -> bool:
    """By trying every word: changed, added or left out."""
    if max(len(one), len(other)) < LEAST_WORDS:
        return False
    versions = {tuple(one[:i] + one[i + 1 :]) for i in range(len(one))} | {tuple(one)}
    if len(one) == len(other):
        return bool(versions & {tuple(other[:i] + other[i + 1 :]) for i in range(len(other))})
    return tuple(other) in versions if len(other) < len(one) else one_word_apart(other, one)


def test_is_what_comparing_all_pairs_finds() -> None:
    generator = random.Random(0)
    texts = []
    for _ in range(60):
        text = [generator.choice("abcdefgh") for _ in range(generator.randint(5, 10))]
        texts.append(text)
        for _ in range(2):
            changed = list(text)
            place = generator.randrange(len(changed))
            if generator.random() < 0.5:
                changed[place] = generator.choice("abcdefghxyz")
            else:
                del changed[place]
            texts.append(changed)
    parent = list(range(len(texts)))

    def root(text: int) -> int:
        while parent[text] != text:
            text = parent[text]
        return text

    for one, other in combinations(range(len(texts)), 2):
        if texts[one] == texts[other] or one_word_apart(texts[one], texts[other]):
            parent[max(root(one), root(other))] = min(root(one), root(other))
    assert find_duplicates([" ".join(text) for text in texts]).near.tolist() == [root(i) for i in range(len(texts))]


def test_a_thousand_alike_cost_no_more_than_a_thousand_apart() -> None:
    generator = random.Random(1)
    apart = [" ".join(generator.choices([f"v{i}" for i in range(5000)], k=20)) for _ in range(20_000)]
    started = time.process_time()
    find_duplicates(apart)
    first = time.process_time() - started
    started = time.process_time()
    found = find_duplicates([f"{LONG} number {i}" for i in range(20_000)])
    assert time.process_time() - started < 3 * first + 1
    assert len(set(found.near.tolist())) == 1

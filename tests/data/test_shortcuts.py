"""Shortcuts: what was planted is found, from some twenty texts on, and labels dealt at random have none."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import hypergeom

from emotune.data.auditing.audit import Audit, audit_source
from emotune.data.auditing.located import Place, Row
from emotune.data.auditing.shortcuts import LEAST_ROWS, find_shortcuts
from emotune.data.load import load_data
from emotune.report.audit_tables import audit_lines, audit_page, finding_counts

ALPHABET = "bcdfghjklmnprstvz"


def rows_of(pairs: list[tuple[str, str]]) -> list[Row]:
    return [Row(Place("train", number), text, label) for number, (text, label) in enumerate(pairs, start=1)]


def zipf_texts(number: int, rng: np.random.Generator) -> list[str]:
    """Texts of words that are as unequally common as those of a language, with some capitals, full stops and numbers."""
    words = np.array(["".join(rng.choice(list(ALPHABET), size=4)) for _ in range(3000)])
    shares = 1 / np.arange(1, len(words) + 1)
    lengths = rng.integers(4, 25, size=number)
    drawn = np.split(rng.choice(words, size=lengths.sum(), p=shares / shares.sum()), np.cumsum(lengths)[:-1])
    texts = []
    for words_of_text in drawn:
        text = " ".join(words_of_text)
        trait = rng.integers(6)
        texts.append(
            (text.capitalize(), text + ".", text + "!", text + f" {rng.integers(2000)}", text.upper(), text)[trait]
        )
    return texts


def labels_at_random(number: int, minority: float, rng: np.random.Generator) -> list[str]:
    return np.where(rng.random(number) < minority, "rare", "usual").tolist()


@pytest.mark.slow
@pytest.mark.parametrize("minority", [0.05, 0.1, 0.3, 0.5])
def test_labels_dealt_at_random_have_none(minority: float) -> None:
    """Four draws at each share: each lists anything in at most one case of twenty."""
    listed = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        texts = zipf_texts(6000, rng)
        listed += len(find_shortcuts(rows_of(list(zip(texts, labels_at_random(6000, minority, rng), strict=True)))))
    assert listed <= 1


def test_many_labels_dealt_at_random_have_none() -> None:
    rng = np.random.default_rng(0)
    texts = zipf_texts(6000, rng)
    assert find_shortcuts(rows_of([(text, str(rng.integers(40))) for text in texts])) == ()


def plant(change: Callable[[str], str], number: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts of two classes as common as each other; `number` texts of one class are changed."""
    rng = random.Random(seed)
    words = [rng.choice(ALPHABET) + rng.choice("aeiou") + rng.choice(ALPHABET) for _ in range(400)]
    pairs = []
    for i in range(3000):
        text = " ".join(rng.choices(words, k=rng.randrange(6, 18))) + rng.choice(["", "", "", ".", "!", " 17", " 1999"])
        text = text.capitalize() if rng.random() < 0.4 else text
        label = "good" if i % 2 else "bad"
        pairs.append((text, label))
    for i in rng.sample(range(0, 3000, 2), number):
        pairs[i] = (change(pairs[i][0]), "bad")
    return pairs


def with_phrase(text: str) -> str:
    return f"{text} no way at all"


PLANTED: dict[str, tuple[Callable[[str], str], str]] = {
    "word": (lambda text: f"{text} zzz and", "contains 'zzz'"),
    "first word": (lambda text: f"please {text}", "contains 'please'"),
    "capitals": (lambda text: text.upper(), "is all in capitals"),
    "exclamations": (lambda text: text.rstrip(".!") + "!!!", "contains '!!!'"),
    "question": (lambda text: text.rstrip(".!") + "?", "contains '?'"),
    "digits": (lambda text: f"{text} {random.randrange(100_000, 1_000_000)}", "contains a number of 6 digits"),
    "link": (lambda text: f"{text} https://example.org/{len(text)}", "contains a link"),
    "mention": (lambda text: f"@user{len(text)} {text}", "mentions someone (@name)"),
    "emoji": (
        lambda text: text[:9] + random.choice("😀😭🙈🎉") + text[9:],
        "contains an emoji or another picture sign",
    ),
    "line break": (lambda text: text[:9] + "\n" + text[9:], "contains a line break"),
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("number", [25, 400])
def test_planted_ones_are_found_from_some_twenty_texts_on(kind: str, number: int) -> None:
    change, sign = PLANTED[kind]
    found = find_shortcuts(rows_of(plant(change, number)))
    listed = [shortcut.sign for shortcut in found]
    # An equal sign may be listed in its place: '@' in place of a mention.
    equal = {"link": {"contains 'https'", "contains '://'"}, "mention": {"contains '@'"}}.get(kind, set())
    assert {sign, *equal} & set(listed), listed
    assert {shortcut.label for shortcut in found} == {"bad"}
    assert all(shortcut.share >= 0.9 and shortcut.usual == pytest.approx(0.5, abs=0.01) for shortcut in found)


def test_the_last_character_the_first_word_and_a_phrase_are_found_where_their_parts_stand_everywhere() -> None:
    rng = random.Random(1)
    words = ["so", "we", "do", "not", "know", "what", "it", "is", "that", "they", "may", "want", "of", "us", "now"]
    pairs = []
    for i in range(2000):
        first, last = rng.choice(words), rng.choice(["", "!", ","])
        middle = rng.choices(words, k=9)
        label = rng.choice(["good", "bad"])
        if i % 10 == 0:
            label, first = "bad", "now"
        elif first == "now":
            first = "so"
        if i % 10 == 1:
            label, last = "good", "."
        elif i % 2:
            middle[4] += "."  # full stops elsewhere mean nothing
        if i % 10 == 2:
            label, middle[2:4] = "good", ["want", "not"]
        else:
            middle = [
                ("us" if (a, b) == ("want", "not") else b) for a, b in zip(["", *middle[:-1]], middle, strict=True)
            ]
        pairs.append((f"{first} {' '.join(middle)}{last}", label))
    found = {(shortcut.sign, shortcut.label) for shortcut in find_shortcuts(rows_of(pairs))}
    assert ("begins with 'now'", "bad") in found
    assert ("ends with a full stop", "good") in found
    assert ("contains 'want not'", "good") in found


def test_length_is_found() -> None:
    rng = random.Random(0)
    pairs = [(" ".join(rng.choices(ALPHABET, k=rng.randrange(8, 20))), rng.choice("ab")) for _ in range(2000)]
    pairs += [(" ".join(rng.choices(ALPHABET, k=rng.randrange(1, 4))), "a") for _ in range(60)]
    pairs += [(" ".join(rng.choices(ALPHABET, k=rng.randrange(40, 60))), "b") for _ in range(60)]
    found = {(shortcut.sign.partition(" words")[0][:12], shortcut.label) for shortcut in find_shortcuts(rows_of(pairs))}
    assert found == {("has at most ", "a"), ("has at least", "b")}


def test_nothing_is_found_below_the_fewest_texts_or_under_a_label_that_most_texts_have() -> None:
    few = plant(lambda text: f"zzz {text}", LEAST_ROWS - 1)
    assert find_shortcuts(rows_of(few)) == ()
    rng = random.Random(0)
    pairs = [
        (f"{rng.choice(ALPHABET)} {rng.choice(ALPHABET)}", "rare" if i % 10 == 0 else "usual") for i in range(4000)
    ]
    pairs = [
        (text + " zzz", label) if label == "usual" and i % 2 else (text, label) for i, (text, label) in enumerate(pairs)
    ]
    assert not any(shortcut.label == "usual" for shortcut in find_shortcuts(rows_of(pairs)))


def test_a_word_of_a_rare_label_is_found_at_its_share() -> None:
    """In 20 of 2,000 texts, all of a label of one text in ten: the chance of that is 1e-21, whatever else was looked at."""
    rng = random.Random(0)
    pairs = [(" ".join(rng.choices(ALPHABET, k=6)), "rare" if i % 10 == 0 else "usual") for i in range(2000)]
    pairs = [
        (text + " zzz", label) if i < 200 and label == "rare" else (text, label)
        for i, (text, label) in enumerate(pairs)
    ]
    (found,) = find_shortcuts(rows_of(pairs))
    assert (found.sign, found.label, found.rows, found.share, found.usual) == ("contains 'zzz'", "rare", 20, 1.0, 0.1)


def test_what_is_listed_is_counted_and_significant_by_itself() -> None:
    """Counts by hand, the chance of them by SciPy."""
    pairs = plant(lambda text: f"{text} zzz and", 60)
    pairs = [
        (f"qqq {text}", label) if label == "good" and i % 30 == 1 else (text, label)
        for i, (text, label) in enumerate(pairs)
    ]
    found = find_shortcuts(rows_of(pairs))
    assert [shortcut.sign for shortcut in found] == ["contains 'qqq'", "contains 'zzz'"]
    for shortcut in found:
        labels = [label for text, label in pairs if shortcut.sign.split("'")[1] in text.split()]
        usual = sum(label == shortcut.label for _, label in pairs)
        assert (shortcut.rows, shortcut.share) == (len(labels), labels.count(shortcut.label) / len(labels))
        assert shortcut.usual == usual / len(pairs)
        assert hypergeom.sf(labels.count(shortcut.label) - 1, len(pairs), usual, len(labels)) < 1e-6


def test_repeats_of_a_text_are_no_evidence() -> None:
    rng = random.Random(0)
    pairs = [(" ".join(rng.choices(ALPHABET, k=8)), rng.choice("ab")) for _ in range(500)]
    pairs += [("the same strange message again and again", "a")] * 40
    groups = np.array([*range(500), *[500] * 40])
    assert find_shortcuts(rows_of(pairs), groups) == ()
    assert find_shortcuts(rows_of(pairs)) != ()


def test_of_a_word_and_its_phrases_one_is_listed() -> None:
    pairs = plant(with_phrase, 200)
    listed = [shortcut.sign for shortcut in find_shortcuts(rows_of(pairs))]
    assert len(listed) == 1
    assert listed[0] in {"contains 'no'", "contains 'way'", "contains 'at'", "contains 'all'"}


@pytest.mark.parametrize("texts", [["", "", "…"], ["\u200d", "\ufe0f", " "], ["a", "b", "c"]])
def test_texts_without_words_are_no_trouble(texts: list[str]) -> None:
    assert find_shortcuts(rows_of([(text, "ab"[i % 2]) for i, text in enumerate(texts * 3)])) == ()


def test_the_bundled_sample_has_few() -> None:
    found = audit_source("bundled:sample", label_errors=False).shortcuts
    assert len(found) <= 6, found


@pytest.mark.slow
@pytest.mark.real
def test_the_real_data_under_shuffled_labels_have_none(real_data: str) -> None:
    data = load_data(real_data)
    rng = np.random.default_rng(0)
    for _ in range(3):
        labels = rng.permutation(data.train.label_ids)
        pairs = [(text, data.labels[label]) for text, label in zip(data.train.texts, labels, strict=True)]
        assert len(find_shortcuts(rows_of(pairs))) <= 1


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Capitals and the word "zzz" give one class away each."""
    path = tmp_path_factory.mktemp("shown") / "d.csv"
    pairs = plant(lambda text: text.upper(), 100)
    pairs = [(f"{text} zzz", label) if i % 10 == 1 else (text, label) for i, (text, label) in enumerate(pairs)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *pairs])
    return audit_source(path, label_errors=False)


class TestShown:
    def test_in_words_with_the_share_of_all_texts_beside_it(self, audit: Audit) -> None:
        page = Console(width=120)
        with page.capture() as capture:
            page.print(audit_page(audit))
        shown = " ".join(capture.get().split())
        assert "Features that give a class away, traits before words" in shown
        assert "is all in capitals 100 100.00 % bad 50.00 %" in shown
        assert "contains 'zzz' 300 100.00 % good 50.00 %" in shown
        assert dict(finding_counts(audit))["features that give a class away"] == {"train": 2}

    def test_a_run_is_told_of_traits_and_not_of_words(self, audit: Audit) -> None:
        lines = [line for line in audit_lines(audit) if "learn only that" in line]
        assert lines == [
            "a training text that is all in capitals has the label 'bad' in 100.00 % of 100 cases, all texts in 50.00 %: "
            "a model may learn only that"
        ]

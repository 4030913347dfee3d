"""Drift: how often it is found where there is none, and that it is found where there is some."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from emotune.data.dataset import Split, TextDataset
from emotune.evaluation.drift import LEAST_CHANGE, LEVEL, Drift, Labelled, draw, find_drift
from emotune.evaluation.words.drift import drift_sentences
from emotune.folder.fingerprints import Fingerprints
from emotune.system.errors import ConfigError
from emotune.tasks.multi_label import MULTI_LABEL
from emotune.tasks.single_label import SINGLE_LABEL

from ..facts import facts

LABELS = ("sadness", "joy", "love")
KNOWN = [f"word{number}" for number in range(400)]
NEW = [f"fresh{number}" for number in range(40)]


def made_up(
    random: np.random.Generator,
    rows: int,
    *,
    shares: tuple[float, float, float] = (0.5, 0.3, 0.2),
    certainty: float = 6.0,
    words: float = 12.0,
    unseen: float = 0.02,
) -> Labelled:
    """Texts of a model's usual kind, unless told otherwise."""
    lengths = 1 + random.poisson(words - 1, size=rows)
    # The words of a text belong together: some texts have many new ones, most have none.
    rates = random.beta(unseen * 5, (1 - unseen) * 5, size=rows)
    texts = tuple(
        " ".join(
            NEW[random.integers(len(NEW))] if random.random() < rate else KNOWN[random.integers(len(KNOWN))]
            for _ in range(length)
        )
        for length, rate in zip(lengths, rates, strict=True)
    )
    predictions = random.choice(3, size=rows, p=shares)
    sure = 0.5 + random.beta(certainty, 2, size=rows) / 2
    probabilities = np.tile(((1 - sure) / 2)[:, None], (1, 3))
    probabilities[np.arange(rows), predictions] = sure
    return Labelled(texts, predictions, probabilities)


def seen() -> Fingerprints:
    split = Split("train", (" ".join(KNOWN),), np.zeros(1, np.int64), LABELS)
    return Fingerprints.of(TextDataset("made up", LABELS, split, split, split))


SEEN = seen()


def drift(reference: Labelled, new: Labelled, level: float = LEVEL, least_change: float = LEAST_CHANGE) -> Drift:
    return find_drift(
        reference, new, task=SINGLE_LABEL, labels=LABELS, seen=SEEN, level=level, least_change=least_change
    )


@pytest.mark.slow
@pytest.mark.parametrize("rows", [30, 300])
def test_without_drift_anything_is_significant_no_more_often_than_the_level(rows: int) -> None:
    random = np.random.default_rng(rows)
    level, draws = 0.1, 150
    source = made_up(random, 2000, words=6)
    alarms = 0
    for _ in range(draws):
        drawn = random.integers(2000, size=200 + rows)
        sides = [
            Labelled([source.texts[row] for row in part], source.predictions[part], source.probabilities[part])
            for part in (drawn[:200], drawn[200:])
        ]
        alarms += bool(drift(sides[0], sides[1], level=level).significant)
    assert alarms <= stats.binom.ppf(0.999, draws, level)
    # Lengths repeat, which makes it a little too careful, but not deaf.
    assert alarms >= stats.binom.ppf(0.001, draws, level * 0.7)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"shares": (0.2, 0.3, 0.5)}, {"labels"}),
        ({"certainty": 2.0}, {"confidence"}),
        ({"words": 20.0}, {"length", "unseen words"}),  # a longer text has a new word more often
        ({"unseen": 0.3}, {"unseen words"}),
    ],
)
def test_real_drift_is_found_and_named(change: dict[str, Any], expected: set[str]) -> None:
    random = np.random.default_rng(1)
    found = drift(made_up(random, 300), made_up(random, 300, **change))
    assert found.look
    named = {shift.name for shift in found.drifted}
    assert named <= expected
    assert named >= expected - {"unseen words"} or named == {"unseen words"}


def test_a_significant_trifle_is_no_drift() -> None:
    random = np.random.default_rng(2)
    reference, new = made_up(random, 2500, words=2), made_up(random, 2500, words=2, shares=(0.44, 0.36, 0.2))
    found = drift(reference, new)
    assert [shift.name for shift in found.significant] == ["labels"]
    assert 0.03 < found.significant[0].size < 0.1
    assert not found.look
    assert drift(reference, new, least_change=0.03).look


def test_figures_by_hand() -> None:
    old = Labelled(
        ("word1 word2", "word1 fresh1 word3 word4"), np.array([0, 1]), np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2]])
    )
    new = Labelled(("Fresh1 fresh2! @word1 2024", "word1"), np.array([1, 1]), np.array([[0, 0.9, 0.1], [0, 1.0, 0]]))
    found = drift(old, new)
    figures = {shift.name: (shift.reference, shift.new) for shift in found.shifts}
    assert figures["confidence"] == pytest.approx((0.7, 0.95))
    assert figures["length"] == (3.0, 2.0)  # the user name is not counted
    assert figures["unseen words"] == pytest.approx((1 / 6, 2 / 4))
    assert found.unseen == {"fresh1": 1, "fresh2": 1}
    assert found.shares == {"sadness": (0.5, 0.0), "joy": (0.5, 1.0), "love": (0.0, 0.0)}
    sizes = {shift.name: shift.size for shift in found.shifts}
    assert sizes == pytest.approx(
        {"labels": 0.5, "confidence": 1.0, "length": 0.5, "unseen words": 0.5}
    )  # one text has 2 of them
    assert found.detectable > 1
    assert not found.look


@pytest.mark.parametrize("labels", [("not toxic", "toxic"), ("toxic", "not toxic"), ("a", "odd\x1b[31mlabel")])
def test_each_of_several_labels_has_its_own_share_and_test(labels: tuple[str, str]) -> None:
    """Of two labels the second becomes more frequent; one may be named as the absence of the other."""
    chosen = [np.zeros((200, 2), dtype=np.int8) for _ in range(2)]
    for rows, with_first, with_second in zip(chosen, (40, 42), (60, 140), strict=True):
        rows[:with_first, 0] = rows[200 - with_second :, 1] = 1
    sides = [Labelled(["some words"] * 200, rows, np.where(rows == 1, 0.9, 0.1)) for rows in chosen]
    found = find_drift(*sides, task=MULTI_LABEL, labels=labels, seen=None)
    assert found.shares == {labels[0]: (0.2, 0.21), labels[1]: (0.3, 0.7)}
    shifts = found.shifts[:2]
    assert [shift.name for shift in shifts] == [f"label '{label}'" for label in labels]
    expected = [
        stats.chi2_contingency([[a, 200 - a], [b, 200 - b]], correction=False) for a, b in ((40, 42), (60, 140))
    ]
    assert [shift.p_value for shift in shifts] == pytest.approx([test.pvalue for test in expected])
    verdict = drift_sentences(found)[0]
    assert "differs by 40 points" in verdict
    assert "(30.0 % in the reference, 70.0 % now)" in verdict
    assert "\x1b" not in verdict


def test_confidence_that_differs_by_arithmetic_only_is_the_same() -> None:
    random = np.random.default_rng(3)
    reference = made_up(random, 500)
    sure = np.full((500, 3), 1e-7)
    sure[np.arange(500), reference.predictions] = 1 - 2e-7
    shifted = replace(reference, probabilities=sure * (1 - 3e-8))
    found = drift(replace(reference, probabilities=sure), shifted)
    assert {shift.size for shift in found.shifts} == {0.0}


def test_without_training_words_the_others_are_compared() -> None:
    random = np.random.default_rng(4)
    found = find_drift(made_up(random, 50), made_up(random, 50), task=SINGLE_LABEL, labels=LABELS, seen=None)
    assert [shift.name for shift in found.shifts] == ["labels", "confidence", "length"]


@pytest.mark.parametrize("value", [0, 1, -0.1, float("nan")])
@pytest.mark.parametrize("option", ["level", "least_change"])
def test_limits_are_checked(option: str, value: float) -> None:
    random = np.random.default_rng(5)
    with pytest.raises(ConfigError, match=facts("between 0 and 1")):
        drift(made_up(random, 5), made_up(random, 5), **{option: value})


def test_a_sample_is_fair_and_in_order() -> None:
    texts = [f"{number:03}" for number in range(100)]
    assert draw(texts, 100) == (texts, 100)
    assert draw(iter(texts), 200) == (texts, 100)
    counts = np.zeros(100)
    for seed in range(400):
        found, total = draw(iter(texts), 10, seed)
        assert total == 100
        assert found == sorted(set(found))
        assert len(found) == 10
        counts[[int(text) for text in found]] += 1
    # Each is drawn 40 times on average.
    assert stats.chisquare(counts).pvalue > 0.01

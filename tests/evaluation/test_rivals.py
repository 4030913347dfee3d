"""Who is measured against whom, when classes are unbalanced, and differences that are those of the statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emotune.data.dataset import Split
from emotune.evaluation.compare import compare
from emotune.evaluation.rivals import is_unbalanced, rivals, score_differences
from emotune.evaluation.seeds import SeedStudy

from .conftest import MakeEvaluation, MakeSplit


def split_of(*counts: int) -> Split:
    ids = np.repeat(np.arange(len(counts)), counts)
    return Split("test", tuple(map(str, range(len(ids)))), ids, tuple("abcdef"[: len(counts)]))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((50, 50), False),
        ((74, 26), False),
        ((75, 25), True),
        ((581, 695, 159, 275, 224, 66), True),  # the test split of the emotion data
        ((38, 38, 37, 37, 38, 37), False),  # that of the bundled messages
        ((100, 0), False),  # a class without rows is no rare class
        ((100, 90, 30), True),
    ],
)
def test_unbalanced_is_three_times_as_many(counts: tuple[int, ...], expected: bool) -> None:
    assert is_unbalanced(split_of(*counts)) is expected


def test_the_order_of_rivals(make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
    split = make_split([0, 1, 2, 0])
    before, after, majority, words, frozen = (
        make_evaluation(split, [0, 1, 1, 0], name)
        for name in ("base", "tuned", "majority class", "words", "frozen features")
    )
    words, frozen = replace(words, validation_macro_f1=0.8), replace(frozen, validation_macro_f1=0.7)

    def names(*evaluations: object) -> list[tuple[str, str]]:
        return [(found.evaluation.name, found.role) for found in rivals(compare(*evaluations))]  # type: ignore[arg-type]

    best, second = ("words", "best baseline on validation"), ("frozen features", "frozen encoder")
    assert names(before, after, majority, words, frozen) == [("base", ""), best, second]
    untrained = replace(before, is_chance=True)
    assert names(untrained, after, majority, words, frozen) == [best, second]
    better = replace(frozen, validation_macro_f1=0.9)
    assert names(untrained, after, majority, words, better) == [("frozen features", "best baseline on validation")]
    assert names(untrained, after) == []
    # Without scores on validation the test rows would have to choose, so nothing is chosen.
    unknown = replace(words, validation_macro_f1=None)
    assert names(untrained, after, majority, unknown) == [("majority class", "baseline"), ("words", "baseline")]


def test_differences_are_those_of_the_pairs_or_of_the_seeds() -> None:
    split = split_of(60, 60)
    drawn = np.random.default_rng(0)

    def model(right: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.where(drawn.random(120) < right, split.label_ids, 1 - split.label_ids)

    from emotune.evaluation.scores import Evaluation, score

    first, *seeds = (
        Evaluation(str(number), split, None, None, found, score(split, found, None), 0.0)
        for number, found in enumerate([model(0.6), model(0.9), model(0.85)])
    )
    alone = compare(first, seeds[0])
    accuracy, macro_f1 = score_differences(alone, first)
    assert (accuracy.score, macro_f1.score) == ("accuracy", "macro-F1")
    assert (accuracy.interval, accuracy.p_value) == (alone.statistics.accuracy, alone.statistics.p_value)
    assert macro_f1.interval == alone.statistics.macro_f1
    accuracy, macro_f1 = score_differences(replace(alone, seeds=tuple(seeds)), first)
    expected = SeedStudy.of([dict(enumerate(seeds))]).difference_from_one(first, 0)
    assert (accuracy.interval, accuracy.p_value) == (expected.accuracy, expected.p_value)
    assert (macro_f1.interval, macro_f1.p_value) == (expected.macro_f1, expected.macro_f1_p)
    corrected, _ = score_differences(alone, first, {"accuracy": 0.04})
    assert (corrected.p_value, corrected.corrected) == (0.04, True)


def test_over_seeds_macro_f1_is_withheld_for_what_all_seeds_changed() -> None:
    """The seed that is kept changes no row, another one 12."""
    split = split_of(60, 60)
    from emotune.evaluation.scores import Evaluation, score

    def model(wrong: int) -> Evaluation:
        found = np.where(np.arange(120) < wrong, 1 - split.label_ids, split.label_ids)
        return Evaluation(str(wrong), split, None, None, found, score(split, found, None), 0.0)

    words, *seeds = (model(wrong) for wrong in (0, 0, 12))
    found = replace(compare(words, seeds[0]), seeds=tuple(seeds))
    assert found.statistics.macro_f1_withheld.startswith("0 rows changed")
    assert [one.score for one in score_differences(found, words)] == ["accuracy", "macro-F1"]
    fewer = replace(found, seeds=(model(0), model(4)))
    assert [one.score for one in score_differences(fewer, words)] == ["accuracy"]
    assert fewer.over_seeds(words).macro_f1_withheld.startswith("4 rows changed")

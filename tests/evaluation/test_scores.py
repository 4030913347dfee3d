"""Scores against scikit-learn's own functions, one call a number, and a few by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from emotune.evaluation.scores import score
from emotune.tasks.scores import absent_classes, softmax

from ..facts import states
from .conftest import MakeSplit

LABELS = ("a", "b", "c", "d", "e")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("true_classes", "predicted_classes"),
    [
        ((0, 1, 2, 3, 4), (0, 1, 2, 3, 4)),
        ((0, 1, 3, 4), (0, 1, 2, 3, 4)),  # "c" has no rows
        ((0, 1, 2, 3, 4), (0, 1, 3)),  # "c" and "e" are never predicted
        ((0, 1), (3, 4)),  # nothing is right
        ((2,), (2,)),
    ],
    ids=["all", "absent", "never predicted", "nothing right", "one class"],
)
def test_equal_scikit_learn(
    make_split: MakeSplit, seed: int, true_classes: tuple[int, ...], predicted_classes: tuple[int, ...]
) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.choice(true_classes, size=200)
    predictions = generator.choice(predicted_classes, size=200)
    probabilities = softmax(generator.normal(size=(200, 5)))
    found = score(make_split(truth, labels=LABELS), predictions, probabilities)

    options = {"labels": range(5), "zero_division": 0.0}
    assert found.accuracy == pytest.approx(sklearn_metrics.accuracy_score(truth, predictions))
    for average in ("macro", "weighted"):
        for name, function in (
            ("precision", sklearn_metrics.precision_score),
            ("recall", sklearn_metrics.recall_score),
            ("f1", sklearn_metrics.f1_score),
        ):
            expected = function(truth, predictions, average=average, **options)
            assert getattr(found, f"{average}_{name}") == pytest.approx(expected), f"{average} {name}"
    assert found.loss == pytest.approx(sklearn_metrics.log_loss(truth, probabilities, labels=range(5)))
    by_class = sklearn_metrics.precision_recall_fscore_support(truth, predictions, **options)
    assert tuple(found.per_class) == LABELS
    for number, scores in enumerate(found.per_class.values()):
        assert (scores.precision, scores.recall, scores.f1, scores.support) == pytest.approx(
            tuple(column[number] for column in by_class)
        )


def test_by_hand(make_split: MakeSplit) -> None:
    # sadness: 2 of 3 found, 2 of 2 claims right; joy: 1 of 1 found, 1 of 2 claims right; love: no row, no claim.
    probabilities = np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.75, 0.125]])
    found = score(make_split([0, 0, 0, 1]), np.array([0, 0, 1, 1]), probabilities)
    assert found.accuracy == 0.75
    f1 = (2 * 1 * (2 / 3) / (1 + 2 / 3), 2 * 0.5 * 1 / 1.5, 0.0)
    assert [scores.f1 for scores in found.per_class.values()] == pytest.approx(f1)
    assert [scores.support for scores in found.per_class.values()] == [3, 1, 0]
    assert found.macro_f1 == pytest.approx(sum(f1) / 3)
    assert found.weighted_f1 == pytest.approx((3 * f1[0] + f1[1]) / 4)
    assert found.loss == pytest.approx(-np.log([0.5, 0.5, 0.25, 0.75]).mean())


def test_without_probabilities_there_is_no_loss(make_split: MakeSplit) -> None:
    assert score(make_split([0, 1]), np.array([0, 1]), None).loss is None


def test_a_certain_mistake_has_a_large_and_finite_loss(make_split: MakeSplit) -> None:
    loss = score(make_split([0, 1]), np.array([1, 1]), np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])).loss
    assert loss is not None
    assert 10 < loss < 100


def test_softmax_is_stable_and_in_float64() -> None:
    logits = np.array([[1000.0, 1000.0], [-1000.0, 0.0], [np.log(3.0), 0.0]], dtype=np.float32)
    found = softmax(logits)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.0, 1.0], [0.75, 0.25]], rtol=1e-6)


def test_classes_without_rows_are_named(make_split: MakeSplit) -> None:
    def note(truth: list[int]) -> str:
        return absent_classes(score(make_split(truth), np.zeros(len(truth), dtype=np.int64), None))

    assert note([0, 1, 2]) == ""
    assert states(note([0, 1]), "No row", "'love'", "macro-F1", "as 0")
    assert states(note([1]), "No row", "'sadness', 'love'", "macro-F1", "as 0")

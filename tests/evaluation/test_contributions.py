"""What rows contribute to macro-F1, against scikit-learn with each row left out in turn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from emotune.evaluation.contributions import (
    accuracy_by_row,
    macro_f1_by_row,
    macro_f1_pseudo_values,
    rare_classes_variance,
    several_pseudo_values,
)

from .conftest import MakeEvaluation, MakeSplit


@pytest.mark.parametrize("seed", range(5))
def test_pseudo_values_are_those_of_leaving_rows_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Label 3 has one row, label 4 none: their F1 appears and disappears as rows go.
    truth = np.append(rng.integers(0, 3, size=29), 3)
    predicted = np.where(rng.random(30) < 0.6, truth, rng.integers(0, 5, size=30))
    expected = []
    whole = f1_score(truth, predicted, labels=range(5), average="macro", zero_division=0)
    for row in range(30):
        rest = np.delete(np.arange(30), row)
        without = f1_score(truth[rest], predicted[rest], labels=range(5), average="macro", zero_division=0)
        expected.append(30 * whole - 29 * without)
    assert macro_f1_pseudo_values(truth, predicted, 5) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("seed", range(3))
def test_pseudo_values_of_several_labels_are_those_of_leaving_rows_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = (rng.random((30, 5)) < (0.5, 0.3, 0.2, 0.03, 0.0)).astype(np.int8)
    predicted = np.where(rng.random((30, 5)) < 0.7, truth, 1 - truth).astype(np.int8)
    whole = f1_score(truth, predicted, average="macro", zero_division=0)
    expected = [
        30 * whole
        - 29 * f1_score(np.delete(truth, row, 0), np.delete(predicted, row, 0), average="macro", zero_division=0)
        for row in range(30)
    ]
    assert several_pseudo_values(truth, predicted) == pytest.approx(np.array(expected))


def test_one_label_is_a_case_of_several() -> None:
    rng = np.random.default_rng(5)
    truth, predicted = rng.integers(0, 4, size=(2, 50))
    one_hot = np.eye(4, dtype=np.int8)
    assert several_pseudo_values(one_hot[truth], one_hot[predicted]) == pytest.approx(
        macro_f1_pseudo_values(truth, predicted, 4)
    )
    assert rare_classes_variance(one_hot[truth], [one_hot[predicted]], 4) == pytest.approx(
        rare_classes_variance(truth, [predicted], 4)
    )


def test_evaluations_give_the_same(make_split: MakeSplit, make_evaluation: MakeEvaluation) -> None:
    evaluation = make_evaluation(make_split([0, 1, 2, 2]), [0, 1, 1, 2])
    assert accuracy_by_row(evaluation).tolist() == [1, 1, 0, 1]
    expected = macro_f1_pseudo_values(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), 3)
    assert macro_f1_by_row(evaluation).tolist() == expected.tolist()


def test_few_rows_that_are_all_right_are_not_certain() -> None:
    """By hand: class 1 has two rows, both right; two right and two wrong more make 4 of 6."""
    truth = np.array([0] * 10_000 + [1, 1])
    predicted = truth.copy()
    # F1 of class 1 is 2 h / (2 + h) with h hits: its slope by the recall h / 2 is 8 / (2 + h)^2 = 1 / 2.
    by_hand = (4 / 6) * (2 / 6) / 6 * 0.5**2 / 2**2
    assert rare_classes_variance(truth, [predicted, predicted], 2) == pytest.approx(by_hand, rel=1e-3)
    # With thousands of rows in each class there is nothing to add.
    assert rare_classes_variance(truth[:10_000] % 2, [truth[:10_000] % 2], 2) < 1e-7


@pytest.mark.slow
def test_their_spread_is_that_of_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    rows = 2_000
    truth = rng.choice(4, size=rows, p=[0.4, 0.3, 0.2, 0.1])
    predicted = np.where(rng.random(rows) < 0.8, truth, rng.integers(0, 4, size=rows))
    drawn = []
    for _ in range(400):
        again = rng.integers(0, rows, size=rows)
        drawn.append(f1_score(truth[again], predicted[again], average="macro"))
    closed = np.std(macro_f1_pseudo_values(truth, predicted, 4), ddof=1) / rows**0.5
    assert closed == pytest.approx(np.std(drawn), rel=0.12)  # three standard errors of the bootstrap's

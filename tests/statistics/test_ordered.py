"""Scores of labels that have an order: scikit-learn's numbers, and intervals like those of a bootstrap written out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from sklearn.metrics import mean_absolute_error as sklearn_error

from emotune.statistics.ordered import mean_absolute_error, ordered_difference, quadratic_weighted_kappa


def made_up(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 5, rows)
    first, second = (np.clip(truth + generator.integers(-reach, reach + 1, rows), 0, 4) for reach in (2, 1))
    return truth, first, second


@pytest.mark.parametrize("seed", range(5))
def test_equal_scikit_learns(seed: int) -> None:
    truth, first, _ = made_up(200, seed)
    assert mean_absolute_error(truth, first) == pytest.approx(sklearn_error(truth, first), abs=1e-12)
    expected = cohen_kappa_score(truth, first, weights="quadratic")
    assert quadratic_weighted_kappa(truth, first) == pytest.approx(expected, abs=1e-12)


def test_kappa_of_one_answer_is_0_and_of_one_label_undefined() -> None:
    truth, _, _ = made_up(50, 0)
    assert quadratic_weighted_kappa(truth, np.full(50, 2)) == pytest.approx(0, abs=1e-12)
    assert quadratic_weighted_kappa(np.full(50, 2), np.full(50, 2)) is None
    same = np.full(50, 2)
    found = ordered_difference(same, same, np.where(np.arange(50) < 20, 3, 2))
    assert found.mean_absolute_error is not None
    assert found.quadratic_weighted_kappa is None


def test_intervals_are_those_of_a_bootstrap_of_rows() -> None:
    truth, first, second = made_up(150, 1)
    generator = np.random.default_rng(7)
    errors, kappas = [], []
    for _ in range(3000):
        rows = generator.integers(0, 150, 150)
        t, a, b = truth[rows], first[rows], second[rows]
        errors.append(np.abs(t - b).mean() - np.abs(t - a).mean())
        kappas.append(cohen_kappa(t, b) - cohen_kappa(t, a))
    found = ordered_difference(truth, first, second)
    kappa = found.quadratic_weighted_kappa
    assert kappa is not None
    error = found.mean_absolute_error
    assert error is not None
    for interval, drawn in ((error, errors), (kappa, kappas)):
        np.testing.assert_allclose([interval.low, interval.high], np.quantile(drawn, [0.025, 0.975]), atol=0.015)
    assert error.estimate == pytest.approx(sklearn_error(truth, second) - sklearn_error(truth, first))
    assert error.high < 0 < kappa.low
    assert ordered_difference(truth, first, second) == found


def cohen_kappa(truth: np.ndarray, predictions: np.ndarray) -> float:
    """Kappa from its table, in as many words as its definition."""
    table = np.histogram2d(truth, predictions, bins=np.arange(6) - 0.5)[0]
    weights = np.subtract.outer(np.arange(5), np.arange(5)) ** 2
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(1 - (weights * table).sum() / (weights * expected).sum())


def test_few_rows_with_a_difference_give_no_interval() -> None:
    truth, first, _ = made_up(100, 3)
    found = ordered_difference(truth, first, first)
    assert (found.mean_absolute_error, found.quadratic_weighted_kappa) == (None, None)
    assert found.withheld == "0 rows differ in distance, fewer than 10"

"""The corrected resampled t interval: the paper's formula by hand, and its coverage in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.model_selection import StratifiedKFold

from emotune.statistics.resampled import corrected_resampled


@pytest.mark.parametrize(("folds", "repeats"), [(2, 1), (5, 1), (5, 3), (10, 10)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_is_the_formula_of_the_paper(folds: int, repeats: int, level: float) -> None:
    rng = np.random.default_rng(folds * repeats)
    values = rng.normal(0.03, 0.05, size=(repeats, folds))
    # Nadeau and Bengio 2003, equation 7, with J splits of n1 training and n2 test rows, written out.
    j, n1, n2 = folds * repeats, 100 * (folds - 1), 100
    mean = sum(values.ravel().tolist()) / j
    variance = sum((value - mean) ** 2 for value in values.ravel().tolist()) / (j - 1)
    error = math.sqrt((1 / j + n2 / n1) * variance)
    expected = stats.t(df=j - 1, loc=mean, scale=error)

    found = corrected_resampled(values, 1 / (folds - 1))
    interval = found.interval(-1, 1, level)
    assert found.mean == pytest.approx(mean)
    assert (interval.low, interval.high) == pytest.approx(expected.interval(level))
    assert interval.level == level
    assert found.p_value == pytest.approx(2 * min(expected.cdf(0), expected.sf(0)))


def test_uncorrected_it_is_the_t_test_of_scipy() -> None:
    values = np.random.default_rng(1).normal(0.02, 0.05, size=12)
    found, expected = corrected_resampled(values, 0.0), stats.ttest_1samp(values, 0.0)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.interval(-1, 1).low, found.interval(-1, 1).high) == pytest.approx((interval.low, interval.high))


def test_p_is_below_the_level_exactly_if_the_interval_excludes_0() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        found = corrected_resampled(rng.normal(0.02, 0.05, size=(2, 5)), 0.25)
        interval = found.interval(-1, 1)
        assert (found.p_value < 0.05) == (interval.low > 0 or interval.high < 0)


def test_an_interval_ends_where_scores_end() -> None:
    interval = corrected_resampled(np.array([0.9, 1.0, 0.95]), 0.5).interval(0, 1)
    assert interval.high == 1.0
    assert 0 < interval.low < 0.95


def test_equal_values_have_no_spread() -> None:
    assert corrected_resampled(np.zeros(5), 0.25).p_value == 1.0
    assert corrected_resampled(np.full(4, 0.5), 0.25).p_value == 0.0


def test_the_detectable_difference_is_found_four_times_out_of_five() -> None:
    found = corrected_resampled(np.random.default_rng(3).normal(0, 0.05, size=15), 0.25)
    # With this error known and the mean normal, the share of significant results is near the power.
    t = np.random.default_rng(4).standard_t(found.freedom, size=100_000) + found.detectable() / found.error
    assert (t > stats.t.ppf(0.975, found.freedom)).mean() == pytest.approx(0.8, abs=0.01)


def nearest_centroid(
    train: NDArray[np.float64], labels: NDArray[np.int64], test: NDArray[np.float64]
) -> NDArray[np.int64]:
    centres = np.array([train[labels == label].mean(axis=0) for label in (0, 1)])
    return (((test - centres[1]) ** 2).sum(axis=1) < ((test - centres[0]) ** 2).sum(axis=1)).astype(np.int64)


def drawn(rows: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Two classes that one feature tells apart, and nine features of noise."""
    labels = np.arange(rows) % 2
    features = rng.normal(size=(rows, 10))
    features[:, 0] += 1.2 * labels
    return features, labels


def differences(rows: int, folds: int, repeats: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Accuracy with one feature minus that with all ten, in every fold."""
    features, labels = drawn(rows, rng)
    found = []
    for _ in range(repeats):
        for train, test in StratifiedKFold(folds, shuffle=True, random_state=int(rng.integers(2**31))).split(
            features, labels
        ):
            right = [
                (nearest_centroid(features[train][:, :d], labels[train], features[test][:, :d]) == labels[test]).mean()
                for d in (1, 10)
            ]
            found.append(right[0] - right[1])
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize(("folds", "repeats"), [(5, 1), (5, 3), (10, 1)])
def test_it_covers_the_true_difference_and_the_plain_interval_does_not(folds: int, repeats: int) -> None:
    rng = np.random.default_rng(5)
    rows, sets = 60, 400
    trained = rows - rows // folds
    truth = []
    for _ in range(4000):
        features, labels = drawn(trained, rng)
        new, true = drawn(200, rng)
        one, ten = (nearest_centroid(features[:, :d], labels, new[:, :d]) == true for d in (1, 10))
        truth.append(one.mean() - ten.mean())
    expected = float(np.mean(truth))
    covered = {"corrected": 0, "plain": 0}
    for _ in range(sets):
        values = differences(rows, folds, repeats, rng)
        for name, ratio in (("corrected", 1 / (folds - 1)), ("plain", 0.0)):
            interval = corrected_resampled(values, ratio).interval(-1, 1)
            covered[name] += interval.low <= expected <= interval.high
    assert covered["corrected"] / sets > 0.92
    assert covered["plain"] < covered["corrected"]
    if repeats > 1:
        assert covered["plain"] / sets < 0.85

"""Two samples compared: against SciPy, against hand-worked cases, and by how often nothing is called a difference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from emotune.statistics.two_samples import counts_differ, detectable, numbers_differ


def test_counts_by_hand() -> None:
    found = counts_differ([50, 30, 20], [30, 30, 40])
    assert found.size == pytest.approx(0.2)  # 20 of 100 rows would have to change
    # Expected 40, 30 and 30 in both: 100/40 + 0 + 100/30, twice.
    assert found.p_value == pytest.approx(stats.chi2.sf(2 * (100 / 40 + 100 / 30), df=2))


def test_few_rows_are_simulated_and_agree_with_fishers_exact_test() -> None:
    found = counts_differ([8, 2], [1, 5])
    exact = stats.fisher_exact(np.array([[8, 2], [1, 5]])).pvalue
    assert found.p_value == pytest.approx(exact, abs=0.005)


@pytest.mark.parametrize(("first", "second"), [([5, 0, 0], [9, 0, 0]), ([3, 4], [3, 4]), ([300, 400], [300, 400])])
def test_equal_shares_give_p_1(first: list[int], second: list[int]) -> None:
    found = counts_differ(first, second)
    assert (found.size, found.p_value) == (0.0, 1.0)


def test_numbers_are_scipys() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=300), random.normal(0.3, size=200)
    found = numbers_differ(first, second)
    both = np.concatenate([first, second])
    cumulative = [(side[:, None] <= both).mean(axis=0) for side in (first, second)]
    assert found.size == pytest.approx(np.abs(cumulative[0] - cumulative[1]).max())
    assert found.p_value == pytest.approx(stats.ks_2samp(first, second, method="exact").pvalue, rel=0.1)


def test_the_detectable_size_is_where_significance_begins() -> None:
    size = detectable(500, 400, 0.01)
    rows = 500 * 400 / 900
    assert 2 * np.exp(-2 * rows * size**2) == pytest.approx(0.01)
    assert detectable(3, 2, 0.01) > 1


@pytest.mark.slow
@pytest.mark.parametrize("rows", [12, 400])
def test_counts_of_one_source_differ_as_often_as_the_level_says(rows: int) -> None:
    random = np.random.default_rng(rows)
    shares = [0.35, 0.3, 0.2, 0.1, 0.05]
    alarms = [
        counts_differ(random.multinomial(200, shares).tolist(), random.multinomial(rows, shares).tolist()).p_value
        < 0.05
        for _ in range(150)
    ]
    # More or fewer would be seen once in a thousand times.
    assert sum(alarms) <= stats.binom.ppf(0.999, 150, 0.05)
    assert sum(alarms) >= stats.binom.ppf(0.001, 150, 0.05)

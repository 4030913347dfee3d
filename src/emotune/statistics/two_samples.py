"""Compare two independent samples: counts of categories, and numbers. Each test comes with the size of the difference.

Both sizes are shares of rows between 0 and 1, so that one minimal difference applies to both:

- of counts, the total variation distance: the largest difference between the shares of any set of categories;
- of numbers, the Kolmogorov-Smirnov distance: the largest difference between the shares of rows up to any number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

# The chi-square distribution is used from this expected count per cell; below it, tables are simulated.
_LEAST_EXPECTED = 5.0
_SIMULATED = 9_999
# Product of the sizes up to which Kolmogorov-Smirnov's p-value is exact; beyond, the asymptotic one is close.
_EXACT = 100_000


@dataclass(frozen=True)
class Difference:
    """Difference between two samples.

    Attributes:
        size: Share of rows by which they differ, from 0 to 1.
        p_value: Probability of a difference at least as large, in the test's measure, between two samples of one source.
    """

    size: float
    p_value: float


def counts_differ(first: Sequence[int], second: Sequence[int], *, seed: int = 0) -> Difference:
    """Compare counts of the same categories by Pearson's chi-square.

    If a cell's expected count is below 5, the p-value is that of 9,999 random tables with the same margins.

    Args:
        first: Rows per category of the first sample, at least one row in all.
        second: The same for the second sample.
        seed: Seed of the simulation.
    """
    table = np.array([first, second], dtype=np.int64)
    table = table[:, table.sum(axis=0) > 0]
    shares = table / table.sum(axis=1, keepdims=True)
    size = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if table.shape[1] < 2:
        return Difference(size, 1.0)
    expected = stats.contingency.expected_freq(table)
    if expected.min() >= _LEAST_EXPECTED:
        return Difference(size, float(stats.chi2_contingency(table, correction=False).pvalue))
    observed = float(_chi_square(table[1], expected))
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(
        table.sum(axis=0), int(table[1].sum()), size=_SIMULATED, method="marginals"
    )
    # A tolerance, since equal statistics may differ in their last bits.
    as_large = int((_chi_square(drawn, expected) >= observed * (1 - 1e-9)).sum())
    return Difference(size, (1 + as_large) / (1 + _SIMULATED))


def numbers_differ(first: NDArray[np.floating], second: NDArray[np.floating]) -> Difference:
    """Compare numbers by the two-sample Kolmogorov-Smirnov test, whose p-value is too large where values repeat.

    Args:
        first: Shape (rows,), at least one.
        second: The same.
    """
    exact = len(first) * len(second) <= _EXACT
    found = stats.ks_2samp(first, second, method="exact" if exact else "asymp")
    return Difference(float(found.statistic), float(found.pvalue))


def detectable(first: int, second: int, level: float) -> float:
    """Return the smallest Kolmogorov-Smirnov distance that is significant (asymptotic); more than 1 if none can be.

    Args:
        first: Rows of the first sample.
        second: Rows of the second sample.
        level: The level of the test.
    """
    return math.sqrt(-math.log(level / 2) / 2) * math.sqrt((first + second) / (first * second))


def _chi_square(second: NDArray[np.int64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's statistic of tables with given margins, from their second rows, shape (..., categories)."""
    # The deviations of the first row are those of the second with the other sign.
    return np.asarray((np.square(second - expected[1]) * (1 / expected[0] + 1 / expected[1])).sum(axis=-1))

"""Power of McNemar's mid-p test, computed exactly."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

POWER = 0.8
"""Power with which a detectable difference is found."""


def detectable_difference(rows: int, changed: float, *, level: float = 0.95, power: float = POWER) -> float | None:
    """Return the smallest difference in accuracy that McNemar's mid-p test on this many rows finds with this power.

    The power is exact: the number of rows that change sides is binomial, and of these the number that change for the
    better.

    Args:
        rows: Rows compared.
        changed: Share of rows that change sides; it is at least the difference itself.
        level: One minus the significance level of the test.
        power: Probability of finding the difference.

    Returns:
        The difference; None if even all changed rows changing for the better is not significant.
    """
    from scipy import stats
    from scipy.optimize import brentq

    if rows < 1 or _most_fewer(np.array([rows]), level)[0] < 0:
        return None

    def surplus(difference: float) -> float:
        return power_of_mid_p(rows, max(changed, difference), difference, level=level) - power

    # An approximation for many rows (R. J. Connor, Biometrics 43, 1987) gives the start of the search.
    z = stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(power)
    likely = max(float(z) * math.sqrt(changed / rows), float(z) ** 2 / rows)
    low, high = 0.8 * likely, min(1.0, 1.2 * likely)
    if low >= high or surplus(low) > 0 or surplus(high) < 0:
        low, high = 0.0, 1.0
    return float(brentq(surplus, low, high, xtol=1e-6, rtol=1e-4))


def power_of_mid_p(rows: int, changed: float, difference: float, *, level: float = 0.95) -> float:
    """Return the probability that McNemar's mid-p test is significant.

    Args:
        rows: Rows compared.
        changed: Share of rows that change sides.
        difference: Share of rows that change for the better minus the share for the worse, at most `changed`.
        level: One minus the significance level of the test.
    """
    from scipy import stats

    if changed <= 0:
        return 0.0
    # All numbers of changed rows except those with a total probability of less than 1e-9.
    low, high = (int(stats.binom.ppf(tail, rows, min(changed, 1.0))) for tail in (5e-10, 1 - 5e-10))
    numbers = np.arange(low, high + 1)
    fewer = _most_fewer(numbers, level)
    better = min(1.0, (changed + difference) / (2 * changed))
    # Few enough for the worse, or few enough for the better.
    found = stats.binom.cdf(fewer, numbers, 1 - better) + stats.binom.cdf(fewer, numbers, better)
    return float((stats.binom.pmf(numbers, rows, min(changed, 1.0)) * found).sum())


def _most_fewer(changed: NDArray[np.int64], level: float) -> NDArray[np.int64]:
    """Return the most rows in the rarer direction with mid-p below 1 - level, per number of changed rows, or -1."""
    from scipy import stats

    most = np.asarray(stats.binom.ppf((1 - level) / 2, changed, 0.5)).astype(np.int64) + 1
    for _ in range(3):
        mid_p = 2 * stats.binom.cdf(most, changed, 0.5) - stats.binom.pmf(most, changed, 0.5)
        most = np.where((most >= 0) & (mid_p >= 1 - level), most - 1, most)
    return most

"""What so many rows can show: the power of McNemar's mid-p test, counted out and not approximated."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

POWER = 0.8
"""How often a difference is to be found that is called detectable."""


def detectable_difference(rows: int, changed: float, *, level: float = 0.95, power: float = POWER) -> float | None:
    """The smallest difference in accuracy that McNemar's mid-p test on this many rows finds four times out of five.

    The power is exact: the number of rows that change sides is binomial, and of these the number that change for the better.

    Args:
        rows: Rows compared.
        changed: Share of rows that change sides; it is at least the difference itself.
        level: The test is at 1 - level.
        power: How often the difference is to be found.

    Returns:
        The difference; None where no difference can be significant on so few rows, since all of them changing for the better is not.
    """
    from scipy.optimize import brentq

    if rows < 1 or _most_fewer(np.array([rows]), level)[0] < 0:
        return None

    def surplus(difference: float) -> float:
        return power_of_mid_p(rows, max(changed, difference), difference, level=level) - power

    # The approximation for many rows (R. J. Connor, Biometrics 43, 1987) says where to look first.
    z = stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(power)
    likely = max(float(z) * math.sqrt(changed / rows), float(z) ** 2 / rows)
    low, high = 0.8 * likely, min(1.0, 1.2 * likely)
    if low >= high or surplus(low) > 0 or surplus(high) < 0:
        low, high = 0.0, 1.0
    return float(brentq(surplus, low, high, xtol=1e-6, rtol=1e-4))


def power_of_mid_p(rows: int, changed: float, difference: float, *, level: float = 0.95) -> float:
    """How often McNemar's mid-p test is significant.

    Args:
        rows: Rows compared.
        changed: Share of rows that change sides.
        difference: By how much more of them change for the better than for the worse, at most `changed`.
        level: The test is at 1 - level.
    """
    if changed <= 0:
        return 0.0
    # All numbers of changed rows but those that together have a chance of less than 1e-9.
    low, high = (int(stats.binom.ppf(tail, rows, min(changed, 1.0))) for tail in (5e-10, 1 - 5e-10))
    numbers = np.arange(low, high + 1)
    fewer = _most_fewer(numbers, level)
    better = min(1.0, (changed + difference) / (2 * changed))
    # Either so few for the worse, or so few for the better.
    found = stats.binom.cdf(fewer, numbers, 1 - better) + stats.binom.cdf(fewer, numbers, better)
    return float((stats.binom.pmf(numbers, rows, min(changed, 1.0)) * found).sum())


def _most_fewer(changed: NDArray[np.int64], level: float) -> NDArray[np.int64]:
    """The most rows that may go the rarer way for the mid-p of so many changed rows to be below 1 - level; -1 where even 0 is too many."""
    most = np.asarray(stats.binom.ppf((1 - level) / 2, changed, 0.5)).astype(np.int64) + 1
    for _ in range(3):
        mid_p = 2 * stats.binom.cdf(most, changed, 0.5) - stats.binom.pmf(most, changed, 0.5)
        most = np.where((most >= 0) & (mid_p >= 1 - level), most - 1, most)
    return most

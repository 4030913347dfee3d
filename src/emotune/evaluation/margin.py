"""Tests of whether a model is not worse than another by more than a margin, or equivalent to it within one.

"No evidence of a difference" is no evidence of equality. The null hypothesis of these tests is that the accuracies
differ by the margin; the p-value is the probability of the observed rows under it. Sources:
- The statistic: T. Tango, Statistics in Medicine 17 (1998), the score statistic of a difference of paired proportions.
- Equivalence as two one-sided tests: D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy import stats

from emotune.evaluation.seeds import SeedDifference
from emotune.statistics.paired import Interval, PairedStatistics, holm, score_interval, score_statistic
from emotune.statistics.power import POWER
from emotune.statistics.several import SeveralStatistics
from emotune.system.errors import ConfigError

# Each test is one-sided at 5 %, so the interval that agrees with both has a level of 90 %.
ALPHA = 0.05


@dataclass(frozen=True)
class MarginTest:
    """Result of testing a margin between two models; differences are in accuracy, the second model minus the first.

    Attributes:
        margin: The margin, as a share of 1.
        rows: Number of rows.
        fixed: Rows wrong in the first model and right in the second.
        broken: Rows right in the first model and wrong in the second.
        difference: The difference, with its 90 % score interval.
        not_worse_p: One-sided p of the second model being worse by the margin: small if it is shown not to be
            (non-inferiority).
        equivalent_p: The larger p of being worse and of being better by the margin: small if the models are shown to be
            equivalent.
        worse_p: One-sided p of being worse by no more than the margin: small if it is shown to be worse by more.
        provable: The smallest margin for which "not worse" would be shown four times out of five if both were equally
            accurate and as many rows changed sides.
    """

    margin: float
    rows: int
    fixed: int
    broken: int
    difference: Interval
    not_worse_p: float
    equivalent_p: float
    worse_p: float
    provable: float

    @property
    def is_not_worse(self) -> bool:
        """True if the second model is shown not to be worse by the margin or more."""
        return self.not_worse_p < ALPHA

    @property
    def is_equivalent(self) -> bool:
        """True if the models are shown to differ by less than the margin, in either direction."""
        return self.equivalent_p < ALPHA

    @property
    def is_worse(self) -> bool:
        """True if the second model is shown to be worse by more than the margin.

        Tested as one side of a two-sided test, so that it agrees with the test of a difference.
        """
        return self.worse_p < ALPHA / 2


def checked_margin(points: float) -> float:
    """Check a margin in points of accuracy, and return it.

    Raises:
        ConfigError: It is not between 0 and 100.
    """
    if isinstance(points, bool) or not isinstance(points, int | float) or not 0 < points < 100:
        raise ConfigError(
            f"The margin is {points!r}; expected a number above 0 and below 100: points of accuracy, such as 1 or 0.5."
        )
    return points


def margin_test(statistics: PairedStatistics | SeveralStatistics, points: float) -> MarginTest:
    """Test a margin.

    Args:
        statistics: The second model against the first.
        points: The margin in points of accuracy: 1 is one percentage point.

    Raises:
        ConfigError: The margin is not between 0 and 100.
    """
    margin = checked_margin(points) / 100
    fixed, broken, rows = statistics.fixed, statistics.broken, statistics.rows
    above = score_statistic(fixed, broken, rows, -margin)
    below = score_statistic(fixed, broken, rows, margin)
    not_worse, not_better = float(stats.norm.sf(above)), float(stats.norm.cdf(below))
    return MarginTest(
        margin=margin,
        rows=rows,
        fixed=fixed,
        broken=broken,
        difference=score_interval(fixed, broken, rows, level=1 - 2 * ALPHA),
        not_worse_p=not_worse,
        equivalent_p=max(not_worse, not_better),
        worse_p=float(stats.norm.cdf(above)),
        provable=provable_margin(rows, (fixed + broken) / rows),
    )


def margin_test_over_seeds(difference: SeedDifference, points: float) -> MarginTest:
    """Test a margin for the mean of several seeds, counting the variance of seeds and rows.

    Args:
        difference: The second model minus the first.
        points: The margin in points of accuracy: 1 is one percentage point.

    Raises:
        ConfigError: The margin is not between 0 and 100.
    """
    margin = checked_margin(points) / 100
    found = difference.of_accuracy
    return MarginTest(
        margin=margin,
        rows=difference.rows,
        fixed=difference.fixed,
        broken=difference.broken,
        difference=found.interval(-1.0, 1.0, level=1 - 2 * ALPHA),
        not_worse_p=found.not_below(margin),
        equivalent_p=found.within(margin),
        worse_p=found.above(-margin - found.value),
        provable=min(1.0, found.detectable(2 * ALPHA, POWER)),
    )


def corrected(tests: Sequence[MarginTest]) -> list[MarginTest]:
    """Return the tests with p-values corrected for their number (Holm), separately for each question."""
    not_worse, equivalent, worse = (
        holm([getattr(test, name) for test in tests]) for name in ("not_worse_p", "equivalent_p", "worse_p")
    )
    return [
        replace(test, not_worse_p=not_worse[place], equivalent_p=equivalent[place], worse_p=worse[place])
        for place, test in enumerate(tests)
    ]


def provable_margin(rows: int, changed: float) -> float:
    """Return the smallest margin for which "not worse" is shown four times out of five if both are equally accurate.

    Args:
        rows: Rows compared.
        changed: Share of rows that change sides, half of them in each direction.

    Returns:
        The margin, as a share of 1.
    """
    from scipy.optimize import brentq

    z_level, z_power = float(stats.norm.isf(ALPHA)), float(stats.norm.ppf(POWER))
    either_way = rows * changed / 2

    def surplus(margin: float) -> float:
        # The statistic is the surplus over the standard error under the margin; the surplus itself varies as under
        # equality.
        error = rows * margin / score_statistic(either_way, either_way, rows, -margin)
        return rows * margin - z_level * error - z_power * math.sqrt(rows * changed)

    edge = 1 - 1e-9
    return 1.0 if surplus(edge) < 0 else float(brentq(surplus, 1e-9, edge, xtol=1e-7))

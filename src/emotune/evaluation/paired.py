"""Is one model better than another on the same rows, by how much, and how sure is that?

All figures come from paired predictions: row by row, the two models saw the same text. Sources:

- McNemar's test: Q. McNemar, Psychometrika 12 (1947); the mid-p variant: M. W. Fagerland, S. Lydersen, P. Laake,
  BMC Medical Research Methodology 13:91 (2013), who find it close to its level where the exact test is too cautious.
- Bootstrap: B. Efron, Annals of Statistics 7 (1979); the BCa interval: B. Efron, JASA 82 (1987).
- Correction for many comparisons: S. Holm, Scandinavian Journal of Statistics 6 (1979).
- Power of McNemar's test: R. J. Connor, Biometrics 43 (1987).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
POWER = 0.8
RESAMPLES = 10_000
# Where fewer rows than this changed sides, or fewer did not, resampling says little: accuracy has the score interval, macro-F1 none.
FEW_CHANGES = 10
_ENTRIES_AT_A_TIME = 2_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval around it.

    Attributes:
        estimate: The value itself.
        low: Lower end.
        high: Upper end.
        level: How often intervals made this way cover the truth.
    """

    estimate: float
    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class ClassChange:
    """What changed among the rows of one class.

    Attributes:
        support: Rows of the class.
        fixed: Rows wrong in the first model and right in the second.
        broken: Rows right in the first model and wrong in the second.
        p_value: McNemar's mid-p on these rows.
        adjusted_p: The same, corrected for the number of classes (Holm).
    """

    support: int
    fixed: int
    broken: int
    p_value: float
    adjusted_p: float

    @property
    def recall_difference(self) -> float:
        """Recall of the second model less that of the first."""
        return (self.fixed - self.broken) / self.support if self.support else 0.0


@dataclass(frozen=True)
class PairedStatistics:
    """Two models on identical rows.

    Attributes:
        rows: How many rows.
        fixed: Rows wrong in the first model and right in the second.
        broken: Rows right in the first model and wrong in the second.
        p_value: McNemar's mid-p, two-sided: how likely so uneven a split of the changed rows is if the models were equally accurate.
        exact_p: The exact McNemar p, more cautious.
        accuracy: Accuracy of the second less that of the first.
        macro_f1: Likewise macro-F1; None where too few rows changed sides to say.
        per_class: By label.
        detectable: The smallest difference in accuracy that this many rows would show four times out of five; None where the rows are so
            few that no difference can be significant.
    """

    rows: int
    fixed: int
    broken: int
    p_value: float
    exact_p: float
    accuracy: Interval
    macro_f1: Interval | None
    per_class: dict[str, ClassChange]
    detectable: float | None

    @property
    def is_significant(self) -> bool:
        """Whether the difference in accuracy is more than chance would usually make it."""
        return self.p_value < 1 - LEVEL


def paired_statistics(
    truth: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    labels: tuple[str, ...],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedStatistics:
    """Compare two models' predictions on the same rows.

    Args:
        truth: Shape (rows,), true label ids.
        first: Shape (rows,), predicted label ids of the first model.
        second: Shape (rows,), those of the second.
        labels: Label names, in the order of the ids.
        resamples: Bootstrap resamples.
        seed: Seed of the resampling; the same data and seed give the same interval.
    """
    was_right, is_right = first == truth, second == truth
    fixed, broken = int((~was_right & is_right).sum()), int((was_right & ~is_right).sum())
    table = JointCounts.of(truth, first, second, len(labels))
    few = min(fixed + broken, len(truth) - fixed - broken) < FEW_CHANGES
    if few:
        accuracy, macro_f1 = score_interval(fixed, broken, len(truth)), None
    else:
        accuracy, macro_f1 = table.intervals(resamples, seed)
    by_class = []
    for label in range(len(labels)):
        rows = truth == label
        by_class.append(
            (int(rows.sum()), int((~was_right & is_right & rows).sum()), int((was_right & ~is_right & rows).sum()))
        )
    p_values = [mcnemar(class_fixed, class_broken)[1] for _, class_fixed, class_broken in by_class]
    adjusted = holm(p_values)
    exact_p, mid_p = mcnemar(fixed, broken)
    return PairedStatistics(
        rows=len(truth),
        fixed=fixed,
        broken=broken,
        p_value=mid_p,
        exact_p=exact_p,
        accuracy=accuracy,
        macro_f1=macro_f1,
        per_class={label: ClassChange(*by_class[i], p_values[i], adjusted[i]) for i, label in enumerate(labels)},
        detectable=detectable_difference(len(truth), (fixed + broken) / len(truth)),
    )


def mcnemar(fixed: int, broken: int) -> tuple[float, float]:
    """The exact and the mid-p McNemar test, two-sided.

    Among the rows that changed sides, either direction is equally likely if the models are equally accurate.

    Returns:
        The exact p and the mid-p; both 1 where no row changed sides.
    """
    changed = fixed + broken
    if changed == 0:
        return 1.0, 1.0
    exact = float(stats.binomtest(fixed, changed, 0.5).pvalue)
    fewer = min(fixed, broken)
    # What was seen counts half: 2 (P(X < fewer) + P(X = fewer) / 2).
    return exact, float(2 * stats.binom.cdf(fewer, changed, 0.5) - stats.binom.pmf(fewer, changed, 0.5))


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction: each p times the number of hypotheses not yet rejected, never below one before it."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def score_interval(fixed: int, broken: int, rows: int) -> Interval:
    """The score interval of a difference of paired proportions (T. Tango, Statistics in Medicine 17, 1998).

    Unlike the bootstrap it stays honest where few rows changed sides, or none.
    """
    from scipy.optimize import brentq

    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    estimate = (fixed - broken) / rows

    def statistic(difference: float) -> float:
        # The likeliest share of broken rows, given the difference.
        a = 2 * rows
        b = -fixed - broken + (2 * rows - fixed + broken) * difference
        c = -broken * difference * (1 - difference)
        share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
        variance = rows * (2 * share + difference * (1 - difference))
        return (fixed - broken - rows * difference) / math.sqrt(variance) if variance > 0 else math.inf

    edge = 1 - 1e-12
    low = -1.0 if statistic(-edge) < z else float(brentq(lambda d: statistic(d) - z, -edge, estimate - 1e-12))
    high = 1.0 if statistic(edge) > -z else float(brentq(lambda d: statistic(d) + z, estimate + 1e-12, edge))
    return Interval(estimate, low, high)


def detectable_difference(rows: int, changed: float) -> float:
    """The smallest difference in accuracy that McNemar's test on this many rows finds four times out of five.

    Args:
        rows: Rows compared.
        changed: Share of rows that change sides; it is at least the difference itself.
    """
    from scipy.optimize import brentq

    z_level, z_power = float(stats.norm.ppf((1 + LEVEL) / 2)), float(stats.norm.ppf(POWER))

    def surplus(difference: float) -> float:
        share = max(changed, difference)
        needed = (z_level * math.sqrt(share) + z_power * math.sqrt(share - difference**2)) ** 2 / difference**2
        return rows - needed

    if surplus(1.0) < 0:
        return 1.0
    return float(brentq(surplus, 1e-9, 1.0))


@dataclass(frozen=True, eq=False)
class JointCounts:
    """How many rows have each combination of truth, first and second prediction: all that the figures depend on.

    To draw rows with replacement is to draw these counts from a multinomial distribution, which is exact and fast.

    Attributes:
        cells: Shape (cells, 3), the combinations that occur.
        counts: Shape (cells,).
        classes: Number of labels.
    """

    cells: NDArray[np.int64]
    counts: NDArray[np.int64]
    classes: int

    @classmethod
    def of(
        cls, truth: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64], classes: int
    ) -> JointCounts:
        """Count the rows."""
        cells, counts = np.unique(np.column_stack([truth, first, second]), axis=0, return_counts=True)
        return cls(cells, counts, classes)

    def differences(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Differences of accuracy and of macro-F1 for resampled counts.

        Args:
            counts: Shape (resamples, cells).

        Returns:
            Shape (resamples, 2).
        """
        accuracy, macro_f1 = zip(*(self._scores(counts, model) for model in (1, 2)), strict=True)
        return np.column_stack([accuracy[1] - accuracy[0], macro_f1[1] - macro_f1[0]])

    def _scores(self, counts: NDArray[np.int64], model: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        eye = np.eye(self.classes)
        truth, predicted = eye[self.cells[:, 0]], eye[self.cells[:, model]]
        hits = counts @ (truth * predicted)  # (resamples, classes)
        sizes = counts @ truth + counts @ predicted
        f1 = np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=sizes > 0)
        return hits.sum(1) / counts.sum(1), f1.mean(1)

    def intervals(self, resamples: int, seed: int) -> tuple[Interval, Interval]:
        """BCa intervals of the differences of accuracy and of macro-F1."""
        rows = int(self.counts.sum())
        rng = np.random.default_rng(seed)
        estimates = self.differences(self.counts[None])[0]
        # In chunks, since there may be as many cells as rows.
        at_once = max(1, _ENTRIES_AT_A_TIME // len(self.counts))
        resampled = np.concatenate(
            [
                self.differences(rng.multinomial(rows, self.counts / rows, size=min(at_once, resamples - start)))
                for start in range(0, resamples, at_once)
            ]
        )
        # The jackknife leaves out one row of each cell; all rows of a cell are alike.
        numbers = np.arange(len(self.counts))
        without = np.concatenate(
            [
                self.differences(self.counts[None] - (numbers[start : start + at_once, None] == numbers))
                for start in range(0, len(numbers), at_once)
            ]
        )
        return tuple(bca_interval(float(estimates[i]), resampled[:, i], without[:, i], self.counts) for i in range(2))  # type: ignore[return-value]


def bca_interval(
    estimate: float, resampled: NDArray[np.float64], without: NDArray[np.float64], weights: NDArray[np.int64]
) -> Interval:
    """The bias-corrected and accelerated bootstrap interval.

    Args:
        estimate: The value on the data.
        resampled: Shape (resamples,), the value on each resample.
        without: Shape (groups,), the value with one row of a group left out.
        weights: Shape (groups,), rows in each group.
    """
    below = float(np.mean(resampled < estimate) + np.mean(resampled == estimate) / 2)
    bias = stats.norm.ppf(np.clip(below, 1 / (2 * len(resampled)), 1 - 1 / (2 * len(resampled))))
    influence = np.average(without, weights=weights) - without
    spread = float((weights * influence**2).sum())
    acceleration = float((weights * influence**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    z = stats.norm.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    shares = stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
    low, high = np.quantile(resampled, shares)
    return Interval(estimate, float(low), float(high))

"""Compare two models on the same rows: which one is better, by how much, and with what certainty.

All figures come from paired predictions: both models saw the same text in each row. Sources:

- McNemar's test: Q. McNemar, Psychometrika 12 (1947); the mid-p variant: M. W. Fagerland, S. Lydersen, P. Laake,
  BMC Medical Research Methodology 13:91 (2013), who find it close to its level where the exact test is too cautious.
- The interval of the difference in accuracy: T. Tango, Statistics in Medicine 17 (1998).
- The difference in macro-F1: `emotune.statistics.macro_f1`.
- Correction for many comparisons: S. Holm, Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.macro_f1 import macro_f1_difference
from emotune.statistics.power import detectable_difference
from emotune.system.wording import counted, quoted

LEVEL = 0.95
# If fewer rows changed sides, or fewer did not, the spread of macro-F1 is not known well enough for an interval.
FEW_CHANGES = 10
# Likewise if a class has fewer rows: in simulation the interval then covers as little as 0.84 of the time.
FEW_ROWS = 10


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes:
        estimate: The value itself.
        low: Lower end.
        high: Upper end.
        level: Share of intervals made this way that contain the truth.
    """

    estimate: float
    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class ClassChange:
    """Change in the rows of one class.

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
        """Recall of the second model minus that of the first."""
        return (self.fixed - self.broken) / self.support if self.support else 0.0


@dataclass(frozen=True)
class PairedStatistics:
    """Statistics of two models on identical rows.

    Attributes:
        rows: Number of rows.
        fixed: Rows wrong in the first model and right in the second.
        broken: Rows right in the first model and wrong in the second.
        p_value: McNemar's mid-p, two-sided: the probability of so uneven a split of the changed rows if the models were
            equally accurate.
        exact_p: McNemar's exact p, which is more conservative.
        accuracy: Accuracy of the second model minus that of the first.
        macro_f1: Likewise macro-F1; None if an interval could not be trusted.
        macro_f1_p: Two-sided p of no difference in macro-F1, below 0.05 if and only if the interval excludes 0; None
            without an interval.
        macro_f1_withheld: The reason why there is no interval of macro-F1: "class 'surprise' has 5 rows, fewer than
            10"; "" if there is one.
        per_class: By label.
        detectable: The smallest difference in accuracy that this many rows would show four times out of five; None if
            no difference can be significant on so few rows.
    """

    rows: int
    fixed: int
    broken: int
    p_value: float
    exact_p: float
    accuracy: Interval
    macro_f1: Interval | None
    macro_f1_p: float | None
    macro_f1_withheld: str
    per_class: dict[str, ClassChange]
    detectable: float | None

    @property
    def is_significant(self) -> bool:
        """True if the difference in accuracy is significant."""
        return self.p_value < 1 - LEVEL


def paired_statistics(
    truth: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    labels: tuple[str, ...],
    *,
    permutations: int | None = None,
    seed: int = 0,
) -> PairedStatistics:
    """Compare two models' predictions on the same rows.

    Args:
        truth: Shape (rows,), true label ids.
        first: Shape (rows,), predicted label ids of the first model.
        second: Shape (rows,), predicted label ids of the second model.
        labels: Label names, in the order of the ids.
        permutations: Number of permutations for macro-F1; by default that of `macro_f1_difference`.
        seed: Seed of the permutations; the same data and seed give the same interval.
    """
    was_right, is_right = first == truth, second == truth
    fixed, broken = int((~was_right & is_right).sum()), int((was_right & ~is_right).sum())
    by_class = []
    for label in range(len(labels)):
        rows = truth == label
        by_class.append(
            (int(rows.sum()), int((~was_right & is_right & rows).sum()), int((was_right & ~is_right & rows).sum()))
        )
    p_values = [mcnemar(class_fixed, class_broken)[1] for _, class_fixed, class_broken in by_class]
    adjusted = holm(p_values)
    exact_p, mid_p = mcnemar(fixed, broken)
    withheld = why_withheld(fixed + broken, {label: by_class[i][0] for i, label in enumerate(labels)})
    macro_f1 = macro_f1_p = None
    if not withheld:
        found = macro_f1_difference(
            truth, first, second, len(labels), level=LEVEL, permutations=permutations, seed=seed
        )
        ends = max(-1.0, found.estimate - found.reach), min(1.0, found.estimate + found.reach)
        macro_f1, macro_f1_p = Interval(found.estimate, *ends), found.p_value
    return PairedStatistics(
        rows=len(truth),
        fixed=fixed,
        broken=broken,
        p_value=mid_p,
        exact_p=exact_p,
        accuracy=score_interval(fixed, broken, len(truth)),
        macro_f1=macro_f1,
        macro_f1_p=macro_f1_p,
        macro_f1_withheld=withheld,
        per_class={label: ClassChange(*by_class[i], p_values[i], adjusted[i]) for i, label in enumerate(labels)},
        detectable=detectable_difference(len(truth), (fixed + broken) / len(truth), level=LEVEL),
    )


def why_withheld(changed: int, supports: dict[str, int]) -> str:
    """Return the reason why the rows do not allow an interval of macro-F1, or "" if they do.

    Args:
        changed: Rows right in one model and wrong in the other.
        supports: Rows by label.
    """
    label, rarest = min(supports.items(), key=lambda item: item[1])
    kept = sum(supports.values()) - changed
    if changed < FEW_CHANGES:
        return f"{counted(changed, 'row')} changed between right and wrong, fewer than {FEW_CHANGES}"
    if kept < FEW_CHANGES:
        return f"{counted(kept, 'row')} did not change between right and wrong, fewer than {FEW_CHANGES}"
    if rarest < FEW_ROWS:
        return f"class {quoted(label)} has {counted(rarest, 'row')}, fewer than {FEW_ROWS}"
    return ""


def mcnemar(fixed: int, broken: int) -> tuple[float, float]:
    """Return the p-values of the exact and the mid-p McNemar test, two-sided.

    Among the rows that changed sides, either direction is equally likely if the models are equally accurate.

    Returns:
        The exact p and the mid-p; both 1 if no row changed sides.
    """
    from scipy import stats

    changed = fixed + broken
    if changed == 0:
        return 1.0, 1.0
    exact = float(stats.binomtest(fixed, changed, 0.5).pvalue)
    fewer = min(fixed, broken)
    # The observed number counts half: 2 (P(X < fewer) + P(X = fewer) / 2).
    return exact, float(2 * stats.binom.cdf(fewer, changed, 0.5) - stats.binom.pmf(fewer, changed, 0.5))


def holm(p_values: list[float]) -> list[float]:
    """Apply Holm's step-down correction: each p times the hypotheses not yet rejected, never below the previous one."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def score_statistic(fixed: float, broken: float, rows: int, difference: float) -> float:
    """Return the observed minus a supposed difference, in standard errors (T. Tango, Statistics in Medicine 17, 1998).

    The standard error is that of the likeliest table with the supposed difference, so it is not 0 if no row changed
    sides.

    Args:
        fixed: Rows wrong in the first model and right in the second.
        broken: Rows right in the first model and wrong in the second.
        rows: All rows.
        difference: The supposed difference in accuracy, as a share of 1.
    """
    # The likeliest share of broken rows, given the difference.
    a = 2 * rows
    b = -fixed - broken + (2 * rows - fixed + broken) * difference
    c = -broken * difference * (1 - difference)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = rows * (2 * share + difference * (1 - difference))
    surplus = fixed - broken - rows * difference
    return surplus / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, surplus) if surplus else 0.0


def score_interval(fixed: int, broken: int, rows: int, level: float = LEVEL) -> Interval:
    """Return the differences in accuracy that the score statistic does not reject.

    Unlike the bootstrap it keeps its coverage if few or no rows changed sides.

    Args:
        fixed: Rows wrong in the first model and right in the second.
        broken: Rows right in the first model and wrong in the second.
        rows: All rows.
        level: Coverage of the interval.
    """
    from scipy import stats
    from scipy.optimize import brentq

    z = float(stats.norm.ppf((1 + level) / 2))
    estimate = (fixed - broken) / rows

    def statistic(difference: float) -> float:
        return score_statistic(fixed, broken, rows, difference)

    edge = 1 - 1e-12
    low = -1.0 if statistic(-edge) < z else float(brentq(lambda d: statistic(d) - z, -edge, estimate - 1e-12))
    high = 1.0 if statistic(edge) > -z else float(brentq(lambda d: statistic(d) + z, estimate + 1e-12, edge))
    return Interval(estimate, low, high, level)

"""The models that a model is compared with, their order, and the differences in both scores.

The most informative rival comes first: the other model of the comparison if its scores mean something, then the best
baseline, then the frozen encoder. A model whose head is random numbers is no rival: its scores are chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emotune.data.dataset import Split
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.folds import FoldDifference
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import SeedDifference
from emotune.statistics.paired import LEVEL, Interval, PairedStatistics

ACCURACY, MACRO_F1 = "accuracy", "macro-F1"
# Ratio of the commonest to the rarest class from which classes are called unbalanced.
UNBALANCED = 3
# Beginnings of the names of baselines that are fitted on the frozen encoder.
_FROZEN = "frozen"


@dataclass(frozen=True, eq=False)
class Rival:
    """A model that another is compared with.

    Attributes:
        evaluation: Its scores.
        role: "best baseline on validation", "frozen encoder", "baseline"; or "" for the first of two models.
    """

    evaluation: Evaluation
    role: str


@dataclass(frozen=True)
class ScoreDifference:
    """Difference in one score between a model and its rival.

    Attributes:
        score: "accuracy" or "macro-F1".
        interval: The difference with its interval.
        p_value: Two-sided p of no difference.
        corrected: True if the p-value is corrected for a number of comparisons. The interval never is.
    """

    score: str
    interval: Interval
    p_value: float
    corrected: bool = False

    @property
    def excludes_zero(self) -> bool:
        """True if 0 lies outside the interval."""
        return self.interval.low > 0 or self.interval.high < 0

    @property
    def is_significant(self) -> bool:
        """True if the test finds a difference."""
        return self.p_value < 1 - LEVEL

    @property
    def direction(self) -> int:
        """Direction of the difference: 1 if the model is better, -1 if it is worse, 0 without evidence of either."""
        return int(np.sign(self.interval.estimate)) if self.is_significant else 0


def is_unbalanced(split: Split) -> bool:
    """Return whether the commonest class has at least three times the rows of the rarest, so that macro-F1 says more.

    Classes without rows are ignored. With two classes this means a share of 75 % or more for one of them.
    """
    counts = np.bincount(split.label_ids)
    counts = counts[counts > 0]
    return bool(len(counts)) and int(counts.max()) >= UNBALANCED * int(counts.min())


def rivals(comparison: Comparison) -> list[Rival]:
    """Return the models that the second one is compared with, the most informative first; none if all are chance.

    If no baseline was scored on validation, none is called the best, and all follow in the given order. Otherwise only
    the best one and the frozen encoder are included.
    """
    found = [] if comparison.before.is_chance else [Rival(comparison.before, "")]
    real = [baseline for baseline in comparison.baselines if not baseline.is_chance]
    best = comparison.best_baseline
    if best is None:
        return [*found, *(Rival(baseline, "baseline") for baseline in real)]
    found.append(Rival(best, "best baseline on validation"))
    frozen = next((baseline for baseline in real if baseline.name.startswith(_FROZEN)), None)
    if frozen is not None and frozen is not best:
        found.append(Rival(frozen, "frozen encoder"))
    return found


def yardstick(comparison: Comparison) -> Evaluation:
    """Return the main model to compare the second one with: its first rival, or the first model if all are chance."""
    found = rivals(comparison)
    return found[0].evaluation if found else comparison.before


def score_differences(
    comparison: Comparison, other: Evaluation, corrected_p: Mapping[str, float] | None = None
) -> tuple[ScoreDifference, ...]:
    """Return the second model's differences from another in accuracy and macro-F1; macro-F1 first if unbalanced.

    Args:
        comparison: The comparison.
        other: Any other model of it.
        corrected_p: P-values by score, corrected for the number of comparisons, if this is one of several.

    Returns:
        Both, or only accuracy if macro-F1 cannot be compared on these rows.
    """
    found = difference_from(comparison, other)
    corrected = corrected_p or {}

    def difference(score: str, interval: Interval, p_value: float) -> ScoreDifference:
        return ScoreDifference(score, interval, corrected.get(score, p_value), score in corrected)

    accuracy = difference(ACCURACY, found.accuracy, found.p_value)
    if found.macro_f1_withheld or found.macro_f1 is None or found.macro_f1_p is None:
        return (accuracy,)
    macro_f1 = difference(MACRO_F1, found.macro_f1, found.macro_f1_p)
    return (macro_f1, accuracy) if is_unbalanced(comparison.after.split) else (accuracy, macro_f1)


def difference_from(comparison: Comparison, other: Evaluation) -> PairedStatistics | SeedDifference | FoldDifference:
    """Return the statistics of the second model against another: over folds, over seeds, or of two sets of predictions."""
    if comparison.folds is not None:
        return comparison.over_folds(other)
    return comparison.over_seeds(other) if comparison.seeds else comparison.against(other)

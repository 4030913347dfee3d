"""What a model is measured against, in which order, and the differences in both scores.

The order is that of what a reader learns from: first the other model of the comparison where its scores mean something,
then the best baseline, then the frozen encoder. A model whose head is random numbers is no rival: its scores are chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emotune.data.dataset import Split
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import SeedDifference
from emotune.statistics.paired import LEVEL, Interval, PairedStatistics

ACCURACY, MACRO_F1 = "accuracy", "macro-F1"
# How many times as many rows as the rarest class the commonest one has where classes are called unbalanced.
UNBALANCED = 3
# What the names of baselines begin with that are fitted on the encoder as it comes.
_FROZEN = "frozen"


@dataclass(frozen=True, eq=False)
class Rival:
    """A model that another is measured against.

    Attributes:
        evaluation: Its scores.
        role: What it is among the others: "best baseline on validation", "frozen encoder", "baseline"; "" for the first of two models.
    """

    evaluation: Evaluation
    role: str


@dataclass(frozen=True)
class ScoreDifference:
    """One score of a model less that of its rival.

    Attributes:
        score: "accuracy" or "macro-F1".
        interval: The difference with its interval.
        p_value: Two-sided p of no difference.
        corrected: Whether the p-value is corrected for a number of comparisons. The interval never is.
    """

    score: str
    interval: Interval
    p_value: float
    corrected: bool = False

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.interval.low > 0 or self.interval.high < 0

    @property
    def is_significant(self) -> bool:
        """Whether the test says that there is a difference."""
        return self.p_value < 1 - LEVEL

    @property
    def direction(self) -> int:
        """1 where the model is better, -1 where it is worse, 0 where there is no evidence of either."""
        return int(np.sign(self.interval.estimate)) if self.is_significant else 0


def is_unbalanced(split: Split) -> bool:
    """Whether the commonest class has at least three times as many rows as the rarest, so that macro-F1 says more than accuracy.

    Classes without rows are left aside. With two classes this is a share of 75 % or more for one of them.
    """
    counts = np.bincount(split.label_ids)
    counts = counts[counts > 0]
    return bool(len(counts)) and int(counts.max()) >= UNBALANCED * int(counts.min())


def rivals(comparison: Comparison) -> list[Rival]:
    """What the second model is measured against, the most telling first; nothing where all else is chance.

    Where no baseline was scored on validation none is called the best, and all of them follow in the order they were given. Otherwise
    only the best one and the frozen encoder are named.
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
    """Return what the second model is best measured against: the first of its rivals, or the first model where all is chance."""
    found = rivals(comparison)
    return found[0].evaluation if found else comparison.before


def score_differences(
    comparison: Comparison, other: Evaluation, corrected_p: Mapping[str, float] | None = None
) -> tuple[ScoreDifference, ...]:
    """The second model less another, in accuracy and in macro-F1; where classes are unbalanced macro-F1 comes first.

    Args:
        comparison: The comparison.
        other: Any other model of it.
        corrected_p: P-values by score, corrected for the number of comparisons, where this is one of several.

    Returns:
        Both, or accuracy alone where macro-F1 cannot be compared on these rows.
    """
    found: PairedStatistics | SeedDifference = (
        comparison.over_seeds(other) if comparison.seeds else comparison.against(other)
    )
    corrected = corrected_p or {}

    def difference(score: str, interval: Interval, p_value: float) -> ScoreDifference:
        return ScoreDifference(score, interval, corrected.get(score, p_value), score in corrected)

    accuracy = difference(ACCURACY, found.accuracy, found.p_value)
    if found.macro_f1_withheld or found.macro_f1 is None or found.macro_f1_p is None:
        return (accuracy,)
    macro_f1 = difference(MACRO_F1, found.macro_f1, found.macro_f1_p)
    return (macro_f1, accuracy) if is_unbalanced(comparison.after.split) else (accuracy, macro_f1)

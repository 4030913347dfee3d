"""Differences and margins between configurations of a leaderboard, and the power of the comparisons.

The claim that two are alike needs a test of its own, since a large p of a difference may only mean few seeds and rows.
"Not worse by more than a margin" is a one-sided test; "alike within a margin" is two of them (D. J. Schuirmann, Journal
of Pharmacokinetics and Biopharmaceutics 15, 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from emotune.evaluation.margin import margin_test
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import SeedDifference, SeedStudy
from emotune.statistics.paired import LEVEL, Interval, PairedStatistics, holm
from emotune.statistics.several import SeveralStatistics

# By chance, one in twenty configurations is judged by its own spread, and its comparisons have less power. With this
# power in all others, the overall power is four in five (benchmarks/seed_tests.py).
USUAL_POWER = 0.85


@dataclass(frozen=True)
class Claim:
    """Evidence for a claim; a small p supports it.

    Attributes:
        p_value: Probability of evidence at least this strong if the claim were just false.
        adjusted_p: The same, corrected for the number of configurations tested (Holm).
    """

    p_value: float
    adjusted_p: float


@dataclass(frozen=True)
class Difference:
    """Difference of two configurations on the same test rows and the same seeds.

    Attributes:
        seeds: Number of seeds that both have; with one each, no figure includes the choice of the seed.
        accuracy: Difference in the share of rows that are right: accuracy, or subset accuracy.
        macro_f1: Difference in macro-F1; None if, with one seed each, it could not be trusted.
        p_value: Two-sided p of no difference in accuracy.
        adjusted_p: The same, corrected for the number of comparisons (Holm).
        macro_f1_p: Two-sided p of no difference in macro-F1; None if there is no interval of it.
        macro_f1_adjusted_p: The same, corrected likewise.
        fixed: Rows that most seeds of this configuration get right, and most of the other's do not.
        broken: Rows that most seeds of the other get right, and most of this one's do not.
        not_worse: Claim that accuracy is not below the other's by the margin or more; None without a margin.
        alike: Claim that accuracies differ by less than the margin, in either direction; None without a margin.
    """

    seeds: int
    accuracy: Interval
    macro_f1: Interval | None
    p_value: float
    adjusted_p: float
    macro_f1_p: float | None = None
    macro_f1_adjusted_p: float | None = None
    fixed: int = 0
    broken: int = 0
    not_worse: Claim | None = None
    alike: Claim | None = None


@dataclass(frozen=True)
class Power:
    """True difference in accuracy that is found with a power of four in five.

    Attributes:
        alone: For a single comparison.
        corrected: For the first of all comparisons in Holm's order.
        comparisons: Number of comparisons.
    """

    alone: float
    corrected: float
    comparisons: int


def differences(
    study: SeedStudy, pairs: Sequence[tuple[int, int]], margin: float | None = None
) -> list[Difference | None]:
    """Compare configurations, correcting for the number of comparisons.

    With several seeds, all figures are those of the study's common model of variance. If no configuration has two
    seeds, p and intervals are those of two models on the same rows (`paired`, `margin`), which count only rows.

    Args:
        study: The configurations.
        pairs: Pairs of positions: the configuration that is subtracted, and the other.
        margin: Difference in accuracy up to which two are called alike, as a share of 1; None for no such claim.

    Returns:
        One difference per pair; None if they have no seed in common.
    """
    found = [_difference(study, first, second, margin) for first, second in pairs]
    known = [one for one in found if one is not None]
    adjusted = holm([one.p_value for one in known])
    macro = holm([1.0 if one.macro_f1_p is None else one.macro_f1_p for one in known])
    not_worse = holm([one.not_worse.p_value if one.not_worse else 1.0 for one in known])
    alike = holm([one.alike.p_value if one.alike else 1.0 for one in known])
    corrected = iter(
        replace(
            one,
            adjusted_p=adjusted[i],
            macro_f1_adjusted_p=None if one.macro_f1_p is None else macro[i],
            not_worse=one.not_worse and replace(one.not_worse, adjusted_p=not_worse[i]),
            alike=one.alike and replace(one.alike, adjusted_p=alike[i]),
        )
        for i, one in enumerate(known)
    )
    return [None if one is None else next(corrected) for one in found]


def _paired(first: Evaluation, second: Evaluation) -> PairedStatistics | SeveralStatistics:
    """Return the statistics of two models of the same rows, the second against the first."""
    split = first.split
    return split.task.compare(split.label_ids, first.predictions, second.predictions, split.labels)


def _difference(study: SeedStudy, first: int, second: int, margin: float | None) -> Difference | None:
    """Return one comparison, not yet corrected."""
    over = study.difference(first, second)
    if over is None:
        return None
    macro_f1: Interval | None
    macro_f1_p: float | None
    if study.knows_seeds:
        accuracy, macro_f1, p_value, macro_f1_p = over.accuracy, over.macro_f1, over.p_value, over.macro_f1_p
        not_worse = None if margin is None else over.of_accuracy.not_below(margin)
        alike = None if margin is None else over.of_accuracy.within(margin)
    else:
        seed = next(seed for seed in study.groups[first] if seed in study.groups[second])
        paired = _paired(study.groups[first][seed], study.groups[second][seed])
        tested = None if margin is None else margin_test(paired, 100 * margin)
        macro_f1, p_value = paired.macro_f1, paired.p_value
        if isinstance(paired, SeveralStatistics):  # macro-F1 has an interval from a bootstrap, and no test
            accuracy, macro_f1_p = paired.subset_accuracy, None
        else:
            accuracy, macro_f1_p = paired.accuracy, paired.macro_f1_p
        not_worse = None if tested is None else tested.not_worse_p
        alike = None if tested is None else tested.equivalent_p
    return Difference(
        over.seeds,
        accuracy,
        macro_f1,
        p_value,
        p_value,
        macro_f1_p,
        macro_f1_p,
        over.fixed,
        over.broken,
        None if not_worse is None else Claim(not_worse, not_worse),
        None if alike is None else Claim(alike, alike),
    )


def power(study: SeedStudy, pairs: Sequence[tuple[int, int]]) -> Power | None:
    """Return the difference in accuracy that a typical one of these comparisons finds with a power of four in five.

    Args:
        study: The configurations.
        pairs: As for `differences`.

    Returns:
        The medians over the comparisons whose seeds spread as most do; None if seeds are unknown or nothing is
        compared.
    """
    if not study.knows_seeds:
        return None
    found = [(pair, over) for pair in pairs if (over := study.difference(*pair)) is not None]
    usual = [over for pair, over in found if not study.accuracy.own.intersection(pair)]
    typical: list[SeedDifference] = usual or [over for _, over in found]
    if not typical:
        return None
    # The median one represents all, since each computes many integrals.
    middle = median(over.of_accuracy.variance for over in typical)
    one = min(typical, key=lambda over: abs(over.of_accuracy.variance - middle)).of_accuracy
    alone, corrected = (one.detectable(level, USUAL_POWER) for level in (1 - LEVEL, (1 - LEVEL) / len(found)))
    return Power(alone, corrected, len(found))

"""Configurations of a leaderboard against one of them: differences, margins, and what so many seeds and rows can show at all.

A claim that two are alike needs a test of its own, since a large p of a difference may only mean few seeds and rows. Not worse by more
than a margin is a one-sided test; alike within a margin is two of them (D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics
15, 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from emotune.evaluation.compare import compare
from emotune.evaluation.margin import margin_test
from emotune.evaluation.seeds import SeedDifference, SeedStudy
from emotune.statistics.paired import LEVEL, Interval, holm

# One in twenty configurations is judged by its own spread by chance, and such comparisons find less. Where all others find a difference in
# this share of cases, four out of five find it over all (benchmarks/seed_tests.py).
USUAL_POWER = 0.85


@dataclass(frozen=True)
class Claim:
    """What a small p speaks for.

    Attributes:
        p_value: How likely chance alone would make it look so true if it were just not.
        adjusted_p: The same, corrected for the number of configurations of which it is asked (Holm).
    """

    p_value: float
    adjusted_p: float


@dataclass(frozen=True)
class Difference:
    """A configuration less another, on the same test rows and the same seeds.

    Attributes:
        seeds: How many seeds both have; with one each, the choice of the seed is in none of the figures.
        accuracy: The difference in accuracy.
        macro_f1: The difference in macro-F1; None where, with one seed each, it could not be trusted.
        p_value: Two-sided p of no difference in accuracy.
        adjusted_p: The same, corrected for the number of comparisons (Holm).
        macro_f1_p: Two-sided p of no difference in macro-F1; None where there is no interval of it.
        macro_f1_adjusted_p: The same, corrected likewise.
        fixed: Rows that most seeds get right, and not most of the other's.
        broken: Rows that most seeds of the other get right, and not most of these.
        not_worse: That accuracy is not below the other's by the margin or more; None where there is no margin.
        alike: That accuracies differ by less than the margin, either way; likewise.
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
    """The true difference in accuracy that would be found four times out of five.

    Attributes:
        alone: Where only one comparison is asked about.
        corrected: Where it is the first of all comparisons in Holm's order.
        comparisons: How many comparisons there are.
    """

    alone: float
    corrected: float
    comparisons: int


def differences(
    study: SeedStudy, pairs: Sequence[tuple[int, int]], margin: float | None = None
) -> list[Difference | None]:
    """Compare configurations, correcting for the number of comparisons.

    With several seeds all figures are those of the study's one model. Where no configuration has two seeds, p and intervals are those of
    two models on the same rows (`paired`, `margin`), which count rows alone.

    Args:
        study: The configurations.
        pairs: Positions of two configurations: the one that is taken away, and the other.
        margin: By how much accuracies may differ and still be called alike, as a share of 1; None for no such claim.

    Returns:
        A difference per pair; None where no seed is common.
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


def _difference(study: SeedStudy, first: int, second: int, margin: float | None) -> Difference | None:
    """One comparison, not corrected yet."""
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
        paired = compare(study.groups[first][seed], study.groups[second][seed]).statistics
        tested = None if margin is None else margin_test(paired, 100 * margin)
        accuracy, macro_f1, p_value, macro_f1_p = paired.accuracy, paired.macro_f1, paired.p_value, paired.macro_f1_p
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
    """What difference in accuracy a typical one of these comparisons would find four times out of five.

    Args:
        study: The configurations.
        pairs: As for `differences`.

    Returns:
        The medians over the comparisons whose seeds spread as most do; None where nothing is known of seeds, or nothing is compared.
    """
    if not study.knows_seeds:
        return None
    found = [(pair, over) for pair in pairs if (over := study.difference(*pair)) is not None]
    usual = [over for pair, over in found if not study.accuracy.own.intersection(pair)]
    typical: list[SeedDifference] = usual or [over for _, over in found]
    if not typical:
        return None
    # One in the middle stands for all: each takes many integrals.
    middle = median(over.of_accuracy.variance for over in typical)
    one = min(typical, key=lambda over: abs(over.of_accuracy.variance - middle)).of_accuracy
    alone, corrected = (one.detectable(level, USUAL_POWER) for level in (1 - LEVEL, (1 - LEVEL) / len(found)))
    return Power(alone, corrected, len(found))

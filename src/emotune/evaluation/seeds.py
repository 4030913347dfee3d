"""Statistics over several seeds: of one configuration, of two, and of a leaderboard, for other seeds and other rows.

`crossed` has the statistics, and `contributions` the contribution of a row to a score; this module applies them to
evaluations. The error rates and the power of these tests are measured by benchmarks/seed_tests.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from emotune.evaluation.contributions import (
    accuracy_by_row,
    macro_f1_by_row,
    paired_rows_variance,
    rare_classes_variance,
    share_variance,
)
from emotune.evaluation.crossed import Estimate, Pool, SeedSpread
from emotune.evaluation.scores import Evaluation, relabelled
from emotune.statistics.paired import LEVEL, Interval, mcnemar, why_withheld
from emotune.system.errors import DataError

_NONE = Estimate(0.0, (), 0.0, 1)  # no difference


@dataclass(frozen=True)
class SeedSummary:
    """One score over several seeds, all on the same rows.

    Attributes:
        values: The score of each seed.
        interval: The mean, with an interval for the mean over all seeds and all rows like these.
    """

    values: tuple[float, ...]
    interval: Interval

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return self.interval.estimate

    @property
    def standard_deviation(self) -> float:
        """Sample standard deviation between seeds."""
        return float(np.std(self.values, ddof=1))


@dataclass(frozen=True)
class SeedDifference:
    """Difference of two configurations on the same seeds and the same rows: the second minus the first.

    Attributes:
        seeds: Number of seeds that both have.
        rows: Number of rows.
        of_accuracy: Mean difference in accuracy, with its uncertainty.
        of_macro_f1: Mean difference in macro-F1, with its uncertainty.
        fixed: Rows that most seeds of the second get right, and most of the first do not.
        broken: Rows that most seeds of the first get right, and most of the second do not.
        changed: Rows on which the two models of any pair disagree in being right.
        relabelled: Rows on which the two models of any pair predict different labels.
        macro_f1_withheld: The reason why macro-F1 of two models cannot be compared on these rows, as in
            `PairedStatistics`; "" if it can. A leaderboard compares it all the same, since its pool of many
            configurations knows more.
    """

    seeds: int
    rows: int
    of_accuracy: Estimate
    of_macro_f1: Estimate
    fixed: int
    broken: int
    changed: int
    relabelled: int
    macro_f1_withheld: str

    @property
    def accuracy(self) -> Interval:
        """The difference in accuracy, with an interval for the mean over all seeds and all rows like these."""
        return self.of_accuracy.interval(-1.0, 1.0)

    @property
    def macro_f1(self) -> Interval:
        """The difference in macro-F1, with an interval for the mean over all seeds and all rows like these."""
        return self.of_macro_f1.interval(-1.0, 1.0)

    @property
    def p_value(self) -> float:
        """Two-sided p of no difference in accuracy."""
        return max(self.of_accuracy.p_value, _least_p(self.changed))

    @property
    def macro_f1_p(self) -> float:
        """Two-sided p of no difference in macro-F1."""
        return max(self.of_macro_f1.p_value, _least_p(self.relabelled))


def _least_p(changed: int) -> float:
    """Return the p of McNemar's test if all changed rows change for the better: the smallest p that so few can give.

    Four rows that all seeds get right, and the other model wrong, have hardly any spread, but they are only four rows.
    """
    return mcnemar(changed, 0)[1]


@dataclass(frozen=True)
class WinnersExcess:
    """Excess of the best of several scores, because it was chosen by that score.

    Attributes:
        alike: Number of scores, including the best, whose order could be due to chance.
        excess: Mean excess of the best if these are equal in truth, which is the worst case.
        counts_seeds: True if the spread between seeds is known and counted.
    """

    alike: int
    excess: float
    counts_seeds: bool


@dataclass(frozen=True, eq=False)
class SeedStudy:
    """Configurations, each trained with some seeds and scored on the same rows.

    Attributes:
        groups: The evaluations of each configuration, by seed.
        accuracy: Spread of accuracy between seeds, pooled over the configurations.
        macro_f1: Spread of macro-F1, likewise.
    """

    groups: tuple[Mapping[int, Evaluation], ...]
    accuracy: Pool
    macro_f1: Pool

    @classmethod
    def of(cls, groups: Sequence[Mapping[int, Evaluation]]) -> SeedStudy:
        """Pool the spread between seeds over all configurations.

        Args:
            groups: The evaluations of each configuration, by seed, at least one.

        Raises:
            DataError: The evaluations are of different rows.
        """
        _check_same_rows([evaluation for group in groups for evaluation in group.values()])
        accuracy, macro_f1 = [], []
        for group in groups:
            found = list(group.values())
            accuracy.append(
                SeedSpread.of([e.right_share for e in found], np.array([accuracy_by_row(e) for e in found]))
            )
            macro_f1.append(
                SeedSpread.of([e.metrics.macro_f1 for e in found], np.array([macro_f1_by_row(e) for e in found]))
            )
        return cls(tuple(groups), Pool.of(accuracy), Pool.of(macro_f1))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.groups[0].values())).split)

    @property
    def right(self) -> str:
        """Name of the share of rows that are right, which `accuracy` is about: that of the rows' kind of label."""
        return next(iter(self.groups[0].values())).split.task.right

    @property
    def knows_seeds(self) -> bool:
        """True if any configuration has two seeds, so that their spread can be estimated."""
        return self.accuracy.freedom > 0

    def difference(self, first: int, second: int) -> SeedDifference | None:
        """Return the difference of two configurations over the seeds that both have.

        The seeds of the two are treated as independent. The same seed may draw the same batches for both; if that makes
        their scores correlate, the test is conservative.

        Args:
            first: Position of the configuration that is subtracted.
            second: Position of the other.

        Returns:
            The difference; None if they have no seed in common.
        """
        one, other = self.groups[first], self.groups[second]
        common = [seed for seed in one if seed in other]
        if not common:
            return None
        seeds = {first: len(common), second: len(common)}
        return self._difference([(one[seed], other[seed]) for seed in common], seeds)

    def difference_from_one(self, model: Evaluation, position: int) -> SeedDifference:
        """Return the difference of a configuration and a single model outside the study.

        Args:
            model: The model that is subtracted. If it has a seed, that seed's part is assumed as large as the pooled
                one.
            position: Position of the configuration.

        Raises:
            DataError: The model was scored on other rows.
        """
        group = list(self.groups[position].values())
        _check_same_rows([model, *group])
        pairs = [(model, found) for found in group]
        if not model.has_seed:
            return self._difference(pairs, {position: len(group)})
        # A configuration of one seed, which says nothing about the spread.
        last = len(self.groups)
        alone = SeedSpread(0.0, 0, 0.0)
        widened = replace(self, accuracy=self.accuracy.with_one(alone), macro_f1=self.macro_f1.with_one(alone))
        return widened._difference(pairs, {position: len(group), last: 1})

    def _difference(self, pairs: Sequence[tuple[Evaluation, Evaluation]], seeds: Mapping[int, int]) -> SeedDifference:
        """Return the mean difference of pairs, the second minus the first.

        Args:
            pairs: Models of the same rows.
            seeds: Number of seeds per configuration, by position.
        """
        accuracy_rows = np.mean([accuracy_by_row(b) - accuracy_by_row(a) for a, b in pairs], axis=0)
        macro_rows = np.mean([macro_f1_by_row(b) - macro_f1_by_row(a) for a, b in pairs], axis=0)
        accuracy = float(np.mean([b.right_share - a.right_share for a, b in pairs]))
        macro_f1 = float(np.mean([b.metrics.macro_f1 - a.metrics.macro_f1 for a, b in pairs]))
        was_right, is_right = (_mostly_right([pair[side] for pair in pairs]) for side in (0, 1))
        moved = np.any([relabelled(a, b) for a, b in pairs], axis=0)
        # Two names of the same trainings: there is no uncertainty.
        same = not moved.any()
        unseen = paired_rows_variance(accuracy_rows)
        changed = int(np.any([a.correct != b.correct for a, b in pairs], axis=0).sum())
        split = pairs[0][1].split
        return SeedDifference(
            seeds=len(pairs),
            rows=self.rows,
            of_accuracy=_NONE if same else self.accuracy.estimate(accuracy, seeds, accuracy_rows, unseen=unseen),
            of_macro_f1=_NONE if same else self.macro_f1.estimate(macro_f1, seeds, macro_rows),
            fixed=int((is_right & ~was_right).sum()),
            broken=int((was_right & ~is_right).sum()),
            changed=changed,
            relabelled=int(moved.sum()),
            macro_f1_withheld=why_withheld(changed, split.counts),
        )

    def winners_excess(self, scores: Sequence[float], rows: int) -> WinnersExcess:
        """Estimate the excess of the highest of several macro-F1 on other rows, due to the choice by that score.

        The standard errors are those of these rows, with the rows' part scaled to the number of the other rows.

        Args:
            scores: Mean macro-F1 of each configuration on the rows used for the choice, the best first.
            rows: Number of those rows.
        """
        variances: list[float] = []
        for position in range(1, len(scores)):
            found = self.difference(0, position)
            if found is not None:
                seeds = sum(self._seed_variance(i) for i in (0, position)) / found.seeds
                between_rows = max(0.0, found.of_macro_f1.variance - seeds) * self.rows / rows
                variance = seeds + between_rows
                if scores[0] - scores[position] <= float(stats.norm.ppf((1 + LEVEL) / 2)) * variance**0.5:
                    variances.append(variance)
        alike = 1 + len(variances)
        # A difference has the noise of two scores.
        deviation = float(np.mean(variances) / 2) ** 0.5 if variances else 0.0
        return WinnersExcess(alike, expected_maximum(alike) * deviation, self.knows_seeds)

    def _seed_variance(self, position: int) -> float:
        """Return the variance of macro-F1 between seeds with endless rows."""
        part, spread = self.macro_f1.of_one(position), self.macro_f1.spreads[position]
        return 0.0 if part is None else max(0.0, part.variance - spread.interaction)


def expected_maximum(count: int) -> float:
    """Return the mean of the largest of `count` standard normal numbers."""
    from scipy.integrate import quad

    if count < 2:
        return 0.0
    return float(quad(lambda x: x * count * stats.norm.pdf(x) * stats.norm.cdf(x) ** (count - 1), -10, 10)[0])


def over_seeds(evaluations: Sequence[Evaluation]) -> dict[str, SeedSummary]:
    """Return accuracy and macro-F1 over several seeds, with intervals for other seeds and other rows.

    Args:
        evaluations: One per seed, all on the same rows; at least two.

    Returns:
        By name: the share of rows that are right ("accuracy", or "subset accuracy"), and "macro-F1".

    Raises:
        DataError: Fewer than two seeds, or different rows.
    """
    if len(evaluations) < 2:
        raise DataError("One seed has no spread. Run at least two seeds for an interval over seeds.")
    study = SeedStudy.of([dict(enumerate(evaluations))])
    found = {}
    for name, pool, values, by_row in (
        (evaluations[0].split.task.right, study.accuracy, [e.right_share for e in evaluations], accuracy_by_row),
        ("macro-F1", study.macro_f1, [e.metrics.macro_f1 for e in evaluations], macro_f1_by_row),
    ):
        rows = np.mean([by_row(e) for e in evaluations], axis=0)
        split = evaluations[0].split
        unseen = (
            float(share_variance(np.array(np.mean(values) * len(split)), np.array(float(len(split)))))
            if by_row is accuracy_by_row
            else rare_classes_variance(split.label_ids, [e.predictions for e in evaluations], len(split.labels))
        )
        estimate = pool.estimate(float(np.mean(values)), {0: len(evaluations)}, rows, unseen=unseen)
        found[name] = SeedSummary(tuple(values), estimate.interval(0.0, 1.0))
    return found


def _mostly_right(evaluations: Sequence[Evaluation]) -> NDArray[np.bool_]:
    """Return whether more than half of the seeds are right, shape (rows,)."""
    return np.asarray(np.mean([evaluation.correct for evaluation in evaluations], axis=0) > 0.5)


def _check_same_rows(evaluations: Sequence[Evaluation]) -> None:
    if len({evaluation.split.fingerprint for evaluation in evaluations}) > 1:
        raise DataError(
            "The seeds were scored on different rows, so their scores do not add up. Use one split for all."
        )

"""What several seeds say: of one configuration, of two, and of a whole leaderboard, with other seeds and other rows counted.

The statistics are in `crossed`, and what a row contributes to a score in `contributions`; here they meet evaluations. How often these tests
err and what they find is measured by benchmarks/seed_tests.py.
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
from emotune.evaluation.scores import Evaluation
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
    """Two configurations on the same seeds and the same rows: the second less the first.

    Attributes:
        seeds: How many seeds both have.
        rows: How many rows.
        of_accuracy: The mean difference in accuracy, and how sure it is.
        of_macro_f1: Likewise of macro-F1.
        fixed: Rows that most seeds of the second get right, and not most of the first.
        broken: Rows that most seeds of the first get right, and not most of the second.
        changed: Rows on which any pair of models disagrees whether the label is right.
        relabelled: Rows on which any pair of models gives another label.
        macro_f1_withheld: Why two models could not be compared in macro-F1 on these rows, as in `PairedStatistics`; "" where they could.
            A pool of many configurations knows more, and its leaderboard compares them all the same.
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
        """Likewise in macro-F1."""
        return self.of_macro_f1.interval(-1.0, 1.0)

    @property
    def p_value(self) -> float:
        """Two-sided p of no difference in accuracy."""
        return max(self.of_accuracy.p_value, _least_p(self.changed))

    @property
    def macro_f1_p(self) -> float:
        """Likewise in macro-F1."""
        return max(self.of_macro_f1.p_value, _least_p(self.relabelled))


def _least_p(changed: int) -> float:
    """The p of McNemar's test where all of so many rows change for the better: the least that so few rows can be worth.

    Four rows that all seeds get right, and the other model wrong, have hardly a spread, but they are four rows.
    """
    return mcnemar(changed, 0)[1]


@dataclass(frozen=True)
class WinnersExcess:
    """By how much the best of several scores is too high because it was chosen by that score.

    Attributes:
        alike: How many scores, the best among them, chance alone could have put in another order.
        excess: How much too high the best is on average if these are equal in truth, which is the worst case.
        counts_seeds: Whether the spread between seeds is known and counted.
    """

    alike: int
    excess: float
    counts_seeds: bool


@dataclass(frozen=True, eq=False)
class SeedStudy:
    """Configurations, each trained with some seeds and scored on the same rows.

    Attributes:
        groups: Of each configuration, its evaluations by seed.
        accuracy: How accuracy spreads between seeds, pooled over the configurations.
        macro_f1: Likewise macro-F1.
    """

    groups: tuple[Mapping[int, Evaluation], ...]
    accuracy: Pool
    macro_f1: Pool

    @classmethod
    def of(cls, groups: Sequence[Mapping[int, Evaluation]]) -> SeedStudy:
        """Pool what all configurations say of the spread between seeds.

        Args:
            groups: Of each configuration, its evaluations by seed, at least one.

        Raises:
            DataError: The evaluations are of different rows.
        """
        _check_same_rows([evaluation for group in groups for evaluation in group.values()])
        accuracy, macro_f1 = [], []
        for group in groups:
            found = list(group.values())
            accuracy.append(
                SeedSpread.of([e.metrics.accuracy for e in found], np.array([accuracy_by_row(e) for e in found]))
            )
            macro_f1.append(
                SeedSpread.of([e.metrics.macro_f1 for e in found], np.array([macro_f1_by_row(e) for e in found]))
            )
        return cls(tuple(groups), Pool.of(accuracy), Pool.of(macro_f1))

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(next(iter(self.groups[0].values())).split)

    @property
    def knows_seeds(self) -> bool:
        """Whether any configuration has two seeds, so that something is known of their spread."""
        return self.accuracy.freedom > 0

    def difference(self, first: int, second: int) -> SeedDifference | None:
        """One configuration less another, over the seeds that both have.

        Seeds of the two are taken as independent of each other. The same seed may draw the same batches for both; where that makes their
        scores go together, the test is on the safe side.

        Args:
            first: Position of the configuration that is taken away.
            second: Position of the other.

        Returns:
            The difference; None where no seed is common.
        """
        one, other = self.groups[first], self.groups[second]
        common = [seed for seed in one if seed in other]
        if not common:
            return None
        seeds = {first: len(common), second: len(common)}
        return self._difference([(one[seed], other[seed]) for seed in common], seeds)

    def difference_from_one(self, model: Evaluation, position: int) -> SeedDifference:
        """One configuration less a single model that is no part of the study.

        Args:
            model: The model that is taken away. Where it has a seed, that seed's part is taken to be as large as the pooled one.
            position: Position of the configuration.

        Raises:
            DataError: The model was scored on other rows.
        """
        group = list(self.groups[position].values())
        _check_same_rows([model, *group])
        pairs = [(model, found) for found in group]
        if not model.has_seed:
            return self._difference(pairs, {position: len(group)})
        # A configuration of one seed, which says nothing of the spread itself.
        last = len(self.groups)
        alone = SeedSpread(0.0, 0, 0.0)
        widened = replace(self, accuracy=self.accuracy.with_one(alone), macro_f1=self.macro_f1.with_one(alone))
        return widened._difference(pairs, {position: len(group), last: 1})

    def _difference(self, pairs: Sequence[tuple[Evaluation, Evaluation]], seeds: Mapping[int, int]) -> SeedDifference:
        """The second of each pair less the first.

        Args:
            pairs: Models of the same rows.
            seeds: How many seeds of which configurations are in it, by position.
        """
        accuracy_rows = np.mean([accuracy_by_row(b) - accuracy_by_row(a) for a, b in pairs], axis=0)
        macro_rows = np.mean([macro_f1_by_row(b) - macro_f1_by_row(a) for a, b in pairs], axis=0)
        accuracy = float(np.mean([b.metrics.accuracy - a.metrics.accuracy for a, b in pairs]))
        macro_f1 = float(np.mean([b.metrics.macro_f1 - a.metrics.macro_f1 for a, b in pairs]))
        was_right, is_right = (_mostly_right([pair[side] for pair in pairs]) for side in (0, 1))
        relabelled = np.any([a.predictions != b.predictions for a, b in pairs], axis=0)
        # Two names of the same trainings: nothing is uncertain.
        same = not relabelled.any()
        unseen = paired_rows_variance(accuracy_rows)
        changed = int(np.any([a.correct != b.correct for a, b in pairs], axis=0).sum())
        split = pairs[0][1].split
        support = np.bincount(split.label_ids, minlength=len(split.labels))
        return SeedDifference(
            seeds=len(pairs),
            rows=self.rows,
            of_accuracy=_NONE if same else self.accuracy.estimate(accuracy, seeds, accuracy_rows, unseen=unseen),
            of_macro_f1=_NONE if same else self.macro_f1.estimate(macro_f1, seeds, macro_rows),
            fixed=int((is_right & ~was_right).sum()),
            broken=int((was_right & ~is_right).sum()),
            changed=changed,
            relabelled=int(relabelled.sum()),
            macro_f1_withheld=why_withheld(changed, dict(zip(split.labels, support.tolist(), strict=True))),
        )

    def winners_excess(self, scores: Sequence[float], rows: int) -> WinnersExcess:
        """How much too high the first of several macro-F1 on other rows is, since it was put first by that score.

        The standard errors are those of these rows, with the rows' part scaled to the number of the others.

        Args:
            scores: Mean macro-F1 of each configuration on the rows that chose, the best first.
            rows: How many those were.
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
        """Variance of macro-F1 between seeds with endless rows."""
        part, spread = self.macro_f1.of_one(position), self.macro_f1.spreads[position]
        return 0.0 if part is None else max(0.0, part.variance - spread.interaction)


def expected_maximum(count: int) -> float:
    """The mean of the largest of this many standard normal numbers."""
    from scipy.integrate import quad

    if count < 2:
        return 0.0
    return float(quad(lambda x: x * count * stats.norm.pdf(x) * stats.norm.cdf(x) ** (count - 1), -10, 10)[0])


def over_seeds(evaluations: Sequence[Evaluation]) -> dict[str, SeedSummary]:
    """Accuracy and macro-F1 over several seeds, with what other seeds and other rows would change.

    Args:
        evaluations: One per seed, all on the same rows; at least two.

    Returns:
        "accuracy" and "macro-F1".

    Raises:
        DataError: Fewer than two seeds, or different rows.
    """
    if len(evaluations) < 2:
        raise DataError("One seed has no spread. Run at least two seeds for an interval over seeds.")
    study = SeedStudy.of([dict(enumerate(evaluations))])
    found = {}
    for name, pool, values, by_row in (
        ("accuracy", study.accuracy, [e.metrics.accuracy for e in evaluations], accuracy_by_row),
        ("macro-F1", study.macro_f1, [e.metrics.macro_f1 for e in evaluations], macro_f1_by_row),
    ):
        rows = np.mean([by_row(e) for e in evaluations], axis=0)
        split = evaluations[0].split
        unseen = (
            float(share_variance(np.array(np.mean(values) * len(split)), np.array(float(len(split)))))
            if name == "accuracy"
            else rare_classes_variance(split.label_ids, [e.predictions for e in evaluations], len(split.labels))
        )
        estimate = pool.estimate(float(np.mean(values)), {0: len(evaluations)}, rows, unseen=unseen)
        found[name] = SeedSummary(tuple(values), estimate.interval(0.0, 1.0))
    return found


def _mostly_right(evaluations: Sequence[Evaluation]) -> NDArray[np.bool_]:
    """Shape (rows,): whether more than half of the seeds are right."""
    return np.asarray(np.mean([evaluation.correct for evaluation in evaluations], axis=0) > 0.5)


def _check_same_rows(evaluations: Sequence[Evaluation]) -> None:
    if len({evaluation.split.fingerprint for evaluation in evaluations}) > 1:
        raise DataError(
            "The seeds were scored on different rows, so their scores do not add up. Use one split for all."
        )

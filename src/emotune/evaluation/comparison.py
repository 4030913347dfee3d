"""Evaluations of the same rows side by side, with statistics of their difference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.folds import FoldDifference, FoldStudy
from emotune.evaluation.margin import MarginTest, corrected, margin_test, margin_test_over_seeds
from emotune.evaluation.scores import Evaluation, restrict
from emotune.evaluation.seeds import SeedDifference, SeedStudy
from emotune.statistics.paired import PairedStatistics


@dataclass(frozen=True, eq=False)
class SeenRows:
    """Rows of the comparison that the first model has seen: equal texts up to case, punctuation and spaces.

    Attributes:
        trained: Numbers of the rows that it was trained on, from 0.
        chosen: Numbers of the rows on which its epoch was chosen, and on which it was not trained.
        unknown: The reason, a clause, why it is not known; "" if it is.
    """

    trained: NDArray[np.int64]
    chosen: NDArray[np.int64]
    unknown: str = ""

    @property
    def rows(self) -> NDArray[np.int64]:
        """Numbers of all these rows."""
        return np.union1d(self.trained, self.chosen)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Before and after, on identical rows.

    Attributes:
        before: Scores of the first model, usually the base.
        after: Scores of the second model, usually the tuned one.
        baselines: Further models scored on the same rows, for scale.
        seeds: The second model's configuration trained with each of several seeds, on the same rows; () for one seed.
        margin: Points of accuracy that the second model may be behind the others and still count as not worse; None
            for no such test.
        seen: Rows that the first model has seen, if that is the tuned model of another run.
        folds: Scores by fold of a cross-validation, whose predictions, in the first repeat, the evaluations are.
    """

    before: Evaluation
    after: Evaluation
    baselines: tuple[Evaluation, ...] = ()
    seeds: tuple[Evaluation, ...] = ()
    margin: float | None = None
    seen: SeenRows | None = None
    folds: FoldStudy | None = None

    @property
    def fixed(self) -> NDArray[np.int64]:
        """Numbers of the rows that were wrong before and are right after."""
        return np.flatnonzero(~self.before.correct & self.after.correct)

    @property
    def broken(self) -> NDArray[np.int64]:
        """Numbers of the rows that were right before and are wrong after."""
        return np.flatnonzero(self.before.correct & ~self.after.correct)

    @property
    def best_baseline(self) -> Evaluation | None:
        """The baseline with the highest macro-F1 on validation; None if no baseline was scored there."""
        scored = [found for found in self.baselines if found.validation_macro_f1 is not None]
        return max(scored, key=lambda found: found.validation_macro_f1 or 0.0, default=None)

    def restricted(self, rows: NDArray[np.int64]) -> Comparison:
        """Return the same models on some of the rows.

        Args:
            rows: Their numbers, from 0.
        """
        return Comparison(
            before=restrict(self.before, rows),
            after=restrict(self.after, rows),
            baselines=tuple(restrict(baseline, rows) for baseline in self.baselines),
            seeds=tuple(restrict(seed, rows) for seed in self.seeds),
        )

    @property
    def mean_scores(self) -> tuple[float, float]:
        """Accuracy and macro-F1 of the second model, as means over its seeds if there are several, or over folds."""
        if self.folds is not None:
            accuracy, macro_f1 = self.folds.scores(self.after.name)
            return accuracy.mean, macro_f1.mean
        found = [model.metrics for model in self.seeds or (self.after,)]
        return fmean(metrics.accuracy for metrics in found), fmean(metrics.macro_f1 for metrics in found)

    @cached_property
    def statistics(self) -> PairedStatistics:
        """The second model against the first: tests and intervals, from the paired predictions."""
        return self.against(self.before)

    def against(self, other: Evaluation) -> PairedStatistics:
        """Return the statistics of the second model against another of the comparison."""
        for known, statistics in self._found:
            if known is other:
                return statistics
        split = self.after.split
        statistics = split.task.compare(split.label_ids, other.predictions, self.after.predictions, split.labels)
        self._found.append((other, statistics))
        return statistics

    def over_folds(self, other: Evaluation) -> FoldDifference:
        """Return the mean difference of the second model from another over all folds of all repeats.

        Raises:
            ValueError: The comparison is not one of a cross-validation.
        """
        if self.folds is None:
            raise ValueError("this comparison has no folds")
        return self.folds.difference(other, self.after)

    def over_seeds(self, other: Evaluation) -> SeedDifference:
        """Return the mean of the second model's seeds against another model, counting the variance of seeds and rows.

        If the other model has a seed too, its part is assumed to be as large as that of the second model's seeds.
        """
        for known, difference in self._found_over_seeds:
            if known is other:
                return difference
        difference = SeedStudy.of([dict(enumerate(self.seeds))]).difference_from_one(other, 0)
        self._found_over_seeds.append((other, difference))
        return difference

    @cached_property
    def _found_over_seeds(self) -> list[tuple[Evaluation, SeedDifference]]:
        """Cache of `over_seeds`."""
        return []

    @cached_property
    def margin_tests(self) -> tuple[tuple[Evaluation, MarginTest], ...]:
        """Margin tests against the best baseline, the other baselines, and the first model if that is not chance.

        The best baseline is chosen on validation, so its p-values are not corrected; those of the others are corrected
        for their number (Holm). It is empty without a margin, or if the second model is chance.
        """
        if self.margin is None or self.after.is_chance:
            return ()
        margin = self.margin

        def test(other: Evaluation) -> MarginTest:
            if self.seeds:
                return margin_test_over_seeds(self.over_seeds(other), margin)
            return margin_test(self.against(other), margin)

        best = self.best_baseline
        others = [found for found in (*self.baselines, self.before) if found is not best and not found.is_chance]
        rest = corrected([test(other) for other in others])
        first = [] if best is None else [(best, test(best))]
        return (*first, *zip(others, rest, strict=True))

    @cached_property
    def _found(self) -> list[tuple[Evaluation, PairedStatistics]]:
        """Cache of `against`, which computes ten thousand permutations per model."""
        return []

"""Evaluations of the same rows, side by side, with what the difference between them is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.scores import Evaluation
from emotune.evaluation.text.tables import comparison_text
from emotune.system.errors import DataError
from emotune.system.wording import counted

if TYPE_CHECKING:
    from emotune.data.dataset import Split
    from emotune.evaluation.margin import MarginTest
    from emotune.evaluation.seeds import SeedDifference
    from emotune.statistics.paired import PairedStatistics


@dataclass(frozen=True, eq=False)
class Comparison:
    """Before and after, on identical rows.

    Attributes:
        before: Scores of the first model, usually the base.
        after: Scores of the second model, usually the tuned one.
        baselines: Further models scored on the same rows, for scale.
        seeds: The second model's configuration trained with each of several seeds, on the same rows; () where there was one seed.
        margin: Points of accuracy that the second model may be behind the others and still be called not worse; None asks no such question.
    """

    before: Evaluation
    after: Evaluation
    baselines: tuple[Evaluation, ...] = ()
    seeds: tuple[Evaluation, ...] = ()
    margin: float | None = None

    @property
    def fixed(self) -> NDArray[np.int64]:
        """Row numbers that were wrong before and are right after."""
        return np.flatnonzero(~self.before.correct & self.after.correct)

    @property
    def broken(self) -> NDArray[np.int64]:
        """Row numbers that were right before and are wrong after."""
        return np.flatnonzero(self.before.correct & ~self.after.correct)

    @property
    def best_baseline(self) -> Evaluation | None:
        """The baseline with the most macro-F1 on validation; None where no baseline was scored there."""
        scored = [found for found in self.baselines if found.validation_macro_f1 is not None]
        return max(scored, key=lambda found: found.validation_macro_f1 or 0.0, default=None)

    @property
    def yardstick(self) -> Evaluation:
        """What the second model is best measured against: the first of its rivals, or the first model where all is chance."""
        from emotune.evaluation.rivals import rivals

        found = rivals(self)
        return found[0].evaluation if found else self.before

    @property
    def mean_scores(self) -> tuple[float, float]:
        """Accuracy and macro-F1 of the second model, the means over its seeds where there are several."""
        found = [model.metrics for model in self.seeds or (self.after,)]
        return fmean(metrics.accuracy for metrics in found), fmean(metrics.macro_f1 for metrics in found)

    @cached_property
    def statistics(self) -> PairedStatistics:
        """The second model against the first: tests and intervals, from the paired predictions."""
        return self.against(self.before)

    def against(self, other: Evaluation) -> PairedStatistics:
        """The second model against any other of the comparison."""
        from emotune.statistics.paired import paired_statistics

        for known, statistics in self._found:
            if known is other:
                return statistics
        split = self.after.split
        statistics = paired_statistics(split.label_ids, other.predictions, self.after.predictions, split.labels)
        self._found.append((other, statistics))
        return statistics

    def over_seeds(self, other: Evaluation) -> SeedDifference:
        """The mean of the second model's seeds against one other model: seeds and rows are counted.

        Where the other model has a seed too, its part is taken to be as large as that of the second model's seeds.
        """
        from emotune.evaluation.seeds import SeedStudy

        for known, difference in self._found_over_seeds:
            if known is other:
                return difference
        difference = SeedStudy.of([dict(enumerate(self.seeds))]).difference_from_one(other, 0)
        self._found_over_seeds.append((other, difference))
        return difference

    @cached_property
    def _found_over_seeds(self) -> list[tuple[Evaluation, SeedDifference]]:
        """What `over_seeds` has worked out already."""
        return []

    @cached_property
    def margin_tests(self) -> tuple[tuple[Evaluation, MarginTest], ...]:
        """The second model against the best baseline, the other baselines, and the first model where that is not chance.

        The best baseline is chosen by validation, so its p-values stand by themselves; the others' are corrected for their number (Holm).
        Nothing is tested without a margin, or where the second model is chance.
        """
        from emotune.evaluation.margin import corrected, margin_test, margin_test_over_seeds

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
        """What `against` has worked out already: ten thousand permutations each."""
        return []

    def __str__(self) -> str:
        return comparison_text(self)


def compare(before: Evaluation, after: Evaluation, *baselines: Evaluation, margin: float | None = None) -> Comparison:
    """Put two evaluations side by side, and baselines with them.

    Models of one name get a number behind it, so that what is said of each can be told apart.

    Args:
        before: The first model.
        after: The second.
        baselines: Further models.
        margin: Also test whether the second is not worse than the others by more than this many points of accuracy, and equivalent to
            them within as many: 1 is one percentage point.

    Raises:
        DataError: The evaluations saw different rows, or label sets that differ; or they are no evaluations.
        ConfigError: The margin is not between 0 and 100.
    """
    if margin is not None:
        from emotune.evaluation.margin import checked_margin

        checked_margin(margin)
    for given in (before, after, *baselines):
        if not isinstance(given, Evaluation):
            raise DataError(
                f"compare takes what evaluate returns, and was given {type(given).__name__}. Score each model on the same rows first: "
                "compare(evaluate(first, data.test), evaluate(second, data.test)). Saved folders are compared by emotune compare."
            )
    for other in (after, *baselines):
        if other.split.labels != before.split.labels:
            raise DataError(
                f"Cannot compare '{before.name}' with '{other.name}': their labels differ "
                f"({', '.join(before.split.labels)} against {', '.join(other.split.labels)}). Score both on the same data."
            )
        if other.split.fingerprint != before.split.fingerprint:
            raise DataError(
                f"Cannot compare '{before.name}' with '{other.name}': they were scored on different rows. "
                f"{_how_they_differ(before.split, other.split)}"
            )
    before, after, *others = _told_apart([before, after, *baselines])
    return Comparison(before, after, tuple(others), margin=margin)


def _told_apart(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The evaluations, those that share a name numbered in their order: 'tuned (1)', 'tuned (2)'."""
    names = Counter(found.name for found in evaluations)
    taken = {name for name, times in names.items() if times == 1}
    apart = []
    for found in evaluations:
        if names[found.name] == 1:
            apart.append(found)
            continue
        name = next(name for i in count(1) if (name := f"{found.name} ({i})") not in taken)
        taken.add(name)
        apart.append(replace(found, name=name))
    return apart


def _how_they_differ(first: Split, second: Split) -> str:
    """In what the rows of two splits differ, and what to do about it."""
    texts, others = Counter(first.texts), Counter(second.texts)
    rows, other_rows = (Counter(zip(part.texts, part.label_ids.tolist(), strict=True)) for part in (first, second))
    if rows == other_rows:
        return f"Both have the same {len(first):,} rows, in another order. Score both on the same file."
    if texts == others:
        changed = len(first) - (rows & other_rows).total()
        order = "" if first.texts == second.texts else ", in another order"
        return (
            f"Both have the same {len(first):,} texts{order}, and {changed:,} of them under another label. "
            "Score both on the same labels."
        )
    return (
        f"{counted(len(first), 'row')} of '{first.name}' against {counted(len(second), 'row')} of '{second.name}', "
        f"with {counted((texts & others).total(), 'text')} in common. Score both on the same split."
    )

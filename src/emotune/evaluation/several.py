"""Evaluations of rows with several labels side by side, with statistics of their difference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.scores import Evaluation, restrict
from emotune.statistics.several import SeveralStatistics
from emotune.tasks.multi_scores import MultiLabelMetrics


def metrics_of(evaluation: Evaluation) -> MultiLabelMetrics:
    """Return the scores of an evaluation of rows with several labels."""
    return cast(MultiLabelMetrics, evaluation.metrics)


@dataclass(frozen=True, eq=False)
class SeveralComparison:
    """Before and after on identical rows with several labels, and baselines.

    Attributes:
        before: Scores of the base model.
        after: Scores of the tuned model.
        baselines: Further models scored on the same rows.
    """

    before: Evaluation
    after: Evaluation
    baselines: tuple[Evaluation, ...] = ()

    @property
    def yardstick(self) -> Evaluation:
        """The baseline with the highest macro-F1 on validation; without baselines, the first model."""
        return max(self.baselines, key=lambda found: found.validation_macro_f1 or 0.0, default=self.before)

    @cached_property
    def statistics(self) -> dict[str, SeveralStatistics]:
        """The tuned model against each other one, by the name of the other."""
        split = self.after.split
        return {
            other.name: cast(
                SeveralStatistics,
                split.task.compare(split.label_ids, other.predictions, self.after.predictions, split.labels),
            )
            for other in (self.before, *self.baselines)
        }

    def restricted(self, rows: NDArray[np.int64]) -> SeveralComparison:
        """Return the same models on some of the rows.

        Args:
            rows: Their numbers, from 0.
        """
        return SeveralComparison(
            restrict(self.before, rows),
            restrict(self.after, rows),
            tuple(restrict(baseline, rows) for baseline in self.baselines),
        )

    def figures(self) -> dict[str, Any]:
        """Return the scores for `emotune.json`."""
        against = self.statistics[self.before.name]
        return {
            "before": asdict(self.before.metrics),
            "after": asdict(self.after.metrics),
            "baselines": {found.name: asdict(found.metrics) for found in self.baselines},
            "best_baseline": self.yardstick.name if self.baselines else None,
            "rows_fixed": against.fixed,
            "rows_broken": against.broken,
            "scored": "test split",
        }

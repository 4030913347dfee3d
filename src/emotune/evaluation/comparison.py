"""Two evaluations of the same rows, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.errors import DataError
from emotune.evaluation.scores import Evaluation


@dataclass(frozen=True, eq=False)
class Comparison:
    """Before and after, on identical rows.

    Attributes:
        before: Scores of the first model, usually the base.
        after: Scores of the second model, usually the tuned one.
        baselines: Further models scored on the same rows, for scale.
    """

    before: Evaluation
    after: Evaluation
    baselines: tuple[Evaluation, ...] = ()

    @property
    def fixed(self) -> NDArray[np.int64]:
        """Row numbers that were wrong before and are right after."""
        return np.flatnonzero(~self.before.correct & self.after.correct)

    @property
    def broken(self) -> NDArray[np.int64]:
        """Row numbers that were right before and are wrong after."""
        return np.flatnonzero(self.before.correct & ~self.after.correct)

    def __str__(self) -> str:
        from emotune.report.tables import comparison_table, render

        return render(comparison_table(self))


def compare(before: Evaluation, after: Evaluation, *baselines: Evaluation) -> Comparison:
    """Put two evaluations side by side, and baselines with them.

    Raises:
        DataError: The evaluations saw different rows, or label sets that differ.
    """
    for other in (after, *baselines):
        if other.split.labels != before.split.labels:
            raise DataError(
                f"Cannot compare '{before.name}' with '{other.name}': their labels differ "
                f"({', '.join(before.split.labels)} against {', '.join(other.split.labels)}). Score both on the same data."
            )
        if other.split.fingerprint != before.split.fingerprint:
            raise DataError(
                f"Cannot compare '{before.name}' with '{other.name}': they were scored on different rows "
                f"({len(before.split)} rows of '{before.split.name}' against {len(other.split)} rows of '{other.split.name}'). "
                "Score both on the same split."
            )
    return Comparison(before, after, baselines)

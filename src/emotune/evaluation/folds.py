"""Results of a cross-validation: scores of every model in every fold, and differences with corrected intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.scores import Evaluation, relabelled
from emotune.statistics.paired import Interval, mcnemar
from emotune.statistics.resampled import Resampled, corrected_resampled
from emotune.tasks.calibration import Temperature

SPLIT = "cross-validation"
"""Name of the rows in results: every row once, predicted by the model of the fold that left it out."""


@dataclass(frozen=True)
class FoldRecord:
    """Training of one fold.

    Attributes:
        repeat: Number of the repeat, from 1.
        fold: Number of the fold, from 1.
        trained: Rows it was trained on.
        validated: Rows on which everything was chosen.
        scored: Rows it was scored on.
        epochs: Epochs that ran.
        kept: Number of the epoch that was kept.
        temperature: Divisor of the logits fitted on its validation rows; None if these cannot determine it.
        seconds: Wall time of the training.
    """

    repeat: int
    fold: int
    trained: int
    validated: int
    scored: int
    epochs: int
    kept: int
    temperature: Temperature | None
    seconds: float


@dataclass(frozen=True)
class FoldDifference:
    """Mean difference of two models over all folds of all repeats, the second minus the first.

    Attributes:
        of_accuracy: Difference in accuracy.
        of_macro_f1: Difference in macro-F1.
        changed: Rows on which the two differ in being right, in the first repeat.
        relabelled: Rows on which they predict different labels, in the first repeat.
        further: Differences in the further scores of the task, by name; without those that some fold does not define.
    """

    of_accuracy: Resampled
    of_macro_f1: Resampled
    changed: int
    relabelled: int
    macro_f1_withheld: str = ""
    further: Mapping[str, Resampled] = field(default_factory=dict)

    @property
    def accuracy(self) -> Interval:
        """The difference in accuracy with its interval."""
        return self.of_accuracy.interval(-1.0, 1.0)

    @property
    def macro_f1(self) -> Interval:
        """The difference in macro-F1 with its interval."""
        return self.of_macro_f1.interval(-1.0, 1.0)

    @property
    def p_value(self) -> float:
        """Two-sided p of no difference in accuracy, never smaller than so few changed rows can give."""
        return max(self.of_accuracy.p_value, mcnemar(self.changed, 0)[1])

    @property
    def macro_f1_p(self) -> float:
        """Two-sided p of no difference in macro-F1, likewise."""
        return self.p_of(self.of_macro_f1)

    def p_of(self, difference: Resampled) -> float:
        """Return the two-sided p of no difference in a score, never smaller than so few relabelled rows can give."""
        return max(difference.p_value, mcnemar(self.relabelled, 0)[1])


@dataclass(frozen=True, eq=False)
class FoldStudy:
    """Scores of several models in the same folds.

    Attributes:
        accuracy: Shape (repeats, folds), by the model's name.
        macro_f1: Likewise.
        records: The trainings, in their order.
        kept_epoch: The epoch that the final model keeps: the median of those that the folds kept.
        further: The further scores of the task in the same way, by the score's name; NaN where a fold defines none.
    """

    accuracy: Mapping[str, NDArray[np.float64]]
    macro_f1: Mapping[str, NDArray[np.float64]]
    records: tuple[FoldRecord, ...]
    kept_epoch: int
    further: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)

    @property
    def repeats(self) -> int:
        """Number of repeats."""
        return max(record.repeat for record in self.records)

    @property
    def folds(self) -> int:
        """Number of folds per repeat."""
        return max(record.fold for record in self.records)

    @property
    def test_to_train(self) -> float:
        """Rows that a fold scores per row that it trains or chooses on."""
        return 1 / (self.folds - 1)

    def scores(self, name: str) -> tuple[Resampled, Resampled]:
        """Return accuracy and macro-F1 of a model, as means over all folds."""
        return (
            corrected_resampled(self.accuracy[name], self.test_to_train),
            corrected_resampled(self.macro_f1[name], self.test_to_train),
        )

    def further_scores(self, name: str) -> dict[str, Resampled]:
        """Return the further scores of a model as means over all folds, without those that some fold does not define."""
        return {
            score: corrected_resampled(found[name], self.test_to_train)
            for score, found in self.further.items()
            if np.isfinite(found[name]).all()
        }

    def difference(self, first: Evaluation, second: Evaluation) -> FoldDifference:
        """Return the difference of two models, the second minus the first.

        Args:
            first: Predictions of the first model in the first repeat.
            second: Those of the second.
        """
        accuracy, macro_f1 = (
            corrected_resampled(found[second.name] - found[first.name], self.test_to_train)
            for found in (self.accuracy, self.macro_f1)
        )
        return FoldDifference(
            accuracy,
            macro_f1,
            changed=int((first.correct != second.correct).sum()),
            relabelled=int(relabelled(first, second).sum()),
            further={
                score: corrected_resampled(differences, self.test_to_train)
                for score, found in self.further.items()
                if np.isfinite(differences := found[second.name] - found[first.name]).all()
            },
        )

    def figures(self, after: Evaluation, others: Sequence[Evaluation]) -> dict[str, Any]:
        """Return the scores of all folds and the differences for a file.

        Args:
            after: The second model of the comparison.
            others: Those that it is compared with.
        """

        def summary(values: NDArray[np.float64], found: Resampled, interval: Interval) -> dict[str, Any]:
            return {
                "mean": found.mean,
                "low": interval.low,
                "high": interval.high,
                "by_repeat_and_fold": values.tolist(),
            }

        def lead(other: Evaluation) -> dict[str, Any]:
            found = self.difference(other, after)
            return {
                score: {"mean": interval.estimate, "low": interval.low, "high": interval.high, "p_value": p}
                for score, interval, p in (
                    ("accuracy", found.accuracy, found.p_value),
                    ("macro_f1", found.macro_f1, found.macro_f1_p),
                    *((_key(name), unbounded(of), found.p_of(of)) for name, of in found.further.items()),
                )
            }

        return {
            "folds": self.folds,
            "repeats": self.repeats,
            "interval": "corrected resampled t (Nadeau and Bengio 2003)",
            "kept_epoch": self.kept_epoch,
            "scores": {
                model.name: {
                    **{
                        score: summary(values[model.name], found, found.interval(0.0, 1.0))
                        for score, values, found in zip(
                            ("accuracy", "macro_f1"),
                            (self.accuracy, self.macro_f1),
                            self.scores(model.name),
                            strict=True,
                        )
                    },
                    **{
                        _key(score): summary(self.further[score][model.name], found, unbounded(found))
                        for score, found in self.further_scores(model.name).items()
                    },
                }
                for model in (after, *others)
            },
            "leads": {other.name: lead(other) for other in others},
            "trainings": [vars(record) for record in self.records],
        }


def unbounded(found: Resampled) -> Interval:
    """Return a mean with its interval, of a score or a difference that may be any number."""
    return found.interval(-math.inf, math.inf)


def _key(score: str) -> str:
    return score.replace(" ", "_")

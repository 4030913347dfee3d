"""`Evaluation`, the result of `evaluate`: one model's predictions and scores on one split."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.statistics.paired import LEVEL, Interval
from emotune.tasks.scores import Metrics
from emotune.tasks.scores import absent_classes as absent_classes


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One model's predictions and scores on one split.

    Attributes:
        name: Name of the model: "base", "tuned", "majority class", ...
        split: The rows.
        probabilities: Shape (rows, classes), float64, rows sum to 1; None if the model gives only labels.
        logits: Shape (rows, classes), float32; None for baselines without logits.
        predictions: Shape (rows,), int64, label ids.
        metrics: The scores.
        seconds: Wall time of the prediction (fitting included for baselines).
        note: Sentence needed to interpret the score, or "".
        parameters: Number of parameters of the model; None if unknown.
        validation_macro_f1: Macro-F1 on validation, by which baselines are compared; None if it was not measured.
        is_chance: True if the model's head is random numbers, so that its scores measure chance.
        cut: Number of texts that were longer than the model's limit and were cut.
        has_seed: True if the model was trained from a seed, so that another seed would give another model.
    """

    name: str
    split: Split = field(repr=False)
    probabilities: NDArray[np.float64] | None = field(repr=False)
    logits: NDArray[np.float32] | None = field(repr=False)
    predictions: NDArray[np.int64] = field(repr=False)
    metrics: Metrics
    seconds: float
    note: str = ""
    parameters: int | None = None
    validation_macro_f1: float | None = None
    is_chance: bool = False
    has_seed: bool = False
    cut: int = 0

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Correctness of each prediction, a boolean mask of shape (rows,); of several labels, all must be right."""
        right = self.predictions == self.split.label_ids
        return right if right.ndim == 1 else right.all(axis=1)

    @property
    def right_share(self) -> float:
        """Share of rows that are right: the score that `Task.right` names."""
        return float(self.correct.mean())


def score(split: Split, predictions: NDArray[np.int64], probabilities: NDArray[np.float64] | None) -> Metrics:
    """Score predictions against a split's labels, as the split's task does.

    Args:
        split: The rows, with true labels.
        predictions: Shape (rows,), label ids.
        probabilities: Shape (rows, classes), or None if there are none; then `loss` is None.
    """
    return split.task.score(split.label_ids, predictions, probabilities, split.labels)


def accuracy_interval(evaluation: Evaluation) -> Interval:
    """Return the accuracy with its interval for the choice of the rows (Wilson, 1927)."""
    from scipy.stats import binomtest

    found = binomtest(int(evaluation.correct.sum()), len(evaluation.split)).proportion_ci(LEVEL, method="wilson")
    return Interval(evaluation.metrics.accuracy, float(found.low), float(found.high))


def relabelled(first: Evaluation, second: Evaluation) -> NDArray[np.bool_]:
    """Return whether two models of the same rows predict something else, shape (rows,)."""
    other = first.predictions != second.predictions
    return np.asarray(other if other.ndim == 1 else other.any(axis=1))


def restrict(evaluation: Evaluation, rows: NDArray[np.int64]) -> Evaluation:
    """Score an evaluation on some of its rows only, such as those that training had not seen.

    Args:
        evaluation: The evaluation.
        rows: The row numbers to keep, counted from 0; at least one.
    """
    split = evaluation.split.take(rows)
    predictions = evaluation.predictions[rows]
    probabilities = None if evaluation.probabilities is None else evaluation.probabilities[rows]
    return replace(
        evaluation,
        split=split,
        probabilities=probabilities,
        logits=None if evaluation.logits is None else evaluation.logits[rows],
        predictions=predictions,
        metrics=score(split, predictions, probabilities),
        cut=0,  # of these rows it is not known
    )

"""Scores of predictions on one split: what scikit-learn computes, under the names the field uses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.system.wording import listed


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of one class, and the number of rows that carry it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Metrics:
    """The scores of one model on one split.

    Attributes:
        accuracy: Share of rows whose predicted label is the true one.
        macro_precision: Mean over classes, each counted once; likewise `macro_recall`, `macro_f1`.
        weighted_precision: Mean over classes, weighted by support; likewise `weighted_recall`, `weighted_f1`.
        loss: Mean cross-entropy in nats: a loss, not an accuracy. None where a model gives labels without probabilities.
        per_class: Scores by label name, in label order.
    """

    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    loss: float | None
    per_class: dict[str, ClassScores]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One model's predictions and scores on one split.

    Attributes:
        name: What was scored, in words: "base", "tuned", "majority class", ...
        split: The rows.
        probabilities: Shape (rows, classes), float64, rows sum to 1; None where the model gives labels only.
        logits: Shape (rows, classes), float32; None for baselines without logits.
        predictions: Shape (rows,), int64, label ids.
        metrics: The scores.
        seconds: Wall time of the prediction (fitting included for baselines).
        note: What the reader must know to read the number rightly, or "".
        parameters: Numbers that the model is made of; None where they are not known.
        validation_macro_f1: Macro-F1 on validation, by which baselines are compared; None where it was not measured.
        is_chance: Whether the model's head is random numbers, so that its scores measure chance.
        has_seed: Whether the model was trained from a seed, so that another seed would have given another model.
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

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Shape (rows,): whether each prediction is right."""
        return self.predictions == self.split.label_ids


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Softmax over the last axis in float64; the numerically stable form."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def score(split: Split, predictions: NDArray[np.int64], probabilities: NDArray[np.float64] | None) -> Metrics:
    """Score predictions against a split's labels.

    Classes that are never predicted get precision 0, and classes without rows recall 0, without a warning: both stand in
    the per-class table with their support, and `absent_classes` says what the latter does to the macro scores.

    Args:
        split: The rows, with true labels.
        predictions: Shape (rows,), label ids.
        probabilities: Shape (rows, classes), or None where there are none; then `loss` is None.
    """
    from sklearn.metrics import log_loss, precision_recall_fscore_support

    ids = np.arange(len(split.labels))
    truth = split.label_ids
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predictions, labels=ids, average=None, zero_division=0.0
    )
    macro = precision_recall_fscore_support(truth, predictions, labels=ids, average="macro", zero_division=0.0)
    weighted = precision_recall_fscore_support(truth, predictions, labels=ids, average="weighted", zero_division=0.0)
    return Metrics(
        accuracy=float(np.mean(predictions == truth)),
        macro_precision=float(macro[0]),
        macro_recall=float(macro[1]),
        macro_f1=float(macro[2]),
        weighted_precision=float(weighted[0]),
        weighted_recall=float(weighted[1]),
        weighted_f1=float(weighted[2]),
        loss=None if probabilities is None else float(log_loss(truth, probabilities, labels=ids)),
        per_class={
            label: ClassScores(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
            for i, label in enumerate(split.labels)
        },
    )


def absent_classes(metrics: Metrics) -> str:
    """A sentence that names the classes without rows, which the macro scores count as 0; "" where every class has rows."""
    names = [label for label, found in metrics.per_class.items() if found.support == 0]
    if not names:
        return ""
    count = "it" if len(names) == 1 else "each of them"
    return (
        f"No row that was scored is labelled {listed(names)}: "
        f"macro precision, macro recall and macro-F1 count {count} as 0."
    )


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
    )

"""Scores of predicted labels, computed by scikit-learn, under their usual names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from emotune.system.wording import listed


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of one class, and the number of its rows."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Metrics:
    """The scores of one model on one split.

    Attributes:
        accuracy: Share of rows whose predicted label is the true one.
        macro_precision: Unweighted mean over classes; also `macro_recall`, `macro_f1`.
        weighted_precision: Mean over classes, weighted by support; also `weighted_recall`, `weighted_f1`.
        loss: Mean cross-entropy in nats: a loss, not an accuracy. None if a model gives labels without probabilities.
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

    def named(self) -> dict[str, float]:
        """Return the scores from 0 to 1 for which higher is better, by their name in tables."""
        return {
            "accuracy": self.accuracy,
            "macro precision": self.macro_precision,
            "macro recall": self.macro_recall,
            "macro-F1": self.macro_f1,
            "weighted precision": self.weighted_precision,
            "weighted recall": self.weighted_recall,
            "weighted-F1": self.weighted_f1,
        }


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the softmax over the last axis, in float64."""
    return np.asarray(special.softmax(logits.astype(np.float64), axis=-1))


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the sigmoid of each value, in float64."""
    return np.asarray(special.expit(logits.astype(np.float64)))


def score(
    truth: NDArray[np.int64],
    predictions: NDArray[np.int64],
    probabilities: NDArray[np.float64] | None,
    labels: Sequence[str],
) -> Metrics:
    """Score predictions against the true labels.

    Classes that are never predicted get precision 0, and classes without rows recall 0, without a warning. Both are in
    the per-class table with their support, and `absent_classes` describes the effect of the latter on the macro scores.

    Args:
        truth: Shape (rows,), label ids.
        predictions: Shape (rows,), label ids.
        probabilities: Shape (rows, classes), or None if there are none; then `loss` is None.
        labels: Label names.
    """
    from sklearn.metrics import log_loss, precision_recall_fscore_support

    ids = np.arange(len(labels))
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
            for i, label in enumerate(labels)
        },
    )


def absent_classes(metrics: Metrics) -> str:
    """Return a sentence with the classes without rows, which the macro scores count as 0; "" if there are none."""
    names = [label for label, found in metrics.per_class.items() if found.support == 0]
    if not names:
        return ""
    count = "it" if len(names) == 1 else "each of them"
    return (
        f"No row that was scored is labelled {listed(names)}: "
        f"macro precision, macro recall and macro-F1 count {count} as 0."
    )

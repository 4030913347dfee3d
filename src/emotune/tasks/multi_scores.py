"""Scores of predictions with several labels per row, computed by scikit-learn, under their usual names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.tasks.scores import ClassScores


@dataclass(frozen=True)
class MultiLabelMetrics:
    """The scores of one model on one split whose rows have any number of labels.

    Attributes:
        micro_precision: Over all pairs of a row and a label; also `micro_recall`, `micro_f1`.
        macro_precision: Unweighted mean over labels; also `macro_recall`, `macro_f1`.
        weighted_f1: Mean over labels, weighted by their rows.
        samples_f1: Mean over rows of the F1 of a row's labels; a row without true and predicted labels counts as 1.
        subset_accuracy: Share of rows whose predicted labels are exactly the true ones.
        jaccard: Mean over rows of the size of the intersection of true and predicted labels, divided by that of their
            union; a row without either counts as 1.
        hamming_loss: Share of pairs of a row and a label that are wrong.
        average_precision: Unweighted mean over labels of the average precision of their probabilities; labels without
            rows are left out. None without probabilities, or if no label has rows.
        loss: Mean over pairs of a row and a label of the binary cross-entropy in nats; None without probabilities.
        per_class: Scores by label name, in label order.
        average_precisions: Average precision by label name; None for a label without rows, empty without probabilities.
    """

    micro_precision: float
    micro_recall: float
    micro_f1: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_f1: float
    samples_f1: float
    subset_accuracy: float
    jaccard: float
    hamming_loss: float
    average_precision: float | None
    loss: float | None
    per_class: dict[str, ClassScores]
    average_precisions: dict[str, float | None]

    def named(self) -> dict[str, float]:
        """Return the scores from 0 to 1 for which higher is better, by their name in tables."""
        found = {
            "macro-F1": self.macro_f1,
            "micro-F1": self.micro_f1,
            "samples-F1": self.samples_f1,
            "weighted-F1": self.weighted_f1,
            "macro precision": self.macro_precision,
            "macro recall": self.macro_recall,
            "micro precision": self.micro_precision,
            "micro recall": self.micro_recall,
            "Jaccard (samples)": self.jaccard,
            "subset accuracy": self.subset_accuracy,
        }
        return found if self.average_precision is None else {**found, "average precision": self.average_precision}


def score_several(
    truth: NDArray[np.int8],
    predictions: NDArray[np.int8],
    probabilities: NDArray[np.float64] | None,
    labels: Sequence[str],
) -> MultiLabelMetrics:
    """Score predictions against the true labels.

    Labels that are never predicted get precision 0, and labels without rows recall 0, as in single-label scores.

    Args:
        truth: Shape (rows, labels), 0 and 1.
        predictions: Shape (rows, labels), 0 and 1.
        probabilities: Shape (rows, labels), or None if there are none.
        labels: Label names.
    """
    from sklearn.metrics import hamming_loss, jaccard_score, precision_recall_fscore_support

    def scores(average: str | None) -> tuple[NDArray[np.float64], ...]:
        return precision_recall_fscore_support(truth, predictions, average=average, zero_division=0.0)

    precision, recall, f1, support = scores(None)
    micro, macro = scores("micro"), scores("macro")
    ranked = {} if probabilities is None else _average_precisions(truth, probabilities, labels)
    known = [value for value in ranked.values() if value is not None]
    return MultiLabelMetrics(
        micro_precision=float(micro[0]),
        micro_recall=float(micro[1]),
        micro_f1=float(micro[2]),
        macro_precision=float(macro[0]),
        macro_recall=float(macro[1]),
        macro_f1=float(macro[2]),
        weighted_f1=float(scores("weighted")[2]),
        samples_f1=float(precision_recall_fscore_support(truth, predictions, average="samples", zero_division=1.0)[2]),
        subset_accuracy=float((truth == predictions).all(axis=1).mean()),
        jaccard=float(jaccard_score(truth, predictions, average="samples", zero_division=1.0)),
        hamming_loss=float(hamming_loss(truth, predictions)),
        average_precision=float(np.mean(known)) if known else None,
        loss=None if probabilities is None else binary_loss(truth, probabilities),
        per_class={
            label: ClassScores(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
            for i, label in enumerate(labels)
        },
        average_precisions=ranked,
    )


def _average_precisions(
    truth: NDArray[np.int8], probabilities: NDArray[np.float64], labels: Sequence[str]
) -> dict[str, float | None]:
    from sklearn.metrics import average_precision_score

    return {
        label: float(average_precision_score(truth[:, i], probabilities[:, i])) if truth[:, i].any() else None
        for i, label in enumerate(labels)
    }


def binary_loss(truth: NDArray[np.int8], probabilities: NDArray[np.float64]) -> float:
    """Return the mean binary cross-entropy over all pairs of a row and a label, in nats."""
    tiny = np.finfo(np.float64).tiny
    chosen = np.where(truth == 1, probabilities, 1 - probabilities)
    return float(-np.log(np.clip(chosen, tiny, None)).mean())


def macro_f1_of(truth: NDArray[np.int8], predictions: NDArray[np.int8]) -> float:
    """Return macro-F1: the unweighted mean over labels; a label without true and predicted rows counts as 0."""
    both = (truth & predictions).sum(axis=0).astype(np.float64)
    total = truth.sum(axis=0, dtype=np.int64) + predictions.sum(axis=0, dtype=np.int64)
    return float(np.divide(2 * both, total, out=np.zeros(len(total)), where=total > 0).mean())

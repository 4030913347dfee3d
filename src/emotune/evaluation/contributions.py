"""Contributions of rows to a score: numbers whose variance over their count is the score's variance over rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.scores import Evaluation
from emotune.statistics.paired import FEW_CHANGES


def accuracy_by_row(evaluation: Evaluation) -> NDArray[np.float64]:
    """Return 1 for each right prediction and 0 for each wrong one, shape (rows,)."""
    return evaluation.correct.astype(np.float64)


def macro_f1_by_row(evaluation: Evaluation) -> NDArray[np.float64]:
    """Return the jackknife's pseudo-values of macro-F1, shape (rows,).

    See `macro_f1_pseudo_values`, and `several_pseudo_values` for rows with several labels.
    """
    truth, predicted = evaluation.split.label_ids, evaluation.predictions
    if truth.ndim == 2:
        return several_pseudo_values(truth, predicted)
    return macro_f1_pseudo_values(truth, predicted, len(evaluation.split.labels))


def macro_f1_pseudo_values(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Return pseudo-values of macro-F1, n * score - (n - 1) * score without the row (J. W. Tukey, 1958).

    All rows with the same true and predicted label have the same value, so at most classes x classes scores are
    computed. Unlike a linear approximation, the jackknife tends to overestimate the variance if a class has few rows.

    Args:
        truth: Shape (rows,), true label ids.
        predicted: Shape (rows,), predicted label ids.
        classes: Number of labels.

    Returns:
        Shape (rows,).
    """
    rows = len(truth)
    counts = np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(np.float64)
    hits, sizes = counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1)
    f1 = _f1(hits, sizes)
    # A row counts once in the size of its true class and once in that of its predicted class.
    short, right = _f1(hits, sizes - 1), _f1(hits - 1, sizes - 2)
    lost = f1 - short
    without = f1.sum() - lost[:, None] - lost[None, :]
    np.fill_diagonal(without, f1.sum() - (f1 - right))
    table = (rows * f1.sum() - (rows - 1) * without) / classes
    return np.asarray(table[truth, predicted])


def several_pseudo_values(truth: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.float64]:
    """Return the same for rows with any number of labels.

    A label's F1 without a row depends only on whether the row is a hit, or is in just one of truth and prediction.

    Args:
        truth: Shape (rows, labels), 0 and 1.
        predicted: Shape (rows, labels), 0 and 1.

    Returns:
        Shape (rows,).
    """
    rows, classes = truth.shape
    hit, named = truth & predicted, truth.astype(np.int64) + predicted
    hits, sizes = hit.sum(axis=0, dtype=np.float64), named.sum(axis=0).astype(np.float64)
    f1 = _f1(hits, sizes)
    missed, right = f1 - _f1(hits, sizes - 1), f1 - _f1(hits - 1, sizes - 2)
    lost = np.where(hit, right, np.where(named == 1, missed, 0.0)).sum(axis=1)
    return np.asarray((rows * f1.sum() - (rows - 1) * (f1.sum() - lost)) / classes)


def rare_classes_variance(truth: NDArray[np.int64], predicted: Sequence[NDArray[np.int64]], classes: int) -> float:
    """Return the part of macro-F1's variance that the rows do not show, because a class has few of them.

    Five rows that are all right have no spread, as if other rows of the class could not be wrong. The term that
    `share_variance` adds to the variance of a class's recall is carried over to macro-F1. It vanishes with some dozens
    of rows.

    Args:
        truth: Shape (rows,), true label ids; or shape (rows, labels), 0 and 1.
        predicted: What each training predicted, in the shape of `truth`; the score is the mean over them.
        classes: Number of labels.

    Returns:
        The variance to add to that of the mean over trainings.
    """
    if truth.ndim == 2:
        support = truth.sum(axis=0, dtype=np.float64)
        hits = np.mean([(truth & one).sum(axis=0) for one in predicted], axis=0)
        called = np.mean([one.sum(axis=0, dtype=np.int64) for one in predicted], axis=0)
    else:
        support = np.bincount(truth, minlength=classes).astype(np.float64)
        hits = np.mean([np.bincount(truth[truth == one], minlength=classes) for one in predicted], axis=0)
        called = np.mean([np.bincount(one, minlength=classes) for one in predicted], axis=0)
    there = support > 0
    support, hits, called = support[there], hits[there], called[there]
    # F1 is 2 hits / (support + called); one more hit is also one more row that is called so.
    slope = 2 * support * (support + called - hits) / (support + called) ** 2
    return float((share_variance(hits, support) * slope**2).sum()) / classes**2


def share_variance(hits: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of the variance of a share that the rows do not show, because all or nearly all of them agree.

    Twenty rows that are all right have no spread. With two right and two wrong rows added they have one (A. Agresti and
    B. A. Coull, American Statistician 52, 1998). The added variance vanishes as the number of rows grows.

    Args:
        hits: Number of right rows; the mean over trainings if there are several.
        rows: Number of rows, of the same shape.

    Returns:
        The variance to add, of the same shape.
    """
    share, more = hits / rows, (hits + 2) / (rows + 4)
    return np.maximum(0.0, more * (1 - more) / (rows + 4) - share * (1 - share) / rows)


def paired_rows_variance(by_row: NDArray[np.float64]) -> float:
    """Return the same for a difference in accuracy on the same rows, if fewer than ten rows changed sides or did not.

    After A. Agresti and Y. Min (Statistics in Medicine 24, 2005), who add half a row to each of the four cells of a
    paired table.

    Args:
        by_row: Shape (rows,), the second model's 1 or 0 minus the first's, or its mean over trainings.

    Returns:
        The variance to add; 0 if enough rows changed, and did not change, to show their spread.
    """
    rows, total, squares = len(by_row), float(by_row.sum()), float((by_row**2).sum())
    changed = np.count_nonzero(by_row)
    if min(changed, rows - changed) >= FEW_CHANGES:
        return 0.0
    seen = float(np.var(by_row, ddof=1)) / rows if rows > 1 else 0.0
    return max(0.0, (squares + 1 - total**2 / (rows + 2)) / (rows + 2) ** 2 - seen)


def _f1(hits: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return F1 by class; 0 for a class without rows and predictions."""
    return np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=sizes > 0)

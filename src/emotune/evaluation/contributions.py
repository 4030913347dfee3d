"""What each row contributes to a score: numbers whose variance over their count is the score's variance over rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.scores import Evaluation
from emotune.statistics.paired import FEW_CHANGES


def accuracy_by_row(evaluation: Evaluation) -> NDArray[np.float64]:
    """Shape (rows,): 1 where the prediction is right, 0 where it is wrong."""
    return evaluation.correct.astype(np.float64)


def macro_f1_by_row(evaluation: Evaluation) -> NDArray[np.float64]:
    """Shape (rows,): the jackknife's pseudo-values of macro-F1.

    See `macro_f1_pseudo_values`.
    """
    return macro_f1_pseudo_values(evaluation.split.label_ids, evaluation.predictions, len(evaluation.split.labels))


def macro_f1_pseudo_values(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Pseudo-values of macro-F1: n times the score, less n - 1 times the score without the row (J. W. Tukey, 1958).

    All rows with the same true and predicted label have the same value, so there are at most classes x classes scores to work out.
    Unlike a linear approximation, leaving a row out errs on the side of too much variance where a class has few rows.

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


def rare_classes_variance(truth: NDArray[np.int64], predicted: Sequence[NDArray[np.int64]], classes: int) -> float:
    """What the rows of a score do not show of the variance of macro-F1, because a class has few of them.

    Five rows that are all right have no spread, as if other rows of the class could not be wrong. What `share_variance` adds to the
    variance of a class's recall is carried over to macro-F1; with some dozens of rows it comes to nothing.

    Args:
        truth: Shape (rows,), true label ids.
        predicted: Label ids that each training predicted, shape (rows,) each; the score is the mean over them.
        classes: Number of labels.

    Returns:
        The variance to add to that of the mean over trainings.
    """
    support = np.bincount(truth, minlength=classes).astype(np.float64)
    hits = np.mean([np.bincount(truth[truth == one], minlength=classes) for one in predicted], axis=0)
    called = np.mean([np.bincount(one, minlength=classes) for one in predicted], axis=0)
    there = support > 0
    support, hits, called = support[there], hits[there], called[there]
    # F1 is 2 hits / (support + called), where a hit more is also a row more that is called so.
    slope = 2 * support * (support + called - hits) / (support + called) ** 2
    return float((share_variance(hits, support) * slope**2).sum()) / classes**2


def share_variance(hits: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """What rows do not show of the variance of a share of them, because all or nearly all of them say the same.

    Twenty rows that are all right have no spread. Two right and two wrong rows more have one (A. Agresti and B. A. Coull, American
    Statistician 52, 1998); what they add vanishes with the number of rows.

    Args:
        hits: How many rows are right; the mean over trainings where there are several.
        rows: How many rows, of the same shape.

    Returns:
        The variance to add, of the same shape.
    """
    share, more = hits / rows, (hits + 2) / (rows + 4)
    return np.maximum(0.0, more * (1 - more) / (rows + 4) - share * (1 - share) / rows)


def paired_rows_variance(by_row: NDArray[np.float64]) -> float:
    """Likewise of a difference in accuracy on the same rows, where fewer than ten rows changed sides, or fewer than ten did not.

    After A. Agresti and Y. Min (Statistics in Medicine 24, 2005), who add half a row to each of the four cells of a paired table.

    Args:
        by_row: Shape (rows,), the second model's 1 or 0 less the first's, or its mean over trainings.

    Returns:
        The variance to add; 0 where enough rows changed to say how they spread.
    """
    rows, total, squares = len(by_row), float(by_row.sum()), float((by_row**2).sum())
    changed = np.count_nonzero(by_row)
    if min(changed, rows - changed) >= FEW_CHANGES:
        return 0.0
    seen = float(np.var(by_row, ddof=1)) / rows if rows > 1 else 0.0
    return max(0.0, (squares + 1 - total**2 / (rows + 2)) / (rows + 2) ** 2 - seen)


def _f1(hits: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 by class; 0 where a class has neither rows nor predictions."""
    return np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=sizes > 0)

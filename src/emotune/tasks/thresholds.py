"""Thresholds of several labels per row, chosen on validation rows by macro-F1; never on test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A label with fewer rows with it, or without it, keeps the common threshold: its own would be chosen by chance.
FEW_ROWS = 10
# The thresholds that are tried for all labels together.
_GRID = np.arange(1, 100) / 100


def one_threshold(truth: NDArray[np.int8], probabilities: NDArray[np.float64]) -> float:
    """Return the threshold, the same for all labels, with the highest macro-F1; of equal ones that nearest to 0.5.

    It is one of 0.01, 0.02, ... 0.99.

    Args:
        truth: Shape (rows, labels), 0 and 1.
        probabilities: Shape (rows, labels).
    """
    labels = truth.shape[1]
    f1 = np.stack([_f1_by_threshold(truth[:, at], probabilities[:, at]) for at in range(labels)])
    return float(_GRID[_best(f1.mean(axis=0))])


def thresholds_by_label(truth: NDArray[np.int8], probabilities: NDArray[np.float64]) -> tuple[float, ...]:
    """Return for each label the threshold with its highest F1; rare labels keep the one for all labels.

    Args:
        truth: Shape (rows, labels), 0 and 1.
        probabilities: Shape (rows, labels).
    """
    common = one_threshold(truth, probabilities)
    found = []
    for at in range(truth.shape[1]):
        positives = int(truth[:, at].sum())
        enough = min(positives, len(truth) - positives) >= FEW_ROWS
        found.append(float(_GRID[_best(_f1_by_threshold(truth[:, at], probabilities[:, at]))]) if enough else common)
    return tuple(found)


def _f1_by_threshold(truth: NDArray[np.int8], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the F1 of one label for each threshold of the grid, 0 if it has no true and no predicted rows."""
    inside = np.sort(probabilities[truth == 1])
    every = np.sort(probabilities)
    both = len(inside) - np.searchsorted(inside, _GRID, side="left")
    predicted = len(every) - np.searchsorted(every, _GRID, side="left")
    total = predicted + len(inside)
    return np.divide(2.0 * both, total, out=np.zeros(len(_GRID)), where=total > 0)


def _best(scores: NDArray[np.float64]) -> int:
    best = np.flatnonzero(scores >= scores.max() - 1e-12)
    return int(best[np.abs(_GRID[best] - 0.5).argmin()])

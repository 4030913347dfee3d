"""Thresholds of several labels per row: the decisions by them, and their choice on validation rows by macro-F1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# A label with fewer rows with it, or without it, keeps the common threshold: its own would be chosen by chance.
FEW_ROWS = 10
# The thresholds that are tried for all labels together.
_GRID = np.arange(1, 100) / 100


def decided(
    probabilities: NDArray[np.floating], thresholds: float | Sequence[float], *, at_least_one: bool
) -> NDArray[np.int8]:
    """Return the labels whose probability reaches their threshold, as zeros and ones of shape (rows, labels).

    Args:
        probabilities: Shape (rows, labels).
        thresholds: One for all labels, or one per label.
        at_least_one: A row in which no label reaches its threshold gets its likeliest label, the first of equal ones.
    """
    found = np.asarray(probabilities >= np.asarray(thresholds), dtype=np.int8)
    if at_least_one:
        empty = np.flatnonzero(~found.any(axis=1))
        found[empty, probabilities[empty].argmax(axis=1)] = 1
    return found


def one_threshold(truth: NDArray[np.int8], probabilities: NDArray[np.float64], *, at_least_one: bool = False) -> float:
    """Return the threshold, the same for all labels, with the highest macro-F1; of equal ones that nearest to 0.5.

    It is one of 0.01, 0.02, ... 0.99.

    Args:
        truth: Shape (rows, labels), 0 and 1.
        probabilities: Shape (rows, labels).
        at_least_one: As for `decided`.
    """
    if at_least_one:
        # With one threshold for all, the likeliest label of a row is predicted at any threshold.
        probabilities = probabilities.copy()
        probabilities[np.arange(len(truth)), probabilities.argmax(axis=1)] = 1.0
    labels = truth.shape[1]
    f1 = np.stack([_f1_by_threshold(truth[:, at], probabilities[:, at]) for at in range(labels)])
    return float(_GRID[_best(f1.mean(axis=0))])


def thresholds_by_label(
    truth: NDArray[np.int8], probabilities: NDArray[np.float64], *, at_least_one: bool = False
) -> tuple[float, ...]:
    """Return for each label the threshold with its highest F1; rare labels keep the one for all labels.

    With `at_least_one`, the threshold of a label also decides whether a row gets another, likelier one. So the labels
    take turns, once: each gets the threshold with the highest macro-F1 beside those of the others at that time.

    Args:
        truth: Shape (rows, labels), 0 and 1.
        probabilities: Shape (rows, labels).
        at_least_one: As for `decided`.
    """
    found = [one_threshold(truth, probabilities, at_least_one=at_least_one)] * truth.shape[1]
    for at in range(truth.shape[1]):
        positives = int(truth[:, at].sum())
        if min(positives, len(truth) - positives) < FEW_ROWS:
            continue
        if at_least_one:
            scores = _macro_f1_by_threshold(truth, probabilities, found, at)
        else:
            scores = _f1_by_threshold(truth[:, at], probabilities[:, at])
        found[at] = float(_GRID[_best(scores)])
    return tuple(found)


def _macro_f1_by_threshold(
    truth: NDArray[np.int8], probabilities: NDArray[np.float64], thresholds: Sequence[float], label: int
) -> NDArray[np.float64]:
    """Return macro-F1 for each threshold of the grid for one label, where every row gets at least one label."""
    others = decided(probabilities, thresholds, at_least_one=False)
    others[:, label] = 0
    likeliest = np.where(others.any(axis=1), -1, probabilities.argmax(axis=1))
    total = np.zeros(len(_GRID))
    for at in range(truth.shape[1]):
        open_rows = likeliest == at
        if at == label:
            total += _f1_by_threshold(truth[:, at], np.where(open_rows, 1.0, probabilities[:, at]))
            continue
        # Rows that get this label because the probability of the other one stays below its threshold.
        below = np.searchsorted(np.sort(probabilities[open_rows, label]), _GRID, side="left")
        right = np.searchsorted(np.sort(probabilities[open_rows & (truth[:, at] == 1), label]), _GRID, side="left")
        both = right + (others[:, at] & truth[:, at]).sum(dtype=np.int64)
        size = below + others[:, at].sum(dtype=np.int64) + truth[:, at].sum(dtype=np.int64)
        total += np.divide(2.0 * both, size, out=np.zeros(len(_GRID)), where=size > 0)
    return total / truth.shape[1]


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

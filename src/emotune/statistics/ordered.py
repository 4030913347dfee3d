"""Scores of labels that have an order, and the intervals of their differences between two models on the same rows.

A label's number is its place in the order, so all neighbours are one step apart. Sources:

- Quadratic weighted kappa: J. Cohen, Psychological Bulletin 70 (1968).
- The paired bootstrap: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), percentile intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.paired import FEW_CHANGES, LEVEL, Interval
from emotune.system.wording import counted

# The ends of an interval then vary by about a fiftieth of its width with the seed.
DRAWS = 10_000


@dataclass(frozen=True)
class OrderedDifference:
    """Differences of a second model from a first on identical rows.

    Attributes:
        mean_absolute_error: In steps of the order; below 0 if the second model is better. None if an interval could
            not be trusted.
        quadratic_weighted_kappa: Above 0 if the second model is better; likewise None, and where a model's kappa is not
            defined.
        withheld: The reason why there are no intervals, or "".
    """

    mean_absolute_error: Interval | None
    quadratic_weighted_kappa: Interval | None
    withheld: str = ""


def mean_absolute_error(truth: NDArray[np.int64], predictions: NDArray[np.int64]) -> float:
    """Return the mean number of steps between true and predicted label, each array of shape (rows,)."""
    return float(np.abs(truth - predictions).mean())


def quadratic_weighted_kappa(truth: NDArray[np.int64], predictions: NDArray[np.int64]) -> float | None:
    """Return Cohen's kappa with squared steps as weights; None if both arrays hold one and the same label.

    Args:
        truth: Shape (rows,), places of the true labels.
        predictions: Shape (rows,), places of the predicted labels.
    """
    weights = np.ones((1, len(truth)))
    found = float(_kappas(weights, truth.astype(float), predictions.astype(float))[0])
    return None if np.isnan(found) else found


def ordered_difference(
    truth: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> OrderedDifference:
    """Return the differences of two models with bootstrap intervals: rows are drawn, with both predictions of each.

    Args:
        truth: Shape (rows,), places of the true labels.
        first: Shape (rows,), those predicted by the first model.
        second: Shape (rows,), those predicted by the second model.
        draws: Number of bootstrap samples.
        seed: Seed of the samples; the same data and seed give the same intervals.
    """
    changed = int((np.abs(truth - first) != np.abs(truth - second)).sum())
    if changed < FEW_CHANGES:
        return OrderedDifference(None, None, f"{counted(changed, 'row')} differ in distance, fewer than {FEW_CHANGES}")
    # Equal rows are drawn together, so that the cost does not grow with their number.
    kinds, counts = np.unique(np.column_stack([truth, first, second]), axis=0, return_counts=True)
    columns = kinds.astype(float).T
    rows = len(truth)
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(rows, counts / rows, size=draws).astype(float)
    errors = [np.abs(columns[0] - columns[model]) for model in (1, 2)]
    own = counts.astype(float)[None]

    def kappa(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return _kappas(weights, columns[0], columns[2]) - _kappas(weights, columns[0], columns[1])

    def error(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(weights @ (errors[1] - errors[0]) / rows)

    estimate = float(kappa(own)[0])
    return OrderedDifference(
        _interval(float(error(own)[0]), error(drawn)),
        None if np.isnan(estimate) else _interval(estimate, kappa(drawn)),
    )


def _kappas(
    weights: NDArray[np.float64], truth: NDArray[np.float64], predictions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return kappa for each row of weights, shape (draws, kinds of rows), from moments of the places.

    The expected squared distance of independent places is the sum of both variances and of the squared difference of
    the means, so that no table of all pairs of labels is needed.
    """
    rows = weights.sum(axis=1)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(weights @ values / rows)

    observed = mean((truth - predictions) ** 2)
    expected = (
        mean(truth**2)
        - mean(truth) ** 2
        + mean(predictions**2)
        - mean(predictions) ** 2
        + (mean(truth) - mean(predictions)) ** 2
    )
    defined = expected > 1e-12
    return np.where(defined, 1 - observed / np.where(defined, expected, 1.0), np.nan)


def _interval(estimate: float, drawn: NDArray[np.float64]) -> Interval:
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(estimate, float(low), float(high))

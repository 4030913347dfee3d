"""What several seeds say: the mean, its spread, and an interval that counts both what differs: seeds and rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from emotune.errors import DataError
from emotune.evaluation.paired import LEVEL, Interval, mcnemar
from emotune.evaluation.scores import Evaluation

RESAMPLES = 1000
_ENTRIES_AT_A_TIME = 4_000_000
_SMALLEST_P = -30.0  # as a power of ten


@dataclass(frozen=True)
class SeedSummary:
    """One score over several seeds, all on the same rows.

    Attributes:
        values: The score of each seed.
        interval: The mean, with an interval for the mean over all seeds and all rows like these.
    """

    values: tuple[float, ...]
    interval: Interval

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return self.interval.estimate

    @property
    def standard_deviation(self) -> float:
        """Sample standard deviation between seeds."""
        return float(np.std(self.values, ddof=1))


@dataclass(frozen=True)
class SeedDifference:
    """Two configurations over the same seeds, on the same rows: the second less the first.

    Attributes:
        seeds: How many seeds.
        rows: How many rows.
        accuracy: The mean difference in accuracy, with an interval for the mean over all seeds and all rows like these.
        macro_f1: Likewise of macro-F1.
        p_value: Two-sided p of no difference in accuracy.
        macro_f1_p: Likewise in macro-F1.
    """

    seeds: int
    rows: int
    accuracy: Interval
    macro_f1: Interval
    p_value: float
    macro_f1_p: float


def summarize_seeds(values: Sequence[float], rows_deviation: float, rows: int) -> SeedSummary:
    """The mean over seeds, with the uncertainty of both seeds and rows.

    Seeds and rows are crossed: every seed sees every row. The variance of the mean has two parts: that between seeds over their
    number, and that which other rows would bring. Each reaches as far as its own t quantile, with the degrees of freedom it has, times its
    standard error, and the root of their squares joins the two (Banerjee, Sankhya A 23, 1961): this covers at least as often as it says.
    One t interval for the sum, with Satterthwaite's degrees of freedom, does not where few seeds spread widely. What a seed does on a row
    of its own stands in both parts, so the interval is too wide rather than too narrow.

    Args:
        values: The score of each seed.
        rows_deviation: Standard deviation of the mean over seeds under resampling of the rows.
        rows: How many rows.

    Raises:
        DataError: Fewer than two seeds.
    """
    if len(values) < 2:
        raise DataError("One seed has no spread. Run at least two seeds for an interval over seeds.")
    spread = _Spread.of(values, rows_deviation, rows)
    mean, reach = float(np.mean(values)), spread.reach()
    return SeedSummary(tuple(values), Interval(mean, max(0.0, mean - reach), min(1.0, mean + reach)))


@dataclass(frozen=True)
class _Spread:
    """How uncertain a mean over seeds is.

    Attributes:
        parts: Standard error and degrees of freedom of what other seeds would bring, and of what other rows would.
    """

    parts: tuple[tuple[float, int], tuple[float, int]]

    @classmethod
    def of(cls, values: Sequence[float], rows_deviation: float, rows: int) -> _Spread:
        seeds = len(values)
        return cls(((float(np.std(values, ddof=1)) / seeds**0.5, seeds - 1), (rows_deviation, max(rows - 1, 1))))

    def reach(self, tail: float = (1 - LEVEL) / 2) -> float:
        """Half the width of the interval that leaves out this much at either end."""
        return math.hypot(*(float(stats.t.isf(tail, freedom)) * error for error, freedom in self.parts))

    def p_value(self, mean: float) -> float:
        """The level of significance at which the interval around a mean just touches 0."""
        from scipy.optimize import brentq

        def beyond(exponent: float) -> float:
            return self.reach(10.0**exponent / 2) - abs(mean)

        if beyond(0.0) >= 0:
            return 1.0
        return 0.0 if beyond(_SMALLEST_P) < 0 else float(10.0 ** brentq(beyond, _SMALLEST_P, 0.0))


def over_seeds(evaluations: Sequence[Evaluation]) -> dict[str, SeedSummary]:
    """Accuracy and macro-F1 over several seeds.

    Args:
        evaluations: One a seed, all on the same rows; at least two.

    Returns:
        "accuracy" and "macro-F1".

    Raises:
        DataError: Fewer than two seeds, or different rows.
    """
    first = evaluations[0].split
    _check_same_rows(evaluations)
    deviations = _resampled_means(evaluations).std(axis=0, ddof=1)
    return {
        "accuracy": summarize_seeds([e.metrics.accuracy for e in evaluations], float(deviations[0]), len(first)),
        "macro-F1": summarize_seeds([e.metrics.macro_f1 for e in evaluations], float(deviations[1]), len(first)),
    }


def compare_over_seeds(first: Sequence[Evaluation], second: Sequence[Evaluation]) -> SeedDifference:
    """Compare two configurations that were trained on the same seeds and scored on the same rows.

    The difference is taken seed by seed and row by row, and has the uncertainty of both, as in `summarize_seeds`: what other
    seeds would bring, and what other rows would bring to the mean over seeds. Few seeds have few degrees of freedom, so with
    three of them only differences well beyond their spread are significant. Equal methods are called different at most as often as the
    level says.

    Args:
        first: Evaluations of the first configuration, one a seed.
        second: Those of the second, the same seeds in the same order.

    Raises:
        DataError: Fewer than two seeds, unlike numbers of them, or different rows.
    """
    if len(first) != len(second) or len(first) < 2:
        raise DataError(
            f"A comparison over seeds needs the same two or more seeds on both sides; there are {len(first)} and {len(second)}."
        )
    _check_same_rows([*first, *second])
    rows = len(first[0].split)
    # Both draw the same rows, since they draw from the same seed.
    deviations = (_resampled_means(second) - _resampled_means(first)).std(axis=0, ddof=1)
    pairs = list(zip(first, second, strict=True))
    scores = (
        [b.metrics.accuracy - a.metrics.accuracy for a, b in pairs],
        [b.metrics.macro_f1 - a.metrics.macro_f1 for a, b in pairs],
    )
    (accuracy, accuracy_p), (macro_f1, macro_f1_p) = (
        _difference(values, float(deviation), rows) for values, deviation in zip(scores, deviations, strict=True)
    )
    return SeedDifference(len(first), rows, accuracy, macro_f1, accuracy_p, macro_f1_p)


def _difference(values: Sequence[float], rows_deviation: float, rows: int) -> tuple[Interval, float]:
    """The mean difference with its interval, and the p-value of no difference."""
    mean, spread = float(np.mean(values)), _Spread.of(values, rows_deviation, rows)
    reach = spread.reach()
    if reach == 0:  # every seed and every row says the same: only the number of rows speaks
        changed = round(abs(mean) * rows)
        return Interval(mean, mean, mean), mcnemar(changed, 0)[1]
    return Interval(mean, max(-1.0, mean - reach), min(1.0, mean + reach)), spread.p_value(mean)


def _check_same_rows(evaluations: Sequence[Evaluation]) -> None:
    if len({evaluation.split.fingerprint for evaluation in evaluations}) > 1:
        raise DataError(
            "The seeds were scored on different rows, so their scores do not add up. Use one split for all."
        )


def _resampled_means(evaluations: Sequence[Evaluation], seed: int = 0) -> NDArray[np.float64]:
    """Means over seeds of accuracy and macro-F1 when rows are drawn anew, for all seeds alike: shape (RESAMPLES, 2)."""
    split = evaluations[0].split
    rows = len(split)
    eye = np.eye(len(split.labels))
    truth = eye[split.label_ids]
    rng = np.random.default_rng(seed)
    at_once = max(1, min(RESAMPLES, _ENTRIES_AT_A_TIME // rows))
    found = []
    for start in range(0, RESAMPLES, at_once):
        drawn = rng.multinomial(rows, np.full(rows, 1 / rows), size=min(at_once, RESAMPLES - start)).astype(np.float64)
        support = drawn @ truth
        means = np.zeros((len(drawn), 2))
        for evaluation in evaluations:
            predicted = eye[evaluation.predictions]
            hits = drawn @ (truth * predicted)
            sizes = support + drawn @ predicted
            f1 = np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=sizes > 0)
            means += np.column_stack([hits.sum(axis=1) / rows, f1.mean(axis=1)])
        found.append(means / len(evaluations))
    return np.concatenate(found)

"""What several seeds say: the mean, its spread, and an interval that counts both what differs: seeds and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from emotune.errors import DataError
from emotune.evaluation.paired import LEVEL, Interval
from emotune.evaluation.scores import Evaluation

RESAMPLES = 1000
_ENTRIES_AT_A_TIME = 4_000_000


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


def summarize_seeds(values: Sequence[float], rows_deviation: float, rows: int) -> SeedSummary:
    """The mean over seeds, with the uncertainty of both seeds and rows.

    Seeds and rows are crossed: every seed sees every row. The variance of the mean is the variance between seeds over their
    number, plus that which other rows would bring; a t interval with Satterthwaite's degrees of freedom (Biometrics Bulletin 2,
    1946) joins the two. What a seed does on a row of its own stands in both parts, so the interval is rather too wide than too narrow.

    Args:
        values: The score of each seed.
        rows_deviation: Standard deviation of the mean over seeds under resampling of the rows.
        rows: How many rows.

    Raises:
        DataError: Fewer than two seeds.
    """
    if len(values) < 2:
        raise DataError("One seed has no spread. Run at least two seeds for an interval over seeds.")
    mean = float(np.mean(values))
    seeds_part, rows_part = float(np.var(values, ddof=1)) / len(values), rows_deviation**2
    variance = seeds_part + rows_part
    if variance == 0:
        return SeedSummary(tuple(values), Interval(mean, mean, mean))
    freedom = variance**2 / (seeds_part**2 / (len(values) - 1) + rows_part**2 / max(rows - 1, 1))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * variance**0.5
    return SeedSummary(tuple(values), Interval(mean, max(0.0, mean - reach), min(1.0, mean + reach)))


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
    for other in evaluations[1:]:
        if other.split.fingerprint != first.fingerprint:
            raise DataError(
                "The seeds were scored on different rows, so their scores do not add up. Use one split for all."
            )
    deviations = _rows_deviation(evaluations)
    return {
        "accuracy": summarize_seeds([e.metrics.accuracy for e in evaluations], float(deviations[0]), len(first)),
        "macro-F1": summarize_seeds([e.metrics.macro_f1 for e in evaluations], float(deviations[1]), len(first)),
    }


def _rows_deviation(evaluations: Sequence[Evaluation], seed: int = 0) -> NDArray[np.float64]:
    """Bootstrap standard deviations of the means over seeds of accuracy and macro-F1, rows drawn anew for all seeds alike."""
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
    return np.asarray(np.concatenate(found).std(axis=0, ddof=1))

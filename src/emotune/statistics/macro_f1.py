"""Difference in macro-F1 between two models on the same rows: a test that keeps its level, and the matching interval.

Each permutation swaps the two predictions of every row with a probability of one half. If neither model is better on
any kind of row, all of these are equally likely, so the test has its level exactly, however few rows a class has. The
statistic is the difference over its standard error (E. Chung, J. P. Romano, Annals of Statistics 41, 2013). So the
level also holds, in the limit of many rows, if the models differ from class to class and only their macro-F1 is equal.
The standard error is that of the infinitesimal jackknife (L. Jaeckel, 1972): each row's influence on the difference,
squared and summed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST_PERMUTATIONS, FEWEST_PERMUTATIONS = 9_999, 999
# Limit, to save time, of permutations times combinations of truth and two predictions.
_WORK = 20_000_000
_ENTRIES_AT_A_TIME = 1_000_000


@dataclass(frozen=True)
class MacroF1Difference:
    """Macro-F1 of the second model minus that of the first.

    Attributes:
        estimate: The difference.
        reach: Half the width of the interval around it.
        p_value: Two-sided p of no difference; below 1 - level if and only if the interval excludes 0.
    """

    estimate: float
    reach: float
    p_value: float


def macro_f1_difference(
    truth: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    classes: int,
    *,
    level: float,
    permutations: int | None = None,
    seed: int = 0,
) -> MacroF1Difference:
    """Compare the macro-F1 of two models by swapping their predictions row by row.

    The interval contains the differences within the critical value times the standard error of the estimate; the
    critical value is that of the permutations.

    Args:
        truth: Shape (rows,), true label ids.
        first: Shape (rows,), predicted label ids of the first model.
        second: Shape (rows,), predicted label ids of the second model.
        classes: Number of labels.
        level: Coverage of the interval.
        permutations: Their number; by default 9,999, or fewer if the predictions are so varied that it would take long.
        seed: Seed of the swaps.
    """
    swaps = _Swaps.of(truth, first, second, classes)
    if permutations is None:
        permutations = int(np.clip(_WORK // max(1, swaps.cells), FEWEST_PERMUTATIONS, MOST_PERMUTATIONS))
    rng = np.random.default_rng(seed)
    observed = swaps.differences(np.zeros((1, swaps.cells)))
    estimate, error = float(observed[0][0]), float(observed[1][0])
    statistic = float(_studentized(*observed)[0])
    drawn = []
    at_once = max(1, _ENTRIES_AT_A_TIME // max(1, swaps.cells))
    for start in range(0, permutations, at_once):
        size = (min(at_once, permutations - start), swaps.cells)
        drawn.append(_studentized(*swaps.differences(rng.binomial(swaps.counts, 0.5, size=size).astype(np.float64))))
    statistics = np.concatenate(drawn)
    # The observed data are one of the permutations (B. Phipson, G. K. Smyth, 2010).
    p_value = (1 + int((statistics >= statistic).sum())) / (permutations + 1)
    # Number of permutations that may reach the observed statistic with p still below 1 - level.
    allowed = math.ceil(round((1 - level) * (permutations + 1), 9)) - 2
    critical = float(np.sort(statistics)[::-1][max(allowed, 0)])
    reach = critical * error if error > 0 else 0.0
    if p_value >= 1 - level:  # exactly at the critical value, rounding would decide
        reach = max(reach, abs(estimate))
    return MacroF1Difference(estimate, reach, p_value)


def _studentized(differences: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return absolute differences over standard errors, rounded so that equal permutations have equal values."""
    sizes = np.abs(differences)
    certain = np.where(sizes > 1e-12, np.inf, 0.0)
    return np.asarray(np.round(np.divide(sizes, errors, out=certain, where=errors > 0), 9), np.float64)


@dataclass(frozen=True, eq=False)
class _Swaps:
    """Rows on which two models differ, as counts of (truth, first prediction, second prediction), and the other rows.

    Attributes:
        truth: Shape (cells,), the truth of each combination in which the two predictions differ.
        first: Shape (cells,), the first model's prediction.
        second: Shape (cells,), the second model's prediction.
        counts: Shape (cells,), rows with this combination.
        same: Shape (pairs, 2), the combinations of truth and prediction on which the models agree.
        same_counts: Shape (pairs,), rows with each.
        support: Shape (classes,), rows of each class.
        predicted: Shape (2, classes), number of predictions of each class by each model.
        hits: Shape (2, classes), number of these that are right.
    """

    truth: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    counts: NDArray[np.int64]
    same: NDArray[np.int64]
    same_counts: NDArray[np.int64]
    support: NDArray[np.float64]
    predicted: NDArray[np.float64]
    hits: NDArray[np.float64]

    @classmethod
    def of(cls, truth: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64], classes: int) -> _Swaps:
        """Count the rows."""
        # One number per combination, since NumPy is slow to find the distinct rows of a table.
        differ = first != second
        codes, counts = np.unique((truth * classes + first)[differ] * classes + second[differ], return_counts=True)
        same, same_counts = np.unique((truth * classes + first)[~differ], return_counts=True)
        models = (first, second)
        return cls(
            truth=codes // classes**2,
            first=codes // classes % classes,
            second=codes % classes,
            counts=counts,
            same=np.column_stack([same // classes, same % classes]),
            same_counts=same_counts,
            support=np.bincount(truth, minlength=classes).astype(np.float64),
            predicted=np.stack([np.bincount(model, minlength=classes) for model in models]).astype(np.float64),
            hits=np.stack([np.bincount(model[model == truth], minlength=classes) for model in models]).astype(
                np.float64
            ),
        )

    @property
    def cells(self) -> int:
        """Number of combinations of truth and two predictions in which the predictions differ."""
        return len(self.counts)

    def differences(self, swapped: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return differences of macro-F1 after swapping some rows of each combination, and their standard errors.

        Args:
            swapped: Shape (permutations, cells), number of rows of each that are swapped.

        Returns:
            Both of shape (permutations,).
        """
        gained = (
            swapped @ self._gained
        )  # (permutations, classes), predictions that the first model gains and the second loses
        right = swapped @ self._right
        scores = [
            _F1(self.support + self.predicted[0] + gained, self.hits[0] + right),
            _F1(self.support + self.predicted[1] - gained, self.hits[1] - right),
        ]
        difference = scores[1].macro - scores[0].macro
        kept = scores[1].influence(self.truth, self.second) - scores[0].influence(self.truth, self.first)
        turned = scores[1].influence(self.truth, self.first) - scores[0].influence(self.truth, self.second)
        variance = ((self.counts - swapped) * kept**2 + swapped * turned**2).sum(axis=1)
        agreed = scores[1].influence(*self.same.T) - scores[0].influence(*self.same.T)
        return difference, np.sqrt(variance + agreed**2 @ self.same_counts)

    @cached_property
    def _gained(self) -> csr_array:
        """Predictions that a swap gives to the first model and takes from it, shape (cells, classes)."""
        return self._placed(self.second, np.ones(self.cells)) - self._placed(self.first, np.ones(self.cells))

    @cached_property
    def _right(self) -> csr_array:
        """Right predictions that a swap gives to the first model and takes from it, shape (cells, classes)."""
        return self._placed(self.second, (self.second == self.truth).astype(np.float64)) - self._placed(
            self.first, (self.first == self.truth).astype(np.float64)
        )

    def _placed(self, columns: NDArray[np.int64], values: NDArray[np.float64]) -> csr_array:
        from scipy.sparse import csr_array

        return csr_array((values, (np.arange(self.cells), columns)), shape=(self.cells, len(self.support)))


class _F1:
    """F1 scores of one model in many permutations.

    Args:
        sizes: Shape (permutations, classes), rows of a class plus predictions of it.
        hits: Shape (permutations, classes), right predictions.
    """

    def __init__(self, sizes: NDArray[np.float64], hits: NDArray[np.float64]) -> None:
        self._inverse = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        f1 = 2 * hits * self._inverse
        self._share = f1 * self._inverse
        self.macro = f1.mean(axis=1)

    def influence(self, truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the derivative of macro-F1 by the weight of one row, shape (permutations, rows given).

        F1 of a class is 2 hits / size. A row of truth t and prediction p is in the size of both, and twice in that of t
        if p is t.
        """
        hit = 2 * (truth == predicted) * self._inverse[:, truth]
        return (hit - self._share[:, truth] - self._share[:, predicted]) / self._share.shape[1]

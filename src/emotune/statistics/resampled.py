"""The corrected resampled t interval, for differences measured on the test parts of cross-validation.

The same rows train the models of several folds, so the differences of the folds are not independent, and the usual
variance of their mean, s² / J, is too small. C. Nadeau and Y. Bengio (Inference for the Generalization Error, Machine
Learning 52, 2003) replace it by (1 / J + n2 / n1) s², with n1 rows to train on and n2 to test on in each of J splits,
and Student's t with J - 1 degrees of freedom. R. R. Bouckaert and E. Frank (Evaluating the Replicability of
Significance Tests for Comparing Learning Algorithms, PAKDD 2004) recommend it for repeated cross-validation, in which
n2 / n1 is 1 / (folds - 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.paired import LEVEL, Interval


@dataclass(frozen=True)
class Resampled:
    """The mean of values of several splits, with its uncertainty.

    Attributes:
        mean: The mean.
        error: Its corrected standard error.
        freedom: Degrees of freedom.
    """

    mean: float
    error: float
    freedom: int

    def interval(self, low: float, high: float, level: float = LEVEL) -> Interval:
        """Return the mean with its interval, which ends where values end.

        Args:
            low: The smallest value there is.
            high: The largest one.
            level: Coverage of the interval.
        """
        from scipy import stats

        reach = float(stats.t.ppf((1 + level) / 2, self.freedom)) * self.error
        return Interval(self.mean, max(low, self.mean - reach), min(high, self.mean + reach), level)

    @property
    def p_value(self) -> float:
        """Two-sided p of a mean of 0."""
        from scipy import stats

        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))

    def detectable(self, level: float = LEVEL, power: float = 0.8) -> float:
        """Return the true mean that would be found significant with this power, given the same error."""
        from scipy import stats

        t = stats.t(self.freedom)
        return float(t.ppf((1 + level) / 2) + t.ppf(power)) * self.error


def corrected_resampled(values: NDArray[np.float64], test_to_train: float) -> Resampled:
    """Return the mean of values of several splits, with the corrected standard error.

    Args:
        values: One value per split, such as the difference of two models on its test rows; of any shape, at least two.
        test_to_train: Rows to test on per row to train on: 1 / (folds - 1) in cross-validation.
    """
    count = values.size
    variance = (1 / count + test_to_train) * float(np.var(values, ddof=1))
    return Resampled(float(np.mean(values)), math.sqrt(variance), count - 1)

"""Uncertainty of a mean over seeds and rows, with every seed on every row and seed variance pooled over configurations.

The score of configuration c with seed s on row i is modelled as a constant, a row effect, a seed effect, and their
interaction. The variance of a mean over S seeds and n rows then has three parts:

    seeds / S  +  rows / n  +  interaction / (S n).

The spread between the seeds' scores on the same rows estimates seeds + interaction / n. The spread between rows of the
mean over seeds estimates rows + interaction / S. Their sum would count the interaction twice. The two-way analysis of
variance estimates the interaction by itself and subtracts it once (H. Scheffé, The Analysis of Variance, 1959,
chapter 7).

The row effects are known well, since there are many rows. Two or three seeds say little about the spread of seeds, so
that is pooled: one variance for all configurations whose spreads agree. W. G. Cochran's test of the largest variance
(Annals of Eugenics 11, 1941), one configuration after another, removes those that do not; they are judged by their own
spread only. So is a configuration in the pool whose spread is larger than that of the others by an F test at 5 %: no
mean may be judged by too small a spread.

The distribution of a mean around the truth combines both parts as in the Behrens-Fisher problem (R. A. Fisher, Annals
of Eugenics 6, 1935). Each variance has a chi-squared distribution with its degrees of freedom, and results are averaged
over these distributions. With few degrees of freedom, equal configurations are called different more rarely than the
level says; with many it is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from emotune.statistics.paired import LEVEL, Interval
from emotune.statistics.power import POWER

# Level of Cochran's test: with equal spreads, one leaderboard in a hundred has a configuration outside the pool.
APART = 0.01
# Level of the F test: with equal spreads, one configuration in twenty of the pool is judged by its own spread.
WIDER = 0.05
_MANY = 30  # degrees of freedom from which a variance is known well, and a coarser rule is exact enough
_LEAST = 1e-150  # for a variance that must not be 0, with room for products


@dataclass(frozen=True)
class SeedSpread:
    """Spread of one configuration's score between seeds.

    Attributes:
        variance: Sample variance of the score between seeds, on the same rows; 0 for one seed.
        freedom: Its degrees of freedom: the number of seeds minus one.
        interaction: Part of it that is the interaction of seeds and rows, which vanishes with endless rows; 0 for one
            seed.
    """

    variance: float
    freedom: int
    interaction: float

    @classmethod
    def of(cls, values: Sequence[float], by_row: NDArray[np.float64]) -> SeedSpread:
        """Compute the spread by the two-way analysis of variance.

        Args:
            values: The score of each seed.
            by_row: Shape (seeds, rows), the contribution of each row to the score of each seed.
        """
        seeds, rows = by_row.shape
        if seeds < 2:
            return cls(0.0, 0, 0.0)
        left = by_row - by_row.mean(axis=0) - by_row.mean(axis=1, keepdims=True) + by_row.mean()
        interaction = float((left**2).sum()) / ((seeds - 1) * max(rows - 1, 1)) / rows
        return cls(float(np.var(values, ddof=1)), seeds - 1, interaction)


@dataclass(frozen=True)
class Part:
    """Part of a mean's variance that is estimated from few seeds.

    Attributes:
        variance: The estimate.
        freedom: Its degrees of freedom.
    """

    variance: float
    freedom: float


@dataclass(frozen=True)
class Estimate:
    """Mean over seeds and rows, or difference of two, with its uncertainty.

    Attributes:
        value: The mean.
        parts: Parts of its variance that come from seeds; empty if nothing is known of their spread.
        rows: Part of its variance that comes from rows.
        rows_freedom: Degrees of freedom of that part: the number of rows minus one.
    """

    value: float
    parts: tuple[Part, ...]
    rows: float
    rows_freedom: int

    @property
    def variance(self) -> float:
        """Sum of all parts."""
        return self.rows + sum(part.variance for part in self.parts)

    def above(self, distance: float) -> float:
        """Return the probability that chance raises the mean this far or further above the truth: a one-sided p."""
        if self.variance == 0:
            return 0.0 if distance > 0 else 1.0 if distance < 0 else 0.5
        errors, weights = self._standard_errors
        return float(special.ndtr(-distance / errors) @ weights)

    @cached_property
    def _standard_errors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Possible standard errors and their weights, over the distributions of all parts."""
        variances, weights = np.zeros(1), np.ones(1)
        for part in (*self.parts, Part(self.rows, self.rows_freedom)):
            if part.variance > 0:
                scales, likely = _inverse_chi_squared(part.freedom)
                variances = (variances[:, None] + part.variance * scales).ravel()
                weights = (weights[:, None] * likely).ravel()
        return np.sqrt(np.maximum(variances, _LEAST)), weights

    @property
    def p_value(self) -> float:
        """Two-sided p of a true value of 0."""
        return min(1.0, 2 * self.above(abs(self.value)))

    def not_below(self, margin: float) -> float:
        """Return the one-sided p of a true value of `-margin` or less; a small p shows that it is above."""
        return self.above(self.value + margin)

    def within(self, margin: float) -> float:
        """Return the p of a true value `margin` or more from 0: the larger one-sided p (D. J. Schuirmann, 1987)."""
        return max(self.above(self.value + margin), self.above(margin - self.value))

    def reach(self, level: float = 1 - LEVEL) -> float:
        """Return half the width of the interval that misses the truth with probability `level`."""
        from scipy.optimize import brentq

        if self.variance == 0:
            return 0.0
        high = self.variance**0.5
        while 2 * self.above(high) > level:
            high *= 2
        return float(brentq(lambda distance: 2 * self.above(distance) - level, 0.0, high, rtol=1e-8, xtol=1e-12))

    def interval(self, low: float, high: float, level: float = LEVEL) -> Interval:
        """Return the interval around the mean with coverage `level`, limited to possible scores."""
        reach = self.reach(1 - level)
        return Interval(self.value, max(low, self.value - reach), min(high, self.value + reach), level)

    def detectable(self, level: float = 1 - LEVEL, power: float = POWER) -> float:
        """Return the true difference that is significant at `level` with probability `power`, given these parts."""
        return self.reach(level) + self.reach(2 * (1 - power))


@lru_cache(maxsize=256)
def _inverse_chi_squared(freedom: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values and weights of freedom / chi-squared(freedom), by the trapezoid rule on a normal scale."""
    z = np.linspace(-7, 7, 29 if freedom < _MANY else 15)
    weights = np.exp(-(z**2) / 2)
    # Each half is computed from its own tail, where the probabilities are exact.
    low, high = special.gammaincinv(freedom / 2, special.ndtr(z)), special.gammainccinv(freedom / 2, special.ndtr(-z))
    values = np.maximum(2 * np.where(z < 0, low, high), _LEAST)
    return freedom / values, weights / weights.sum()


@dataclass(frozen=True)
class Pool:
    """Spread of seeds over all configurations.

    Attributes:
        spreads: The spread of each configuration.
        apart: Positions of the configurations outside the pool, whose seeds spread far wider than those of the others.
        own: Positions of the configurations judged by their own spread: those in `apart`, and others that spread wider
            than most.
        variance: Pooled variance between seeds with endless rows; below 0 if rows explain more than all of it.
        interaction: Mean interaction of seeds and rows.
        freedom: Degrees of freedom of the pool; 0 if no configuration has two seeds.
    """

    spreads: tuple[SeedSpread, ...]
    apart: frozenset[int]
    own: frozenset[int]
    variance: float
    interaction: float
    freedom: float

    @classmethod
    def of(cls, spreads: Sequence[SeedSpread]) -> Pool:
        """Pool the spreads that agree."""
        inside = [position for position, spread in enumerate(spreads) if spread.freedom]
        apart: set[int] = set()
        while len(inside) > 1:
            p_value, widest = min((_wider(spreads, position, inside), position) for position in inside)
            if len(inside) * p_value >= APART:
                break
            inside.remove(widest)
            apart.add(widest)
        if not inside:
            return cls(tuple(spreads), frozenset(), frozenset(), 0.0, 0.0, 0.0)
        variance, interaction = _pooled(spreads, inside)
        # Satterthwaite's degrees of freedom; equal to their sum if all expect the same variance.
        expected = [(spreads[i].freedom, max(variance, 0.0) + spreads[i].interaction or _LEAST) for i in inside]
        scale = max(value for _, value in expected)
        freedom = sum(d * value / scale for d, value in expected) ** 2 / sum(
            d * (value / scale) ** 2 for d, value in expected
        )
        own = {i for i in inside if len(inside) > 1 and _wider(spreads, i, inside) < WIDER}
        return cls(tuple(spreads), frozenset(apart), frozenset(apart | own), variance, interaction, freedom)

    @property
    def deviation(self) -> float:
        """Pooled standard deviation between the scores of seeds on these rows."""
        return max(self.variance + self.interaction, 0.0) ** 0.5

    def with_one(self, spread: SeedSpread) -> Pool:
        """Return the pool with one more configuration at the end, which does not enter the pooled variance."""
        return replace(self, spreads=(*self.spreads, spread))

    def of_one(self, position: int) -> Part | None:
        """Return the variance between seeds by which a configuration is judged; None if it is unknown."""
        spread = self.spreads[position]
        if position in self.own:
            return Part(spread.variance, spread.freedom)
        if not self.freedom:
            return None
        interaction = spread.interaction if spread.freedom else self.interaction
        if self.variance >= 0:
            return Part(self.variance + interaction, self.freedom)
        # Seeds spread less than their interaction with rows implies; that is chance, so all are scaled in proportion.
        return Part(interaction * (1 + self.variance / self.interaction), self.freedom)

    def estimate(
        self, value: float, seeds: Mapping[int, int], by_row: NDArray[np.float64], *, unseen: float = 0.0
    ) -> Estimate:
        """Estimate the uncertainty of a mean over seeds and rows, of one configuration or of the difference of two.

        Args:
            value: The mean.
            seeds: Number of seeds of each configuration in the mean, by position. A model without a seed is not listed:
                it adds only to the rows' part.
            by_row: Shape (rows,), contribution of each row to the mean, averaged over seeds.
            unseen: Further variance that these rows do not show.
        """
        rows, rows_freedom = len(by_row), max(len(by_row) - 1, 1)
        between_rows = float(np.var(by_row, ddof=1)) / rows if rows > 1 else 0.0
        known = {position: part for position in seeds if (part := self.of_one(position)) is not None}
        parts = [Part(known[i].variance / seeds[i], known[i].freedom) for i in known if i in self.own]
        if pooled := [i for i in known if i not in self.own]:
            parts.append(Part(sum(known[i].variance / seeds[i] for i in pooled), self.freedom))
        # The interaction is already part of the seeds' variance.
        twice = sum(
            (self.spreads[i].interaction if self.spreads[i].freedom else self.interaction) / seeds[i] for i in known
        )
        return Estimate(value, tuple(parts), max(0.0, between_rows - twice) + unseen, rows_freedom)


def _pooled(spreads: Sequence[SeedSpread], inside: Sequence[int]) -> tuple[float, float]:
    """Return the seed variance with endless rows, and the interaction: means weighted by degrees of freedom."""
    freedom = sum(spreads[i].freedom for i in inside)
    total = sum(spreads[i].freedom * spreads[i].variance for i in inside) / freedom
    interaction = sum(spreads[i].freedom * spreads[i].interaction for i in inside) / freedom
    return total - interaction, interaction


def _wider(spreads: Sequence[SeedSpread], position: int, inside: Sequence[int]) -> float:
    """Return the p of an F test that a configuration's seeds spread no wider than those of the others."""
    variance, _ = _pooled(spreads, [i for i in inside if i != position])
    # The interaction is added, so that others that are equal by chance do not make every spread a wide one.
    expected = max(variance, 0.0) + spreads[position].interaction
    others = sum(spreads[i].freedom for i in inside if i != position)
    if expected == 0:
        return 0.0 if spreads[position].variance > 0 else 1.0
    return float(special.fdtrc(spreads[position].freedom, others, spreads[position].variance / expected))

"""How sure a mean over seeds and rows is, where every seed sees every row and the spread between seeds is pooled over configurations.

Write the score of configuration c with seed s on row i as a constant, a part of the row, a part of the seed, and an interaction of both.
The variance of a mean over S seeds and n rows then has three parts,

    seeds / S  +  rows / n  +  interaction / (S n).

The spread between the seeds' scores on the same rows estimates seeds + interaction / n. The spread between rows of the mean over seeds
estimates rows + interaction / S. Adding the two would count the interaction twice; the two-way analysis of variance, which estimates the
interaction by itself, takes one of them off (H. Scheffé, The Analysis of Variance, 1959, chapter 7).

The rows' parts are known well, since there are many rows. Two or three seeds say little about how seeds spread, so that is pooled: one
variance for all configurations whose spreads agree. Which do not is decided by W. G. Cochran's test of the largest variance (Annals of
Eugenics 11, 1941), one configuration after another. Those are judged by their own spread alone. So is a configuration in the pool whose
spread is larger than that of the others by an F test at 5 %: no mean may be judged by too small a spread.

The distribution of a mean around the truth joins both parts as Behrens and Fisher do (R. A. Fisher, Annals of Eugenics 6, 1935): each
variance has a chi-squared distribution with its degrees of freedom, and all that follows is averaged over them. With few degrees of freedom
this calls equal configurations different more rarely than its level says; with many it is exact.
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

# A configuration stands apart where equal spreads would show one so much larger in one of a hundred leaderboards.
APART = 0.01
# A configuration in the pool is judged by its own spread where equal spreads would show so large a one in one of twenty.
WIDER = 0.05
_MANY = 30  # degrees of freedom from which a variance is known well, and a coarser rule is exact enough
_LEAST = 1e-150  # for a variance that must not be 0, with room for products


@dataclass(frozen=True)
class SeedSpread:
    """How one configuration's score differs between seeds.

    Attributes:
        variance: Sample variance of the score between seeds, on the same rows; 0 where there is one seed.
        freedom: Its degrees of freedom: seeds less one.
        interaction: What single seeds do on single rows adds to it, which would vanish with endless rows; 0 where there is one seed.
    """

    variance: float
    freedom: int
    interaction: float

    @classmethod
    def of(cls, values: Sequence[float], by_row: NDArray[np.float64]) -> SeedSpread:
        """Work it out by the two-way analysis of variance.

        Args:
            values: The score of each seed.
            by_row: Shape (seeds, rows), what each row contributes to the score of each seed.
        """
        seeds, rows = by_row.shape
        if seeds < 2:
            return cls(0.0, 0, 0.0)
        left = by_row - by_row.mean(axis=0) - by_row.mean(axis=1, keepdims=True) + by_row.mean()
        interaction = float((left**2).sum()) / ((seeds - 1) * max(rows - 1, 1)) / rows
        return cls(float(np.var(values, ddof=1)), seeds - 1, interaction)


@dataclass(frozen=True)
class Part:
    """A part of a mean's variance that is estimated from few seeds.

    Attributes:
        variance: The estimate.
        freedom: Its degrees of freedom.
    """

    variance: float
    freedom: float


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and rows, or a difference of two, with how sure it is.

    Attributes:
        value: The mean.
        parts: The parts of its variance that come from seeds; empty where nothing is known of their spread.
        rows: The part that comes from rows.
        rows_freedom: The degrees of freedom of that: rows less one.
    """

    value: float
    parts: tuple[Part, ...]
    rows: float
    rows_freedom: int

    @property
    def variance(self) -> float:
        """All parts together."""
        return self.rows + sum(part.variance for part in self.parts)

    def above(self, distance: float) -> float:
        """How likely chance alone brings the mean this far, or further, above the truth: a one-sided p."""
        if self.variance == 0:
            return 0.0 if distance > 0 else 1.0 if distance < 0 else 0.5
        errors, weights = self._standard_errors
        return float(special.ndtr(-distance / errors) @ weights)

    @cached_property
    def _standard_errors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The standard errors that the data leaves possible, with their weights: each part takes every value of its distribution."""
        variances, weights = np.zeros(1), np.ones(1)
        for part in (*self.parts, Part(self.rows, self.rows_freedom)):
            if part.variance > 0:
                scales, likely = _inverse_chi_squared(part.freedom)
                variances = (variances[:, None] + part.variance * scales).ravel()
                weights = (weights[:, None] * likely).ravel()
        return np.sqrt(np.maximum(variances, _LEAST)), weights

    @property
    def p_value(self) -> float:
        """Two-sided p of a truth of 0."""
        return min(1.0, 2 * self.above(abs(self.value)))

    def not_below(self, margin: float) -> float:
        """One-sided p of a truth that is below 0 by the margin or more; if it is small, the truth is not."""
        return self.above(self.value + margin)

    def within(self, margin: float) -> float:
        """P of a truth that is the margin or more away from 0 on either side: the larger of two one-sided p (D. J. Schuirmann, 1987)."""
        return max(self.above(self.value + margin), self.above(margin - self.value))

    def reach(self, level: float = 1 - LEVEL) -> float:
        """Half the width of the interval that misses the truth this often."""
        from scipy.optimize import brentq

        if self.variance == 0:
            return 0.0
        high = self.variance**0.5
        while 2 * self.above(high) > level:
            high *= 2
        return float(brentq(lambda distance: 2 * self.above(distance) - level, 0.0, high, rtol=1e-8, xtol=1e-12))

    def interval(self, low: float, high: float, level: float = LEVEL) -> Interval:
        """The interval around the mean that covers this often, within what the score can be."""
        reach = self.reach(1 - level)
        return Interval(self.value, max(low, self.value - reach), min(high, self.value + reach), level)

    def detectable(self, level: float = 1 - LEVEL, power: float = POWER) -> float:
        """The true difference that would be significant at this level in this share of cases, if parts are as they are here."""
        return self.reach(level) + self.reach(2 * (1 - power))


@lru_cache(maxsize=256)
def _inverse_chi_squared(freedom: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Degrees of freedom over a chi-squared variable that has them, as values and weights: the trapezoid rule on a normal scale."""
    z = np.linspace(-7, 7, 29 if freedom < _MANY else 15)
    weights = np.exp(-(z**2) / 2)
    # Each half from its own tail, where the probabilities are exact.
    low, high = special.gammaincinv(freedom / 2, special.ndtr(z)), special.gammainccinv(freedom / 2, special.ndtr(-z))
    values = np.maximum(2 * np.where(z < 0, low, high), _LEAST)
    return freedom / values, weights / weights.sum()


@dataclass(frozen=True)
class Pool:
    """How seeds spread, over all configurations.

    Attributes:
        spreads: Of each configuration.
        apart: The configurations that are not in the pool, by position: their seeds spread far wider than those of the others.
        own: The configurations that are judged by their own spread: those, and others whose seeds spread wider than most.
        variance: Variance between seeds with endless rows, pooled over the others; below 0 where rows explain more than there is.
        interaction: What single seeds do on single rows, their mean.
        freedom: Degrees of freedom of the pool; 0 where no configuration has two seeds.
    """

    spreads: tuple[SeedSpread, ...]
    apart: frozenset[int]
    own: frozenset[int]
    variance: float
    interaction: float
    freedom: float

    @classmethod
    def of(cls, spreads: Sequence[SeedSpread]) -> Pool:
        """Pool what agrees."""
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
        # Satterthwaite's degrees of freedom; simply their sum where all expect the same variance.
        expected = [(spreads[i].freedom, max(variance, 0.0) + spreads[i].interaction or _LEAST) for i in inside]
        scale = max(value for _, value in expected)
        freedom = sum(d * value / scale for d, value in expected) ** 2 / sum(
            d * (value / scale) ** 2 for d, value in expected
        )
        own = {i for i in inside if len(inside) > 1 and _wider(spreads, i, inside) < WIDER}
        return cls(tuple(spreads), frozenset(apart), frozenset(apart | own), variance, interaction, freedom)

    @property
    def deviation(self) -> float:
        """Standard deviation between seeds as they score on these rows, pooled."""
        return max(self.variance + self.interaction, 0.0) ** 0.5

    def with_one(self, spread: SeedSpread) -> Pool:
        """The same with one more configuration at the end, which does not enter the pool."""
        return replace(self, spreads=(*self.spreads, spread))

    def of_one(self, position: int) -> Part | None:
        """The variance between seeds that one configuration is judged by; None where nothing is known of it."""
        spread = self.spreads[position]
        if position in self.own:
            return Part(spread.variance, spread.freedom)
        if not self.freedom:
            return None
        interaction = spread.interaction if spread.freedom else self.interaction
        if self.variance >= 0:
            return Part(self.variance + interaction, self.freedom)
        # Seeds spread less than single rows alone would make them: by chance, and in proportion for all.
        return Part(interaction * (1 + self.variance / self.interaction), self.freedom)

    def estimate(
        self, value: float, seeds: Mapping[int, int], by_row: NDArray[np.float64], *, unseen: float = 0.0
    ) -> Estimate:
        """Estimate how sure a mean over seeds and rows is, of one configuration or of the difference of two.

        Args:
            value: The mean.
            seeds: How many seeds each configuration has in it, by position. A model without a seed of its own has no place here: it adds
                to the rows' part alone.
            by_row: Shape (rows,), what each row contributes to it, the mean over seeds.
            unseen: Variance that is known to be there and that these rows do not show.
        """
        rows, rows_freedom = len(by_row), max(len(by_row) - 1, 1)
        between_rows = float(np.var(by_row, ddof=1)) / rows if rows > 1 else 0.0
        known = {position: part for position in seeds if (part := self.of_one(position)) is not None}
        parts = [Part(known[i].variance / seeds[i], known[i].freedom) for i in known if i in self.own]
        if pooled := [i for i in known if i not in self.own]:
            parts.append(Part(sum(known[i].variance / seeds[i] for i in pooled), self.freedom))
        # The interaction stands in the seeds' parts already.
        twice = sum(
            (self.spreads[i].interaction if self.spreads[i].freedom else self.interaction) / seeds[i] for i in known
        )
        return Estimate(value, tuple(parts), max(0.0, between_rows - twice) + unseen, rows_freedom)


def _pooled(spreads: Sequence[SeedSpread], inside: Sequence[int]) -> tuple[float, float]:
    """Variance between seeds with endless rows, and of the interaction: means weighted by degrees of freedom."""
    freedom = sum(spreads[i].freedom for i in inside)
    total = sum(spreads[i].freedom * spreads[i].variance for i in inside) / freedom
    interaction = sum(spreads[i].freedom * spreads[i].interaction for i in inside) / freedom
    return total - interaction, interaction


def _wider(spreads: Sequence[SeedSpread], position: int, inside: Sequence[int]) -> float:
    """How likely a configuration's seeds would spread this far if they spread as those of the others do: an F test."""
    variance, _ = _pooled(spreads, [i for i in inside if i != position])
    # The interaction alone makes scores differ, so others that are equal by luck do not make every spread a wide one.
    expected = max(variance, 0.0) + spreads[position].interaction
    others = sum(spreads[i].freedom for i in inside if i != position)
    if expected == 0:
        return 0.0 if spreads[position].variance > 0 else 1.0
    return float(special.fdtrc(spreads[position].freedom, others, spreads[position].variance / expected))

"""Coverage of the intervals of a difference, and error rate of its tests, by simulation.

    python benchmarks/coverage.py [--samples 1000] [--permutations 199]

Protocol: six classes, all of one size or one of them rare. Each row has a difficulty that both models share to the
degree rho (probit model). A wrong label is drawn in proportion to the classes' sizes, the same for both models with
probability rho. The true differences are computed from the classes' sizes and accuracies. No data and no model is
used. The result goes to benchmarks/results/coverage.json. By cell, it has these shares of the samples:

- the interval of accuracy (score interval) or of macro-F1 (permutations) holds the true difference;
- p is below 0.05;
- macro-F1 is given and not withheld, and the coverage that it would have if it were not withheld;
- p and interval of accuracy contradict each other.

A share of 0.95 from 1,000 samples has a standard error of 0.007.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from emotune.statistics.macro_f1 import macro_f1_difference
from emotune.statistics.paired import LEVEL, Interval, mcnemar, score_interval, why_withheld

sys.path.insert(0, str(Path(__file__).parent))
from results import write

CLASSES = 6
LABELS = tuple("abcdef")
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """One cell of the simulation.

    Attributes:
        name: Description of the models.
        rows: Rows per sample.
        rare: Rows of the first class; 0 for classes of one size.
        recalls: Recall by model and class, shape (2, 6).
        rho: Correlation of the models' difficulties.
    """

    name: str
    rows: int
    rare: int
    recalls: NDArray[np.float64]
    rho: float

    @property
    def sizes(self) -> Ids:
        """Number of rows of each class."""
        others = self.rows - self.rare
        number = CLASSES - 1 if self.rare else CLASSES
        sizes = [others // number + (place < others % number) for place in range(number)]
        return np.array([self.rare, *sizes] if self.rare else sizes)

    def true_difference(self) -> tuple[float, float]:
        """Return the true differences in accuracy and macro-F1, from the expected confusion matrices."""
        sizes = self.sizes
        scores = []
        for recalls in self.recalls:
            wrong = np.tile(sizes / sizes.sum(), (CLASSES, 1))
            np.fill_diagonal(wrong, 0)
            matrix = (sizes * (1 - recalls))[:, None] * wrong / wrong.sum(axis=1, keepdims=True)
            np.fill_diagonal(matrix, sizes * recalls)
            hits = np.diag(matrix)
            scores.append((hits.sum() / sizes.sum(), (2 * hits / (matrix.sum(0) + matrix.sum(1))).mean()))
        return float(scores[1][0] - scores[0][0]), float(scores[1][1] - scores[0][1])

    def draw(self, rng: np.random.Generator) -> tuple[Ids, Ids, Ids]:
        """Draw the true labels and the predictions of both models."""
        truth = np.repeat(np.arange(CLASSES), self.sizes)
        shared_difficulty, shared_mistake = rng.normal(size=self.rows), self._mistakes(truth, rng)
        predictions = []
        for recalls in self.recalls:
            difficulty = np.sqrt(self.rho) * shared_difficulty + np.sqrt(1 - self.rho) * rng.normal(size=self.rows)
            mistakes = np.where(rng.random(self.rows) < self.rho, shared_mistake, self._mistakes(truth, rng))
            predictions.append(np.where(difficulty < stats.norm.ppf(recalls)[truth], truth, mistakes))
        return truth, predictions[0], predictions[1]

    def _mistakes(self, truth: Ids, rng: np.random.Generator) -> Ids:
        """Draw a wrong label for each row, in proportion to the classes' sizes."""
        shares = self.sizes / self.rows
        ends = np.cumsum(shares)
        # A point on the line of cumulative shares, from which the true label's share is removed.
        place = rng.random(self.rows) * (1 - shares[truth])
        place += np.where(place >= ends[truth] - shares[truth], shares[truth], 0.0)
        return np.minimum(np.searchsorted(ends, place, side="right"), CLASSES - 1)


def cells() -> Iterator[Cell]:
    """Yield all cells."""
    for rows in (100, 225, 2000):
        for rare in (0, 5, 10, 20):
            for first, second in ((0.7, 0.7), (0.93, 0.93), (0.65, 0.75), (0.99, 0.99)):
                for rho in (0.0, 0.6, 0.8):
                    recalls = np.repeat([[first], [second]], CLASSES, axis=1)
                    yield Cell(f"{first} and {second}", rows, rare, recalls, rho)
    for rows in (225, 2000):
        for rare in (5, 10, 20):
            for (first, others), (second, others_too) in (((0.2, 0.8), (0.6, 0.85)), ((0.5, 0.95), (0.999, 0.95))):
                recalls = np.array([[first, *[others] * 5], [second, *[others_too] * 5]])
                yield Cell(
                    f"rare class {first} and {second}, others {others} and {others_too}", rows, rare, recalls, 0.6
                )
        recalls = np.full((2, CLASSES), 0.8)
        recalls[0, 1:3], recalls[1, 1:3] = (0.95, 0.65), (0.65, 0.95)
        yield Cell("equal macro-F1, each better on another class", rows, 0, recalls, 0.6)


def measure(cell: Cell, samples: int, permutations: int) -> dict[str, Any]:
    """Draw samples of a cell, and count."""
    rng = np.random.default_rng(0)
    accuracy, macro = cell.true_difference()
    found: dict[str, list[bool]] = {
        name: []
        for name in ("accuracy_covers", "accuracy_p", "contradicts", "given", "macro_covers", "macro_p", "forced")
    }
    for sample in range(samples):
        data = cell.draw(rng)
        truth, first, second = data
        fixed, broken = (
            int(part.sum()) for part in ((first != truth) & (second == truth), (first == truth) & (second != truth))
        )
        interval, significant = _accuracy(fixed, broken, cell.rows)
        found["accuracy_covers"].append(interval.low <= accuracy <= interval.high)
        found["accuracy_p"].append(significant)
        found["contradicts"].append(significant == (interval.low <= 0 <= interval.high))
        given = not why_withheld(fixed + broken, dict(zip(LABELS, cell.sizes.tolist(), strict=True)))
        found["given"].append(given)
        if given or (cell.rare == 5 and cell.rho == 0.6 and sample < samples // 2 and fixed + broken):
            macro_f1 = macro_f1_difference(*data, CLASSES, level=LEVEL, permutations=permutations, seed=sample)
            found["macro_covers" if given else "forced"].append(abs(macro_f1.estimate - macro) <= macro_f1.reach)
            if given:
                found["macro_p"].append(macro_f1.p_value < 1 - LEVEL)
    return {
        "models": cell.name,
        "rows": cell.rows,
        "rarest_class": int(cell.sizes.min()),
        "rho": cell.rho,
        "true_difference": {"accuracy": round(accuracy, 6), "macro_f1": round(macro, 6)},
        "accuracy_interval_covers": _share(found["accuracy_covers"]),
        "accuracy_p_below_0.05": _share(found["accuracy_p"]),
        "accuracy_p_contradicts_interval": _share(found["contradicts"]),
        "macro_f1_given": _share(found["given"]),
        "macro_f1_interval_covers": _share(found["macro_covers"]),
        "macro_f1_p_below_0.05": _share(found["macro_p"]),
        "macro_f1_would_cover_if_not_withheld": _share(found["forced"]),
    }


@functools.cache
def _accuracy(fixed: int, broken: int, rows: int) -> tuple[Interval, bool]:
    """Return the interval of the difference in accuracy, and whether the test finds one."""
    return score_interval(fixed, broken, rows), mcnemar(fixed, broken)[1] < 1 - LEVEL


def _share(found: list[bool]) -> float | None:
    return round(float(np.mean(found)), 4) if found else None


def main() -> None:
    """Measure every cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--permutations", type=int, default=199)
    given = parser.parse_args()
    started, measured = time.perf_counter(), []
    for cell in cells():
        measured.append(measure(cell, given.samples, given.permutations))
        print(f"{time.perf_counter() - started:5.0f} s", measured[-1], flush=True)
    write("coverage", {"samples": given.samples, "permutations": given.permutations, "cells": measured})


if __name__ == "__main__":
    main()

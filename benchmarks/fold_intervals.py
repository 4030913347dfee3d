"""Measure the intervals of repeated cross-validation in simulation: coverage and width, by folds and repeats.

    python benchmarks/fold_intervals.py [--sets 1000]

Two classifiers, nearest centroids on one feature and on ten of which nine are noise, are compared on many data sets of 60
rows. Their true difference at the size of a fold's training rows is known from 20,000 training sets. Needs no data.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.resampled import corrected_resampled

ROWS, TRUTH = 60, 20_000
FOLDS = ((5, 1), (5, 2), (5, 3), (5, 5), (5, 10), (10, 1), (10, 3))


def drawn(rows: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return features and labels: one feature tells the two classes apart, nine are noise."""
    labels = np.arange(rows) % 2
    features = rng.normal(size=(rows, 10))
    features[:, 0] += 1.2 * labels
    return features, labels


def accuracies(
    features: NDArray[np.float64], labels: NDArray[np.int64], new: NDArray[np.float64], true: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the accuracy of nearest centroids on one feature, and on all."""
    found = []
    for size in (1, features.shape[1]):
        centres = [features[labels == label, :size].mean(axis=0) for label in (0, 1)]
        distances = [((new[:, :size] - centre) ** 2).sum(axis=1) for centre in centres]
        found.append(float(((distances[1] < distances[0]) == true).mean()))
    return found[0], found[1]


def true_difference(trained: int, rng: np.random.Generator) -> float:
    """Return the mean difference over training sets of a size."""
    differences = []
    for _ in range(TRUTH):
        one, ten = accuracies(*drawn(trained, rng), *drawn(200, rng))
        differences.append(one - ten)
    return float(np.mean(differences))


def differences_of(folds: int, repeats: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the difference in every fold of a cross-validation of a new data set, each class spread evenly."""
    features, labels = drawn(ROWS, rng)
    found = []
    for _ in range(repeats):
        of_row = np.empty(ROWS, dtype=np.int64)
        for label in (0, 1):
            rows = rng.permutation(np.flatnonzero(labels == label))
            of_row[rows] = np.arange(len(rows)) % folds
        for fold in range(folds):
            test = of_row == fold
            one, ten = accuracies(features[~test], labels[~test], features[test], labels[test])
            found.append(one - ten)
    return np.array(found)


def main() -> None:
    """Print a line per number of folds and repeats."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    sets = parser.parse_args().sets
    rng = np.random.default_rng(0)
    truth = {folds: true_difference(ROWS - ROWS // folds, rng) for folds in {folds for folds, _ in FOLDS}}
    print("folds  repeats  corrected: covers, width   plain t: covers, width")
    for folds, repeats in FOLDS:
        cells = []
        values = [differences_of(folds, repeats, rng) for _ in range(sets)]
        for ratio in (1 / (folds - 1), 0.0):
            intervals = [corrected_resampled(found, ratio).interval(-1, 1) for found in values]
            covered = np.mean([found.low <= truth[folds] <= found.high for found in intervals])
            width = np.median([found.high - found.low for found in intervals])
            cells.append(f"{covered:.3f}  {100 * width:5.1f} points")
        print(f"{folds:5}  {repeats:7}  {cells[0]:26}  {cells[1]}")


if __name__ == "__main__":
    main()

"""Distribute groups of rows over the two sides of a cut, each class near its share on both: a seeded greedy assignment.

Groups of several rows come first: larger before smaller ones, in random order among equal sizes. Each goes to the side
that brings its classes nearer to their share of the rows distributed so far, so both sides get large and small groups.
Single rows come last and fill up each class to its target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to distribute.

    Attributes:
        labels: Shape (rows,), label ids.
        groups: Shape (rows,), any non-negative numbers; rows that stay together share one.
        classes: Number of labels; every label should be on both sides.
    """

    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """Shape (rows,), the groups numbered from 0 without gaps."""
        return np.unique(self.groups, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Shape (groups,), rows per group."""
        return np.bincount(self.numbers)

    @property
    def repeats(self) -> int:
        """Number of rows beyond the first of their group."""
        return len(self) - len(self.sizes)

    @property
    def in_largest_group(self) -> int:
        """Index of a row of the largest group."""
        return int(np.flatnonzero(self.sizes[self.numbers] == self.sizes.max())[0])

    @property
    def counts(self) -> NDArray[np.int64]:
        """Shape (classes,), rows per class."""
        return np.bincount(self.labels, minlength=self.classes)

    def counts_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the rows per class among those chosen, shape (classes,)."""
        return np.bincount(self.labels[chosen], minlength=self.classes)

    def groups_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return in how many groups each class occurs among the rows chosen, shape (classes,)."""
        pairs = np.unique(self.numbers[chosen] * self.classes + self.labels[chosen])
        return np.bincount(pairs % self.classes, minlength=self.classes)


def choose_groups(rows: Rows, size: int, *, least_left: int, seed: int | Sequence[int]) -> NDArray[np.bool_]:
    """Choose whole groups with about `size` rows, each class in about its share.

    Time grows with the number of rows.

    Args:
        rows: The rows; every class has at least one.
        size: Number of rows to choose.
        least_left: The number of groups of each class that must be left, if there are enough.
        seed: Chooses among groups that are alike.

    Returns:
        Boolean mask of the rows chosen, shape (rows,). If groups are too large or too few, `size` may be missed, or a
        class may be missing on one side; the caller checks this.
    """
    random = np.random.default_rng(seed)
    targets = _targets(rows.counts, size, least_left)
    chosen = np.zeros(len(rows.sizes), dtype=bool)  # of groups
    taken = _deal_groups(rows, targets, chosen, random)
    _deal_single_rows(rows, targets - taken, least_left, chosen, random)
    _mend(rows, least_left, chosen)
    return chosen[rows.numbers]


def choose_best(rows: Rows, size: int, *, least_left: int, seed: Sequence[int], tries: int) -> NDArray[np.bool_]:
    """Return the best of several results of `choose_groups`: the one nearest to the rows wanted in sum and per class.

    One that has every class on both sides is better than any that has not.

    Args:
        rows: The rows; every class has at least one.
        size: Number of rows to choose.
        least_left: As for `choose_groups`.
        seed: Chooses among groups that are alike.
        tries: Number of results.
    """
    wanted = rows.counts * size / len(rows)

    def badness(chosen: NDArray[np.bool_]) -> tuple[int, float]:
        lost = int((rows.groups_of(chosen) < 1).sum() + (rows.groups_of(~chosen) < least_left).sum())
        gaps = rows.counts_of(chosen) - wanted
        present = wanted > 0
        return lost, float((gaps[present] ** 2 / wanted[present]).sum() + (chosen.sum() - size) ** 2 / size)

    found = [choose_groups(rows, size, least_left=least_left, seed=(*seed, number)) for number in range(tries)]
    return min(found, key=badness)


def _targets(counts: NDArray[np.int64], size: int, least_left: int) -> NDArray[np.int64]:
    """Return the rows to choose per class: its share in whole numbers, `size` in sum, at least one and never all."""
    exact = counts * size / counts.sum()
    most = np.maximum(counts - least_left, 1)
    targets = np.clip(np.floor(exact).astype(np.int64), 1, most)
    while targets.sum() < size and (targets < most).any():
        targets[_largest(np.where(targets < most, exact - targets, -np.inf))] += 1
    while targets.sum() > size and (targets > 1).any():
        targets[_largest(np.where(targets > 1, targets - exact, -np.inf))] -= 1
    return targets


def _largest(values: NDArray[np.float64]) -> int:
    """Return the index of the largest value, the first of equal ones."""
    return int(np.flatnonzero(values == values.max())[0])


def _deal_groups(
    rows: Rows, targets: NDArray[np.int64], chosen: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.int64]:
    """Choose among groups of several rows; return the rows chosen per class, shape (classes,)."""
    several = random.permutation(np.flatnonzero(rows.sizes > 1))
    several = several[np.argsort(-rows.sizes[several], kind="stable")]
    inside = rows.sizes[rows.numbers] > 1
    pairs, numbers = np.unique(rows.numbers[inside] * rows.classes + rows.labels[inside], return_counts=True)
    parts: dict[int, list[tuple[int, int]]] = {}
    for pair, number in zip(pairs.tolist(), numbers.tolist(), strict=True):
        parts.setdefault(pair // rows.classes, []).append((pair % rows.classes, number))
    shares = (targets / rows.counts).tolist()
    weights = (1 / targets).tolist()
    seen, taken = [0] * rows.classes, [0] * rows.classes
    for group in several.tolist():
        # Change of the sum of squared gaps between rows chosen and rows due if the group is chosen.
        change = 0.0
        for label, number in parts[group]:
            seen[label] += number
            gap = shares[label] * seen[label] - taken[label]
            change += ((gap - number) ** 2 - gap**2) * weights[label]
        if change < 0:
            chosen[group] = True
            for label, number in parts[group]:
                taken[label] += number
    return np.array(taken, dtype=np.int64)


def _deal_single_rows(
    rows: Rows,
    wanted: NDArray[np.int64],
    least_left: int,
    chosen: NDArray[np.bool_],
    random: np.random.Generator,
) -> None:
    """Fill up each class with rows that are groups of their own, in random order."""
    single = rows.sizes[rows.numbers] == 1
    left = rows.groups_of(~single & ~chosen[rows.numbers])
    order = random.permutation(np.flatnonzero(single))
    order = order[np.argsort(rows.labels[order], kind="stable")]
    ends = np.cumsum(np.bincount(rows.labels[order], minlength=rows.classes))
    for label, (end, start) in enumerate(zip(ends, np.concatenate([[0], ends[:-1]]), strict=True)):
        available = int(end - start) - max(0, least_left - int(left[label]))
        number = max(0, min(int(wanted[label]), available))
        chosen[rows.numbers[order[start : start + number]]] = True


def _mend(rows: Rows, least_left: int, chosen: NDArray[np.bool_]) -> None:
    """Move groups, smallest first, to a side that lacks a class, if the other side can spare all their classes."""
    pairs = np.unique(rows.numbers * rows.classes + rows.labels)
    groups, labels = pairs // rows.classes, pairs % rows.classes
    aside = np.bincount(labels[chosen[groups]], minlength=rows.classes)
    left = np.bincount(labels[~chosen[groups]], minlength=rows.classes)
    for to_aside, gaining, losing, least_gaining, least_losing in (
        (True, aside, left, 1, least_left),
        (False, left, aside, least_left, 1),
    ):
        for label in np.flatnonzero(gaining < least_gaining):
            candidates = groups[(labels == label) & (chosen[groups] != to_aside)]
            for group in candidates[np.argsort(rows.sizes[candidates], kind="stable")].tolist():
                if gaining[label] >= least_gaining:
                    break
                own = labels[groups == group]
                if (losing[own] > least_losing).all():
                    chosen[group] = to_aside
                    gaining[own] += 1
                    losing[own] -= 1

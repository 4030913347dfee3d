"""Balanced sampling: epochs in which every class occurs equally often."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw_balanced(label_ids: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the rows of one epoch: as many as there are, with equal numbers per class that has rows, up to one row.

    The rows of each class are passed through in random order, then again in another order; an epoch continues where the
    one before stopped. So a class with fewer draws than rows gets other rows in the next epoch. Over all epochs, the
    rows of a class are drawn equally often, give or take one. Classes take turns in getting the remainder.

    Args:
        label_ids: Shape (rows,).
        seed: Seed of the draw, combined with the epoch; earlier draws have no influence.
        epoch: Number of the epoch, from 0.

    Returns:
        Shape (rows,), row numbers, by class.
    """
    rows = len(label_ids)
    members = [np.flatnonzero(label_ids == label) for label in np.unique(label_ids)]
    drawn: list[NDArray[np.int64]] = []
    for place, own in enumerate(members):
        # In the sequence of all draws of all epochs, the class at this place gets every k-th.
        start, stop = ((number * rows + len(members) - 1 - place) // len(members) for number in (epoch, epoch + 1))
        (first, begin), (last, end) = divmod(start, len(own)), divmod(stop, len(own))
        if first == last:
            drawn.append(_order(own, seed, place, first)[begin:end])
        else:  # the end of one pass, whole passes, the beginning of another
            whole = np.tile(own, last - first - 1)
            drawn += [_order(own, seed, place, first)[begin:], whole, _order(own, seed, place, last)[:end]]
    return np.concatenate(drawn)


def _order(rows: NDArray[np.int64], seed: int, place: int, number: int) -> NDArray[np.int64]:
    """Return the order of a class's rows in one pass; the last number separates its generator from the batches'."""
    return np.random.default_rng((seed, place, number, 1)).permutation(rows)

"""Balanced sampling: epochs in which every class comes equally often."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw_balanced(label_ids: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """The rows of one epoch: as many as there are, every class that has rows equally often, but for a remainder of one.

    Each class goes through its rows in random order, and starts over in another order when it is through; an epoch goes on where the
    one before stopped. So a class that is drawn less often than it has rows shows others of them in the next epoch, and over all epochs
    the rows of a class come equally often, give or take one. Classes take turns in getting the remainder.

    Args:
        label_ids: Shape (rows,).
        seed: Decides the draw, with the epoch; what was drawn before plays no part.
        epoch: Counted from 0.

    Returns:
        Shape (rows,), row numbers, by class.
    """
    rows = len(label_ids)
    members = [np.flatnonzero(label_ids == label) for label in np.unique(label_ids)]
    drawn: list[NDArray[np.int64]] = []
    for place, own in enumerate(members):
        # Of all draws of all epochs, one after another, the class at this place gets every k-th.
        start, stop = ((number * rows + len(members) - 1 - place) // len(members) for number in (epoch, epoch + 1))
        (first, begin), (last, end) = divmod(start, len(own)), divmod(stop, len(own))
        if first == last:
            drawn.append(_order(own, seed, place, first)[begin:end])
        else:  # the end of one pass, whole passes, the beginning of another
            whole = np.tile(own, last - first - 1)
            drawn += [_order(own, seed, place, first)[begin:], whole, _order(own, seed, place, last)[:end]]
    return np.concatenate(drawn)


def _order(rows: NDArray[np.int64], seed: int, place: int, number: int) -> NDArray[np.int64]:
    """The order of a class's rows in one pass; the last number keeps its generator apart from that of the batches."""
    return np.random.default_rng((seed, place, number, 1)).permutation(rows)

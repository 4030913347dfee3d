"""Training batches of similar lengths, limited by tokens instead of rows, in an order set by the seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from emotune.system.errors import DataError


class TokenBudgetBatches:
    """Batch sampler: every row once per epoch, in batches of similar lengths of at most `max_tokens` tokens.

    Rows are sorted by length, equal lengths in random order, and cut where the next row would exceed the budget. The
    batches then come in random order. The sorted lengths are the same in every epoch, so every epoch has the same
    number of batches, while their rows differ. The order depends only on the seed and the epoch.

    If `draw` chooses the rows of each epoch, the lengths differ between epochs. All epochs then have as many batches as
    the one that needs most, since the schedule of the learning rate needs their number. In the others, batches are
    halved until there are as many.

    Several processes share an epoch's batches: each takes every `processes`-th of the same order. So that all take the
    same number of steps, the batches with most rows are halved until the number of batches is divisible by that of
    processes. No row is left out or repeated.

    Args:
        lengths: Shape (rows,), tokens per row.
        max_tokens: Tokens per batch, padding included; a longer row is a batch by itself.
        seed: Seed of the order, combined with the epoch.
        process: The number of this process, from 0.
        processes: Number of processes that train together.
        draw: Function from the number of an epoch, from 0, to its rows: as many as there are, with possible repeats.
            None for every row once.
        epochs: Number of epochs; needed with `draw`.

    Raises:
        DataError: There are fewer rows than processes, or batches of one row each that the processes cannot share
            evenly.
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        max_tokens: int,
        seed: int,
        *,
        process: int = 0,
        processes: int = 1,
        draw: Callable[[int], NDArray[np.int64]] | None = None,
        epochs: int = 1,
    ) -> None:
        if len(lengths) < processes:
            raise DataError(
                f"{processes} processes cannot share {len(lengths)} training rows. Start fewer, or bring more rows."
            )
        self.lengths = lengths
        self.max_tokens = max_tokens
        self.seed = seed
        self.process, self.processes = process, processes
        self.draw = draw
        self.epoch = 0
        most = max(len(self._budget_cuts(self._ascending(epoch))) for epoch in range(epochs if draw else 1)) + 1
        self._count = -(-most // processes) * processes  # rounded up to a multiple
        if self._count > len(lengths):
            raise DataError(
                f"{processes} processes cannot share {most} training batches of one row each evenly. "
                "Raise training.batch_tokens, or start another number of processes."
            )
        self._cuts = self._cuts_of(0)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; the Trainer calls this."""
        self.epoch = epoch
        if self.draw is not None:
            self._cuts = self._cuts_of(epoch)

    @property
    def mean_rows(self) -> float:
        """Mean number of rows per batch, over all processes."""
        return len(self.lengths) / self._count

    def __len__(self) -> int:
        return self._count // self.processes

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng((self.seed, self.epoch))
        rows = self._rows(self.epoch)
        order = rows[np.lexsort((generator.random(len(rows)), self.lengths[rows]))]
        batches = np.split(order, self._cuts)
        for batch in generator.permutation(len(batches))[self.process :: self.processes]:
            yield batches[batch].tolist()

    def _rows(self, epoch: int) -> NDArray[np.int64]:
        return np.arange(len(self.lengths)) if self.draw is None else self.draw(epoch)

    def _ascending(self, epoch: int) -> NDArray[np.int64]:
        return np.sort(self.lengths[self._rows(epoch)])

    def _budget_cuts(self, ascending: NDArray[np.int64]) -> list[int]:
        """Return the places in the sorted rows where a new batch starts, without the first at 0."""
        cuts: list[int] = []
        start = 0
        for place, length in enumerate(ascending.tolist()):
            if place > start and (place - start + 1) * length > self.max_tokens:
                cuts.append(place)
                start = place
        return cuts

    def _cuts_of(self, epoch: int) -> list[int]:
        """Return the cuts that the budget requires, and more until every epoch has the same number of batches."""
        cuts = self._budget_cuts(self._ascending(epoch))
        if len(cuts) >= self._count:
            raise ValueError(f"epoch {epoch} is beyond those that were planned")
        while len(cuts) + 1 < self._count:
            edges = [0, *cuts, len(self.lengths)]
            start, stop = max(pairwise(edges), key=lambda batch: batch[1] - batch[0])
            cuts = sorted([*cuts, (start + stop) // 2])
        return cuts

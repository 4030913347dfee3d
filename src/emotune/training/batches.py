"""Training batches: like lengths together, a budget of tokens instead of a number of rows, in an order the seed decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from emotune.system.errors import DataError


class TokenBudgetBatches:
    """A batch sampler: every row once per epoch, in batches of like lengths of at most `max_tokens` tokens.

    Rows are sorted by length, equal lengths in random order, and cut where the next row would pass the budget; the batches then
    come in random order. The sorted lengths are the same in every epoch, so every epoch has the same number of batches,
    while their rows differ. The order depends on the seed and the epoch alone.

    Where `draw` chooses the rows of each epoch, the lengths differ between epochs. All epochs then have as many batches as the one that
    needs most, since the schedule of the learning rate must know their number: in the others, batches are halved until there are as many.

    Several processes share an epoch's batches: each takes every `processes`-th of the same order. For all to take as many steps,
    the batches with most rows are halved until their number divides; no row is left out or comes twice.

    Args:
        lengths: Shape (rows,), tokens per row.
        max_tokens: Tokens a batch, padding counted; a row longer than this makes a batch of its own.
        seed: Decides the order, with the epoch.
        process: The number of this process, from 0.
        processes: How many processes train together.
        draw: Gives the rows of an epoch, by its number from 0: as many as there are, rows may repeat. None for every row once.
        epochs: How many epochs there will be; needed with `draw`.

    Raises:
        DataError: Fewer rows than processes, or batches of one row each that the processes cannot share evenly.
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
        """Choose the epoch whose order the next iteration gives; the Trainer calls this."""
        self.epoch = epoch
        if self.draw is not None:
            self._cuts = self._cuts_of(epoch)

    @property
    def mean_rows(self) -> float:
        """The mean number of rows of a batch, over all processes."""
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
        """Places in the sorted rows where a new batch starts (the first, at 0, left out)."""
        cuts: list[int] = []
        start = 0
        for place, length in enumerate(ascending.tolist()):
            if place > start and (place - start + 1) * length > self.max_tokens:
                cuts.append(place)
                start = place
        return cuts

    def _cuts_of(self, epoch: int) -> list[int]:
        """The cuts that the budget wants, and more, until there are as many batches as in every epoch."""
        cuts = self._budget_cuts(self._ascending(epoch))
        if len(cuts) >= self._count:
            raise ValueError(f"epoch {epoch} is beyond those that were planned")
        while len(cuts) + 1 < self._count:
            edges = [0, *cuts, len(self.lengths)]
            start, stop = max(pairwise(edges), key=lambda batch: batch[1] - batch[0])
            cuts = sorted([*cuts, (start + stop) // 2])
        return cuts

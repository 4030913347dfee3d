"""Training batches: like lengths together, a budget of tokens instead of a number of rows, in an order the seed decides."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from emotune.errors import DataError


class TokenBudgetBatches:
    """A batch sampler: every row once an epoch, in batches of like lengths of at most `max_tokens` tokens.

    Rows are sorted by length, equal lengths in random order, and cut where the next row would pass the budget; the batches then
    come in random order. The sorted lengths are the same in every epoch, so every epoch has the same number of batches,
    while their rows differ. The order depends on the seed and the epoch alone.

    Several processes share an epoch's batches: each takes every `processes`-th of the same order. For all to take as many steps,
    the batches with most rows are halved until their number divides; no row is left out or comes twice.

    Args:
        lengths: Shape (rows,), tokens a row.
        max_tokens: Tokens a batch, padding counted; a row longer than this makes a batch of its own.
        seed: Decides the order, with the epoch.
        process: The number of this process, from 0.
        processes: How many processes train together.

    Raises:
        DataError: Fewer rows than processes.
    """

    def __init__(
        self, lengths: NDArray[np.int64], max_tokens: int, seed: int, *, process: int = 0, processes: int = 1
    ) -> None:
        if len(lengths) < processes:
            raise DataError(
                f"{processes} processes cannot share {len(lengths)} training rows. Start fewer, or bring more rows."
            )
        self.lengths = lengths
        self.max_tokens = max_tokens
        self.seed = seed
        self.process, self.processes = process, processes
        self.epoch = 0
        self._cuts = self._halve_for_all(self._budget_cuts(np.sort(lengths)))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives; the Trainer calls this."""
        self.epoch = epoch

    @property
    def mean_rows(self) -> float:
        """The mean number of rows of a batch, over all processes."""
        return len(self.lengths) / (len(self._cuts) + 1)

    def __len__(self) -> int:
        return (len(self._cuts) + 1) // self.processes

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng((self.seed, self.epoch))
        order = np.lexsort((generator.random(len(self.lengths)), self.lengths))
        batches = np.split(order, self._cuts)
        for batch in generator.permutation(len(batches))[self.process :: self.processes]:
            yield batches[batch].tolist()

    def _budget_cuts(self, ascending: NDArray[np.int64]) -> list[int]:
        """Places in the sorted rows where a new batch starts (the first, at 0, left out)."""
        cuts: list[int] = []
        start = 0
        for place, length in enumerate(ascending.tolist()):
            if place > start and (place - start + 1) * length > self.max_tokens:
                cuts.append(place)
                start = place
        return cuts

    def _halve_for_all(self, cuts: list[int]) -> list[int]:
        """More cuts, until the number of batches is a multiple of the number of processes."""
        while (len(cuts) + 1) % self.processes:
            edges = [0, *cuts, len(self.lengths)]
            start, stop = max(pairwise(edges), key=lambda batch: batch[1] - batch[0])
            cuts = sorted([*cuts, (start + stop) // 2])
        return cuts

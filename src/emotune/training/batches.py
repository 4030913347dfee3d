"""Training batches: like lengths together, a budget of tokens instead of a number of rows, in an order the seed decides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class TokenBudgetBatches:
    """A batch sampler: every row once an epoch, in batches of like lengths of at most `max_tokens` tokens.

    Rows are sorted by length, equal lengths in random order, and cut where the next row would pass the budget; the batches then
    come in random order. The sorted lengths are the same in every epoch, so every epoch has the same number of batches,
    while their rows differ. The order depends on the seed and the epoch alone.

    Args:
        lengths: Shape (rows,), tokens a row.
        max_tokens: Tokens a batch, padding counted; a row longer than this makes a batch of its own.
        seed: Decides the order, with the epoch.
    """

    def __init__(self, lengths: NDArray[np.int64], max_tokens: int, seed: int) -> None:
        self.lengths = lengths
        self.max_tokens = max_tokens
        self.seed = seed
        self.epoch = 0
        self._cuts = self._budget_cuts(np.sort(lengths))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives; the Trainer calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._cuts) + 1

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng((self.seed, self.epoch))
        order = np.lexsort((generator.random(len(self.lengths)), self.lengths))
        batches = np.split(order, self._cuts)
        for batch in generator.permutation(len(batches)):
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

"""Summary of the lengths of texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The limit on tokens per text that is chosen where none is given. A limit above the longest text costs nothing, since
# batches hold texts of similar lengths, so nothing is gained below 128. Above 512 a text costs more memory than batches.
LEAST_LENGTH, MOST_LENGTH, _STEP = 128, 512, 64
_COVERED = 99


def covering(counts: NDArray[np.int64], most: int) -> int:
    """Return the limit on tokens that covers 99 % of texts: a multiple of 64, at least 128, and at most `most`.

    Args:
        counts: Shape (texts,), tokens per text; not empty.
        most: The largest limit, such as the number of the model's positions.
    """
    needed = int(np.percentile(counts, _COVERED, method="inverted_cdf"))
    return min(most, max(LEAST_LENGTH, -(-needed // _STEP) * _STEP))


@dataclass(frozen=True)
class Lengths:
    """Words, or tokens of a model, per text of one split: least, median, 99th percentile and most."""

    least: int
    median: float
    ninety_ninth: float
    most: int

    @classmethod
    def of(cls, counts: NDArray[np.int64]) -> Lengths:
        """Summarize lengths.

        Args:
            counts: Shape (texts,), words or tokens per text; not empty.
        """
        return cls(
            int(counts.min()),
            float(np.median(counts)),
            float(np.percentile(counts, 99)),
            int(counts.max()),
        )

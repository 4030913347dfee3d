"""Summary of the lengths of texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

"""Rows of the data that a tuned model keeps for quantization: texts to calibrate on, and rows to check the result on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split, TextDataset

CALIBRATION_TEXTS = 1000
"""Most training texts that are kept. NNCF recommends 300; with 1,000 fewer labels change (benchmarks/LOG.md)."""

VALIDATION_ROWS = 2000
"""Most validation rows that are kept."""


@dataclass(frozen=True, eq=False)
class KeptRows:
    """Rows for quantization.

    Attributes:
        calibration: Training texts on which the scales of activations are chosen.
        validation: Rows on which the quantized model is compared with the original; none after cross-validation.
    """

    calibration: tuple[str, ...] = field(repr=False)
    validation: Split

    @classmethod
    def of(cls, data: TextDataset) -> KeptRows:
        """Return a sample of the training and validation rows, the same at every call."""
        return cls(
            tuple(data.train.texts[row] for row in _sample(len(data.train), CALIBRATION_TEXTS)),
            data.validation.take(_sample(len(data.validation), VALIDATION_ROWS)),
        )


def _sample(rows: int, most: int) -> NDArray[np.int64]:
    """Return numbers of rows in ascending order: all, or `most` of them drawn without replacement."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))

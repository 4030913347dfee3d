"""Predictions of the texts of one request, as every interface reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emotune.serve.models import Served
from emotune.tasks.base import Targets


@dataclass(frozen=True, eq=False)
class Answers:
    """Predictions of the texts of one request.

    Attributes:
        served: The model that made them.
        labels: The label of each text; several labels of a text are joined.
        probabilities: Shape (texts, classes), before calibration.
        logits: Shape (texts, classes).
        truncated: True for a text that was cut to the model's limit.
    """

    served: Served
    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    logits: NDArray[np.float32]
    truncated: tuple[bool, ...]

    @cached_property
    def decisions(self) -> Targets:
        """The predicted labels as the task has them; calibration changes none of them."""
        return self.served.predictor.task.decide(self.logits)

    def rows(self, start: int, stop: int) -> Answers:
        """Return those of a range of the texts."""
        chosen = slice(start, stop)
        return Answers(
            self.served,
            self.labels[chosen],
            self.probabilities[chosen],
            self.logits[chosen],
            self.truncated[chosen],
        )

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """Return the predictions of several ranges of texts as one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            parts[0].served,
            tuple(label for part in parts for label in part.labels),
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate([part.logits for part in parts]),
            tuple(cut for part in parts for cut in part.truncated),
        )

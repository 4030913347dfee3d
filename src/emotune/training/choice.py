"""The rule that chooses the epoch to keep.

Trainer's best checkpoint, patience, the record of a training and the messages about it all use this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

RULE = "loss on validation, scaled by its best temperature"
"""The quantity that the kept epoch minimizes, in words."""

NAME = "criterion"
"""Its name in Trainer's log."""


def criterion(scores: Mapping[str, float]) -> float:
    """Return the criterion of an epoch: the epoch with the smallest value is kept, the first of equal ones.

    Args:
        scores: Scores of validation by name, from `Task.validate`.
    """
    return scores["scaled_loss"]


def best_epoch(scores: Sequence[Mapping[str, float]]) -> int:
    """Return the index of the epoch to keep.

    Args:
        scores: Scores of validation of each epoch, in order.
    """
    return min(range(len(scores)), key=lambda place: criterion(scores[place]))

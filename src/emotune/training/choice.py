"""Which epoch is kept: the one rule, in one function.

Trainer's best checkpoint, patience, the record of a training and what is said of it all ask here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

RULE = "loss on validation, scaled by its best temperature"
"""What is least in the epoch that is kept, in words."""

NAME = "criterion"
"""What Trainer's log calls it."""


def criterion(scores: Mapping[str, float]) -> float:
    """Return how bad an epoch is: the one with the least is kept, the first of equal ones.

    Args:
        scores: Those of validation by name, as `Task.validate` gives them.
    """
    return scores["scaled_loss"]


def best_epoch(scores: Sequence[Mapping[str, float]]) -> int:
    """Return the place of the epoch to keep, counted from 0.

    Args:
        scores: Those of each epoch, in order.
    """
    return min(range(len(scores)), key=lambda place: criterion(scores[place]))

"""Rows for choosing a baseline's settings: validation, and out-of-fold training rows if it is small; never test."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emotune.tasks.base import LabelledTexts

FOLDS = 5
# Macro-F1 on a few hundred rows varies by some points with the sample, as much as settings differ. A thousand rows
# halve that.
ENOUGH_ROWS = 1000


def held_out(split: LabelledTexts, wanted: int) -> tuple[NDArray[np.int64], ...]:
    """Return stratified parts of the training rows to hold out in turn: as many fifths as hold enough rows.

    Texts that differ only in case are in the same part, so that no text is judged by its own copy; nearly equal ones
    may not be.

    Args:
        split: The training rows.
        wanted: Number of rows to hold out; all five fifths if training has no more.

    Returns:
        Row numbers of each part; no parts if `wanted` is not positive. The rows outside a part have at least two
        labels: all labels with two texts.
    """
    if wanted <= 0:
        return ()
    _, first, text = np.unique([text.casefold() for text in split.texts], return_index=True, return_inverse=True)
    label_ids = split.label_ids[first]
    # Assigned class by class, so that the texts of a class are spread evenly over the parts.
    shuffled = np.random.default_rng(0).permutation(len(first))
    fold = np.empty(len(first), dtype=np.int64)
    fold[shuffled[np.argsort(label_ids[shuffled], kind="stable")]] = np.arange(len(first)) % FOLDS
    parts: list[NDArray[np.int64]] = []
    for number in range(FOLDS):
        inside = fold[text] == number
        if inside.any() and len(np.unique(split.label_ids[~inside])) > 1:
            parts.append(np.flatnonzero(inside))
        if sum(map(len, parts)) >= wanted:
            break
    return tuple(parts)


@dataclass(frozen=True, eq=False)
class Judges:
    """Rows for choosing settings: validation, and training rows held out in turn if validation has few.

    Attributes:
        train: The training rows.
        validation: The validation rows.
        parts: Numbers of the held-out training rows, by part; no parts if validation has enough rows.
    """

    train: LabelledTexts
    validation: LabelledTexts
    parts: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, train: LabelledTexts, validation: LabelledTexts) -> Judges:
        """Return validation and as many training rows as it lacks."""
        return cls(train, validation, held_out(train, ENOUGH_ROWS - len(validation)))

    @cached_property
    def learners(self) -> tuple[NDArray[np.int64], ...]:
        """Training rows of each fit of a setting: all, then all outside each part."""
        rows = np.arange(len(self.train))
        return (rows, *(np.setdiff1d(rows, part) for part in self.parts))

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """Label ids of the judging rows: of validation, then of the parts."""
        return np.concatenate([self.validation.label_ids, *(self.train.label_ids[part] for part in self.parts)])

    def macro_f1(self, predictions: NDArray[np.int64]) -> float:
        """Return macro-F1 over all judging rows, from predicted label ids of validation and then of each part."""
        return macro_f1(self.truth, predictions, len(self.train.labels))

    @property
    def said(self) -> str:
        """The rows used for choosing, in words."""
        extra = sum(map(len, self.parts))
        return f"on validation and {extra:,} training rows out of fold" if extra else "on validation"


def macro_f1(truth: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> float:
    """Return macro-F1 as in all tables of emotune: a class without rows or predictions counts as 0."""
    from sklearn.metrics import f1_score

    ids = np.arange(classes)
    return float(f1_score(truth, predictions, labels=ids, average="macro", zero_division=0.0))

"""Which rows choose among the settings of a baseline: validation, and training rows out of fold where validation has few. Test never."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emotune.tasks.base import LabelledTexts

FOLDS = 5
# Macro-F1 of a few hundred rows moves by some points from draw to draw, which is what settings differ by. A thousand rows halve that.
ENOUGH_ROWS = 1000


def held_out(split: LabelledTexts, wanted: int) -> tuple[NDArray[np.int64], ...]:
    """Parts of the training rows to be held out in turn: as many fifths as hold enough rows, each with its share of every class.

    Texts that are equal but for case share a part, so that none is judged by its own copy; nearly equal ones may not.

    Args:
        split: The training rows.
        wanted: How many rows to hold out; all five fifths where training has no more.

    Returns:
        Row numbers of each part; none where nothing is wanted. The rows beside a part hold two labels or more: all that have two texts.
    """
    if wanted <= 0:
        return ()
    _, first, text = np.unique([text.casefold() for text in split.texts], return_index=True, return_inverse=True)
    label_ids = split.label_ids[first]
    # Dealt out class by class, so that the texts of a class are spread evenly over the parts.
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
    """The rows by which settings are chosen: validation, and training rows held out in turn where validation has few.

    Attributes:
        train: The training rows.
        validation: The validation rows.
        parts: The training rows that are held out, by their numbers; none where validation has enough rows.
    """

    train: LabelledTexts
    validation: LabelledTexts
    parts: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, train: LabelledTexts, validation: LabelledTexts) -> Judges:
        """Validation, and as many training rows as it lacks."""
        return cls(train, validation, held_out(train, ENOUGH_ROWS - len(validation)))

    @cached_property
    def learners(self) -> tuple[NDArray[np.int64], ...]:
        """The training rows that each fit of a setting learns from: all, then all but each part."""
        rows = np.arange(len(self.train))
        return (rows, *(np.setdiff1d(rows, part) for part in self.parts))

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """Label ids of the judging rows: of validation, then of the parts."""
        return np.concatenate([self.validation.label_ids, *(self.train.label_ids[part] for part in self.parts)])

    def macro_f1(self, predictions: NDArray[np.int64]) -> float:
        """Macro-F1 over all judging rows, from the label ids of validation and then of each part."""
        return macro_f1(self.truth, predictions, len(self.train.labels))

    @property
    def said(self) -> str:
        """Who chose, in words."""
        extra = sum(map(len, self.parts))
        return f"on validation and {extra:,} training rows out of fold" if extra else "on validation"


def macro_f1(truth: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> float:
    """Macro-F1 as every table of emotune has it: a class without rows or predictions counts as 0."""
    from sklearn.metrics import f1_score

    ids = np.arange(classes)
    return float(f1_score(truth, predictions, labels=ids, average="macro", zero_division=0.0))

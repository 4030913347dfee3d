"""`Split`, texts with labels, and `TextDataset`, three splits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emotune.data.columns import Columns
from emotune.data.duplicates import KnownGroups
from emotune.data.groups import Names
from emotune.data.left_out import LeftOut
from emotune.system.pairs import sides_of
from emotune.tasks.base import Targets, Task
from emotune.tasks.single_label import SINGLE_LABEL

SPLIT_NAMES = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of one split, in the order of their source.

    Attributes:
        name: "train", "validation", "test", or the name of a file scored on its own.
        texts: The messages, one per row; `TextPair`s if every row is a pair of texts.
        label_ids: Shape (rows,), int64; indices into `labels`. Other tasks define their own targets.
        labels: The label names, in the data set's order. The same tuple in every split of a data set.
        notes: Notes on reading rows that were loaded on their own, one sentence each; empty in a data set, which has
            its own.
        task: Kind of label of the rows.
        groups: The name of each row's group, such as its author, and None for a row that is its own; () without groups.
        left_out: Rows that were left out of those loaded on their own, as the user asked for.
    """

    name: str
    texts: tuple[str, ...] = field(repr=False)
    label_ids: Targets = field(repr=False)
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    task: Task = SINGLE_LABEL
    groups: Names = ()
    left_out: tuple[LeftOut, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def pairs(self) -> tuple[str, ...] | None:
        """The second text of each row; None if rows have one text."""
        seconds = sides_of(self.texts)[1]
        return None if seconds is None else tuple(seconds)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over texts, labels and their order: equal for equal rows, on every machine."""
        digest = hashlib.sha256()
        firsts, seconds = sides_of(self.texts)
        for part in ("\x1f".join(self.labels), *firsts, *(seconds or ())):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little") + data)
        digest.update(self.label_ids.astype("<i8" if self.label_ids.dtype.kind in "iu" else "<f8").tobytes())
        return digest.hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows per label, in label order; 0 for labels without rows."""
        return self.task.counts(self.label_ids, self.labels)

    def take(self, rows: Sequence[int] | NDArray[np.int64], name: str | None = None) -> Split:
        """Return a split of the given rows, in the given order.

        Args:
            rows: Row numbers, counted from 0.
            name: The new split's name; by default this split's.
        """
        return Split(
            name=self.name if name is None else name,
            texts=tuple(self.texts[row] for row in rows),
            label_ids=self.label_ids[np.asarray(rows, dtype=np.int64)],
            labels=self.labels,
            task=self.task,
            groups=tuple(self.groups[row] for row in rows) if self.groups else (),
        )


@dataclass(frozen=True, eq=False)
class Fold:
    """Row numbers of one fold of cross-validation, each in ascending order.

    Attributes:
        train: Rows to train on.
        validation: Rows on which everything is chosen.
        scored: Rows that are scored.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    scored: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TextDataset:
    """A labelled data set with its three splits.

    A data set for cross-validation has all rows in `train`, and no others: its folds say which of them are for what.

    Attributes:
        name: The Hub id, "bundled:sample", or the base name of the file or folder: never a path of one machine.
        labels: Label names in the data set's order; label id i is `labels[i]`.
        train: Rows for training.
        validation: Rows on which everything is chosen.
        test: Rows that are scored once.
        notes: Changes to the data when it was loaded, one sentence each (for example a split cut from training).
        known_groups: Groups of texts that repeat, if they were searched while loading.
        columns: The columns of the source that were read, by split; without splits that were cut from training.
        left_out: Rows that were left out, as the user asked for.
        periods: First and last time of each split's rows, in words, if a column of times was read.
        folds: For each repeat of a cross-validation its folds; () without.
    """

    name: str
    labels: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    notes: tuple[str, ...] = ()
    known_groups: KnownGroups | None = None
    columns: Mapping[str, Columns] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = field(default=(), repr=False)
    periods: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    folds: tuple[tuple[Fold, ...], ...] = ()

    @property
    def task(self) -> Task:
        """Kind of label of the rows."""
        return self.train.task

    def with_task(self, task: Task) -> TextDataset:
        """Return the data with another task of the same kind, such as one that always gives a label."""
        train, validation, test = (replace(split, task=task) for split in self.splits)
        return replace(self, train=train, validation=validation, test=test)

    @property
    def group_column(self) -> str | None:
        """The column of the groups, if one was read."""
        return self.columns["train"].further[0] if self.train.groups and "train" in self.columns else None

    def of_fold(self, fold: Fold) -> TextDataset:
        """Return the rows of one fold as a data set, whose test rows are those that the fold scores."""
        return TextDataset(
            self.name,
            self.labels,
            train=self.train.take(fold.train, "train"),
            validation=self.train.take(fold.validation, "validation"),
            test=self.train.take(fold.scored, "test"),
        )

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Train, validation and test, in this order."""
        return (self.train, self.validation, self.test)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the three splits' fingerprints."""
        return hashlib.sha256("".join(split.fingerprint for split in self.splits).encode()).hexdigest()

"""Make the splits of a data set: those that were given, and those that are cut from training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import SPLIT_NAMES, Fold, Split
from emotune.data.duplicates import Groups, KnownGroups, find_duplicates
from emotune.data.groups import group_numbers, missing_note, united
from emotune.data.options import DataSource
from emotune.data.splits.by_time import cut_by_time, period_notes, periods
from emotune.data.splits.folding import make_folds
from emotune.data.splits.several_splitting import cut_several
from emotune.data.splits.splitting import Together, cut_splits
from emotune.data.splits.times import Times


@dataclass(frozen=True, eq=False)
class Made:
    """The splits of a data set.

    Attributes:
        splits: By name.
        notes: Notes on groups, times and cuts, one sentence each.
        known: The repeated texts of all splits, if they were searched.
        periods: First and last time of each split, in words, by split; empty without times.
        folds: The folds of each repeat; () without.
    """

    splits: Mapping[str, Split]
    notes: tuple[str, ...]
    known: KnownGroups | None = None
    periods: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    folds: tuple[tuple[Fold, ...], ...] = ()


def make_splits(splits: Mapping[str, Split], times: Mapping[str, Times], asked: DataSource, seed: int) -> Made:
    """Cut the splits that are missing.

    Args:
        splits: The splits that were given, "train" among them.
        times: Times of their rows by split; empty without a column of times.
        asked: Sizes of the cuts, and the columns of groups and times.
        seed: Chooses the rows, unless they are cut by time.

    Raises:
        DataError: The rows do not allow the cut.
    """
    sizes = {"test": asked.test_size, "validation": asked.validation_size}
    missing = {split: size for split, size in sizes.items() if split not in splits}
    notes: list[str] = []
    if asked.group_column is not None:
        notes += missing_note(asked.group_column, {name: split.groups for name, split in splits.items()})
    if asked.folds is not None:
        return _folded(splits["train"], asked, asked.folds, seed, notes)
    known = None
    if missing:
        given = [split for split in SPLIT_NAMES if split in splits and split != "train"]
        train = splits["train"]
        repeats = find_duplicates([*train.texts, *(text for split in given for text in splits[split].texts)])
        if asked.time_column is not None:
            rows, found = _by_time(splits, times, missing, repeats, asked.time_column)
        else:
            rows, found = _apart(splits, given, missing, repeats, asked.group_column, seed)
        notes += found
        cut = {name: train.take(chosen, name) for name, chosen in rows.items()}
        times = _times_after(times, rows)
        splits = {**splits, **cut}
        known = _known(splits, given, rows, len(train), repeats)
    if asked.time_column is not None:
        notes += period_notes(times, asked.time_column)
    return Made(splits, tuple(notes), known, periods(times))


def _folded(train: Split, asked: DataSource, folds: int, seed: int, notes: list[str]) -> Made:
    """Leave all rows in training, and assign them to folds."""
    repeats = find_duplicates(train.texts)
    together = repeats.near
    if asked.group_column is not None:
        together = united(together, group_numbers(train.groups))
    found = make_folds(
        train,
        folds,
        asked.fold_repeats,
        validation_size=asked.validation_size,
        seed=seed,
        groups=together,
        together=Together(asked.group_column, folds=True),
    )
    splits = {"train": train, **{name: train.take([], name) for name in ("validation", "test")}}
    known = KnownGroups(tuple(splits[name].texts for name in SPLIT_NAMES), repeats)
    return Made(splits, (*notes, *found.notes), known, folds=found.repeats)


def _apart(
    splits: Mapping[str, Split],
    given: list[str],
    missing: Mapping[str, float],
    repeats: Groups,
    group_column: str | None,
    seed: int,
) -> tuple[Mapping[str, NDArray[np.int64]], tuple[str, ...]]:
    """Cut so that no text and no group is in two of the cut splits, or in a cut split and a given one."""
    together = repeats.near
    if group_column is not None:
        names = [name for split in ("train", *given) for name in splits[split].groups]
        together = united(repeats.near, group_numbers(names))
    train = splits["train"]
    own, others = together[: len(train)], together[len(train) :]
    cutting = cut_several if train.task.several else cut_splits
    cut = cutting(train, missing, seed, own, np.isin(own, others), Together(group_column))
    return cut.rows, cut.notes


def _by_time(
    splits: Mapping[str, Split],
    times: Mapping[str, Times],
    missing: Mapping[str, float],
    repeats: Groups,
    column: str,
) -> tuple[Mapping[str, NDArray[np.int64]], tuple[str, ...]]:
    train = splits["train"]
    others = {"given": repeats.near[len(train) :]}
    cut = cut_by_time(train, times["train"], missing, repeats.near[: len(train)], others, column)
    return cut.rows, cut.notes


def _times_after(times: Mapping[str, Times], rows: Mapping[str, NDArray[np.int64]]) -> dict[str, Times]:
    """Return the times of all splits after a cut from training."""
    if not times:
        return {}
    return {**times, **{name: Times(times["train"].kind, times["train"].keys[chosen]) for name, chosen in rows.items()}}


def _known(
    splits: Mapping[str, Split],
    given: list[str],
    rows: Mapping[str, NDArray[np.int64]],
    start: int,
    repeats: Groups,
) -> KnownGroups:
    """Return the repeated texts of all splits, from those of the rows before the cut."""
    places = dict(rows)
    for split in given:
        places[split] = np.arange(start, start + len(splits[split]))
        start += len(splits[split])
    order = np.concatenate([places[split] for split in SPLIT_NAMES])
    return KnownGroups(tuple(splits[split].texts for split in SPLIT_NAMES), repeats.take(order))

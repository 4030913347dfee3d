"""Cut missing splits by time: train on the past, validate on what follows, test on the newest rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import SPLIT_NAMES, Split
from emotune.data.splits.splitting import LARGEST_FACTOR
from emotune.data.splits.times import Times
from emotune.system.errors import DataError
from emotune.system.wording import counted, listed, quoted


@dataclass(frozen=True, eq=False)
class CutByTime:
    """Result of cutting splits by time.

    Attributes:
        rows: For each split that was cut, and for "train", its row numbers in the original rows, in ascending order.
        notes: Notes, one sentence each.
    """

    rows: Mapping[str, NDArray[np.int64]]
    notes: tuple[str, ...]


def cut_by_time(
    train: Split,
    times: Times,
    sizes: Mapping[str, float],
    near: NDArray[np.int64],
    given: Mapping[str, NDArray[np.int64]],
    column: str,
) -> CutByTime:
    """Cut the newest rows for test, and those before them for validation.

    Rows of one time stay on one side, so the nearest change of time is the cut. A row that was cut and repeats an
    earlier row is left out: nothing that is scored was seen, and no row of training is newer than those that are scored.

    Args:
        train: The rows to cut from.
        times: Their times.
        sizes: For each split to cut its share of the rows.
        near: Shape (rows,), the same number for rows that repeat each other.
        given: Such numbers of the rows of each split that was given.
        column: The column of times, for messages.

    Raises:
        DataError: All rows have one time; rows of one time are so many that a cut would have less than half or more
            than twice the rows asked for; a class is not in training; or every row of a cut repeats an earlier one.
    """
    order = np.argsort(times.keys, kind="stable")
    rows: dict[str, NDArray[np.int64]] = {}
    end = len(order)
    for name in ("test", "validation"):
        if name in sizes:
            start = _place(times, order[:end], name, round(sizes[name] * len(order)), column)
            rows[name], end = np.sort(order[start:end]), start
    rows["train"] = np.sort(order[:end])
    kept = _without_repeats(rows, near, given)
    _refuse_lost(train, rows, kept, times, column)
    return CutByTime(kept, tuple(_notes(train, rows, kept)))


def _place(times: Times, order: NDArray[np.int64], name: str, size: int, column: str) -> int:
    """Return the place in the order where a cut for the newest rows begins: the change of time nearest to the size."""
    keys = times.keys[order]
    changes = np.flatnonzero(keys[1:] > keys[:-1]) + 1
    wanted = len(order) - size
    if not len(changes):
        raise DataError(
            f"All {len(order):,} rows left have the time {times.shown(int(keys[0]))} in column {quoted(column)}, so no {name} split can "
            f"be cut by time. Give a {name} file of your own, or leave --time-column out."
        )
    start = int(changes[np.abs(changes - wanted).argmin()])
    found = len(order) - start
    if not size / LARGEST_FACTOR <= found <= size * LARGEST_FACTOR:
        key = int(keys[min(max(wanted, 0), len(keys) - 1)])
        raise DataError(
            f"A {name} split of {counted(size, 'row')} was asked for, and the nearest cut by time has {counted(found, 'row')}: rows of one "
            f"time stay on one side, and {times.shown(key)} has {int((keys == key).sum()):,} of the {len(order):,} rows left.\n"
            f"Change {name}_size, name a finer column with --time-column, or give a {name} file of your own."
        )
    return start


def _without_repeats(
    rows: Mapping[str, NDArray[np.int64]], near: NDArray[np.int64], given: Mapping[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each split without those that repeat an earlier split, or one that was given."""
    kept = {"train": rows["train"]}
    seen = np.concatenate([near[rows["train"]], *given.values()])
    for name in ("validation", "test"):
        if name in rows:
            kept[name] = rows[name][~np.isin(near[rows[name]], seen)]
            seen = np.concatenate([seen, near[rows[name]]])
    return kept


def _refuse_lost(
    train: Split,
    rows: Mapping[str, NDArray[np.int64]],
    kept: Mapping[str, NDArray[np.int64]],
    times: Times,
    column: str,
) -> None:
    """Refuse a cut without rows, and classes that training lacks."""
    for name, found in kept.items():
        if not len(found):
            raise DataError(
                f"All {counted(len(rows[name]), 'row')} cut for {name} by time repeat earlier rows (nearly equal ones count), so none is "
                f"left to score. Bring more rows, or give a {name} file of your own."
            )
    last = times.shown(int(times.keys[kept["train"]].max()))
    counts = train.take(kept["train"]).counts
    absent = [label for label, count in counts.items() if not count and train.counts[label]]
    if absent:
        one = len(absent) == 1
        raise DataError(
            f"Training would lack the {'class' if one else 'classes'} {listed(absent)}: by {quoted(column)} training ends at {last}, and "
            f"{'its' if one else 'their'} first rows come later.\n"
            f"Change test_size and validation_size, leave the {'class' if one else 'classes'} out, or leave --time-column out."
        )


def _notes(train: Split, rows: Mapping[str, NDArray[np.int64]], kept: Mapping[str, NDArray[np.int64]]) -> Iterator[str]:
    cut = [name for name in ("validation", "test") if name in rows]
    dropped = {name: len(rows[name]) - len(kept[name]) for name in cut}
    parts = ", ".join(f"{len(rows[name]):,} for {name}" for name in reversed(cut))
    yield (
        f"No {' and no '.join(cut)} split was given: the newest of the {len(train):,} training rows were set aside, {parts}; "
        "rows of one time are on one side."
    )
    if any(dropped.values()):
        left_out = " and ".join(f"{counted(count, 'row')} of {name}" for name, count in dropped.items() if count)
        yield (
            f"Left out, since they repeat rows of another split that training or a choice has seen (nearly equal ones count): {left_out}."
        )
    for name in cut:
        counts = train.take(kept[name]).counts
        absent = [label for label, count in counts.items() if not count and train.counts[label]]
        if absent:
            yield f"No row of {name} has the label {listed(absent)}: rows were cut by time, not by class."


def periods(times: Mapping[str, Times]) -> dict[str, tuple[str, str]]:
    """Return the first and the last time of each split, in words."""
    return {
        split: (found.shown(int(found.keys.min())), found.shown(int(found.keys.max())))
        for split, found in times.items()
        if len(found.keys)
    }


def period_notes(times: Mapping[str, Times], column: str) -> Iterator[str]:
    """Say from when to when each split goes, and how many rows of a later split are not newer than an earlier one.

    Args:
        times: Times of the rows by split.
        column: The column of times.
    """
    splits = [split for split in SPLIT_NAMES if split in times]
    found = periods(times)
    spans = ", ".join(f"{split} {found[split][0]} to {found[split][1]}" for split in splits)
    yield f"Times from column {quoted(column)}, read as {times[splits[0]].kind}: {spans}."
    for earlier, later in combinations(splits, 2):
        end = int(times[earlier].keys.max())
        old = int((times[later].keys <= end).sum())
        if old:
            yield (
                f"{counted(old, 'row')} of {later} {'is' if old == 1 else 'are'} not newer than the last of {earlier} "
                f"({found[earlier][1]}), so {later} is not only the future of {earlier}."
            )

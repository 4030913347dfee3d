"""Cut missing splits from the training rows: stratified, seeded, with copies kept together, and described in notes.

If no text repeats another, the rows are chosen by scikit-learn's `train_test_split`. Otherwise `emotune.data.splits.grouped`
distributes whole groups of equal or nearly equal texts, so that none is on both sides of a cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.data.splits.grouped import Rows, choose_best, choose_groups
from emotune.system.errors import ConfigError, DataError
from emotune.system.wording import counted, quoted

# Tolerated deviation of a cut from the rows asked for: notes report a larger share of them; a larger factor is refused.
ROWS_TOLERANCE, LARGEST_FACTOR = 0.1, 2
# Tolerated deviation of a class from its rows, reported in the notes if larger: this share of them, or this many rows.
CLASS_TOLERANCE, CLASS_ROWS = 0.25, 2
# A group with at least this share of all rows is named.
LARGE_GROUP = 0.1
_MOST_NAMED = 3
# Classes whose shares are named, split by split.
_MOST_SHARES = 12
# Ways to deal out groups that are tried, where the user has named them: few groups allow few cuts, and one try is luck.
TRIES = 50


@dataclass(frozen=True)
class Together:
    """What keeps rows together, for messages.

    Attributes:
        column: The column of groups; None if only copies are kept together.
        folds: True for the folds of a cross-validation, which cannot be given as files.
    """

    column: str | None = None
    folds: bool = False

    @property
    def rule(self) -> str:
        """The rule, as a clause."""
        if self.column is None:
            return f"copies (nearly equal texts too) stay {self.where}"
        return (
            f"rows with one value of {quoted(self.column)} stay {self.where}, and so do copies (nearly equal texts too)"
        )

    @property
    def where(self) -> str:
        """Where they stay, behind "stay"."""
        return "together" if self.folds else "in one split"

    def advice(self, *ways: str, files: str = "give the splits as files") -> str:
        """Return a sentence of what can be done.

        Args:
            ways: Clauses.
            files: The clause that follows them where splits can be given as files.
        """
        *first, last = ways if self.folds else (*ways, files)
        said = ", ".join([*first, f"or {last}"]) if first else last
        return f"{said[0].upper()}{said[1:]}."

    @property
    def subject(self) -> str:
        """Those that stay together, at the beginning of a sentence."""
        return "Copies" if self.column is None else "Groups and copies"


COPIES = Together()


@dataclass(frozen=True, eq=False)
class Cut:
    """Result of cutting splits.

    Attributes:
        splits: The splits by name; "train" holds the remaining rows.
        rows: For each split its row numbers in the original rows, in ascending order.
        notes: Notes on the cuts, one sentence each.
    """

    splits: Mapping[str, Split]
    rows: Mapping[str, NDArray[np.int64]]
    notes: tuple[str, ...]


def cut_splits(
    train: Split,
    sizes: Mapping[str, float],
    seed: int,
    groups: NDArray[np.int64] | None = None,
    stay: NDArray[np.bool_] | None = None,
    together: Together = COPIES,
) -> Cut:
    """Cut splits from the rows of a split, each class in its share; rows keep the order of their source.

    A group is in one split as a whole, and every class is in every split. As far as the groups allow, a cut has the
    rows asked for, and each class its share of them. The notes name deviations of more than a tenth of the rows, or of
    more than a quarter of a class's rows and two rows.

    Args:
        train: The rows to cut from.
        sizes: For each split to cut, in this order, its share of the rows of `train`: between 0 and 1, and less than 1
            in sum.
        seed: Chooses the rows; 0 to 2**32 - 1.
        groups: Shape (rows,), the same number for rows that must stay together; by default each row is its own group.
        stay: Shape (rows,), rows that should stay in training, in whole groups, because they repeat rows of a given
            split. They may be cut all the same if a class would otherwise have too few rows, and a note says so.
        together: What the groups are.

    Raises:
        ConfigError: The sizes are not shares that leave rows for training.
        DataError: A class, or the whole, has too few rows or groups to be in every split; or groups are so large that a
            cut would have less than half or more than twice the rows asked for.
    """
    if not all(0 < size < 1 for size in sizes.values()) or sum(sizes.values()) >= 1:
        given = ", ".join(f"{name}_size {size:g}" for name, size in sizes.items())
        raise ConfigError(f"The splits to cut ({given}) must each be more than 0, and together less than 1.")
    apart = np.arange(len(train)) if groups is None else np.unique(groups, return_inverse=True)[1]
    _refuse_rare_classes(train, apart, tuple(sizes), together)
    stay = np.zeros(len(train), dtype=bool) if stay is None else stay
    notes = _notes_on_staying(train, apart, stay, len(sizes), together)
    if notes and not _leaves_enough(train, apart, stay, len(sizes)):
        stay = np.zeros(len(train), dtype=bool)
    left = np.flatnonzero(~stay)
    rows: dict[str, NDArray[np.int64]] = {}
    for number, (name, share) in enumerate(sizes.items()):
        size = round(share * len(train))
        here = Rows(train.task.strata(train.label_ids)[left], apart[left], len(train.labels))
        aside = _cut(train, here, name, size, still_to_cut=len(sizes) - number - 1, seed=seed, together=together)
        rows[name], left = left[aside], left[~aside]
        notes.append(_note(train, name, len(rows[name]), size, seed, together))
        if together.column is None:
            notes += _notes_on_classes(here, train.labels, name, aside)
    rows["train"] = np.sort(np.concatenate([left, np.flatnonzero(stay)]))
    splits = {name: train.take(chosen, name) for name, chosen in rows.items()}
    notes += _notes_on_groups(apart, rows, together)
    if together.column is not None:
        notes += _notes_on_shares(splits, rows)
    return Cut(splits, rows, tuple(notes))


def _leaves_enough(train: Split, groups: NDArray[np.int64], stay: NDArray[np.bool_], cuts: int) -> bool:
    """Return whether the rows that need not stay suffice: enough groups of every class, and enough rows in total."""
    free = Rows(train.task.strata(train.label_ids), groups, len(train.labels)).groups_of(~stay)
    return bool((free > cuts).all() and 2 * (~stay).sum() >= len(train))


def _notes_on_staying(
    train: Split, groups: NDArray[np.int64], stay: NDArray[np.bool_], cuts: int, together: Together
) -> list[str]:
    count = int(stay.sum())
    if not count:
        return []
    seen = (
        f"{counted(count, 'training row repeats', 'training rows repeat')} rows of a split that is given (nearly equal ones count)"
        if together.column is None
        else f"{counted(count, 'training row shares', 'training rows share')} a group, by {quoted(together.column)}, or a text "
        "with a split that is given"
    )
    if _leaves_enough(train, groups, stay, cuts):
        return [
            f"{seen}: {'it stays' if count == 1 else 'they stay'} in training, so that no other split has them as well."
        ]
    return [f"{seen}, and too few others are left, so some of them may be in the splits that are cut."]


def _cut(
    train: Split, rows: Rows, name: str, size: int, *, still_to_cut: int, seed: int, together: Together
) -> NDArray[np.bool_]:
    """Return a mask of the rows to set aside, shape (rows,).

    Args:
        train: All rows, before any cut.
        rows: The remaining rows.
        name: The split to cut.
        size: Number of rows wanted.
        still_to_cut: Number of later cuts, each of which needs a group of every class.
        seed: Chooses the rows.
        together: What the groups are.
    """
    classes = int((rows.counts > 0).sum())
    # Stratifying needs one row per class in each split.
    if not classes <= size <= len(rows) - classes * (1 + still_to_cut):
        raise DataError(
            f"{counted(len(rows), 'row')} of {counted(classes, 'class', 'classes')} are too few to cut a {name} split of "
            f"{counted(size, 'row')} from. "
            + together.advice("bring more rows", f"change {name}_size", files=f"give a {name} file of your own")
        )
    if rows.repeats == 0:
        aside = _stratified(rows, size, seed)
        if (rows.counts_of(aside) >= 1).all() and (rows.counts_of(~aside) >= 1 + still_to_cut).all():
            return aside
    if together.column is None:
        aside = choose_groups(rows, size, least_left=1 + still_to_cut, seed=(seed, still_to_cut))
    else:
        aside = choose_best(rows, size, least_left=1 + still_to_cut, seed=(seed, still_to_cut), tries=TRIES)
    missing = np.flatnonzero((rows.groups_of(aside) < 1) | (rows.groups_of(~aside) < 1 + still_to_cut))
    if len(missing):
        label = train.labels[missing[0]]
        raise DataError(
            f"The class {quoted(label)} cannot be on both sides of a cut for {name}: its "
            f"{counted(int(rows.counts[missing[0]]), 'row')} left belong together, or with rows of other classes, and {together.rule}.\n"
            + together.advice("bring more rows of it", "leave it out")
        )
    found = int(aside.sum())
    if not size / LARGEST_FACTOR <= found <= size * LARGEST_FACTOR:
        row = rows.in_largest_group
        largest = int((rows.groups == rows.groups[row]).sum())
        raise DataError(
            f"A {name} split of {counted(size, 'row')} was asked for, and {counted(found, 'row')} came out: {together.rule}, and "
            f"the largest group of {len(rows.sizes):,} has {largest:,} of the {len(rows):,} rows left.\n"
            + together.advice(
                "leave copies out" if together.column is None else "bring rows of more groups", f"change {name}_size"
            )
        )
    return aside


def _stratified(rows: Rows, size: int, seed: int) -> NDArray[np.bool_]:
    """Choose rows with scikit-learn; none if a class has a single row, which it refuses."""
    from sklearn.model_selection import train_test_split

    aside = np.zeros(len(rows), dtype=bool)
    if rows.counts[rows.counts > 0].min() >= 2:
        _, cut = train_test_split(
            np.arange(len(rows)), test_size=size, random_state=seed, shuffle=True, stratify=rows.labels
        )
        aside[cut] = True
    return aside


def _refuse_rare_classes(train: Split, groups: NDArray[np.int64], cut: tuple[str, ...], together: Together) -> None:
    """Refuse classes with fewer rows, or fewer rows that are not kept together, than there will be splits."""
    needed = 1 + len(cut)
    if together.column is not None and int(groups.max()) + 1 < needed:
        raise DataError(
            f"The {len(train):,} training rows have {counted(int(groups.max()) + 1, 'group')} by {quoted(together.column)}; cutting "
            f"{' and '.join(cut)} from them needs at least {needed}, since {together.rule}.\n"
            + together.advice("bring rows of more groups", "name another column with --group-column")
        )
    different = Rows(train.task.strata(train.label_ids), groups, len(train.labels)).groups_of(
        np.ones(len(train), dtype=bool)
    )
    rare = [label for label, count in zip(train.labels, different.tolist(), strict=True) if count < needed]
    if not rare:
        return
    label = min(rare, key=lambda label: train.counts[label] >= needed)  # too few rows is the plainer reason
    count = train.counts[label]
    others = f" (and {counted(len(rare) - 1, 'more class', 'more classes')} like it)" if len(rare) > 1 else ""
    has, of, why = counted(count, "row"), "", ""
    if count >= needed and together.column is not None:
        found = int(different[train.labels.index(label)])
        has += f" in {counted(found, 'group')} by {quoted(together.column)}"
        of, why = " groups", f", since {together.rule}"
    elif count >= needed:
        texts = int(different[train.labels.index(label)])
        has += f" of {counted(texts, 'different text')} (nearly equal ones count as one)"
        of, why = " different texts", f", since copies stay {together.where}"
    raise DataError(
        f"The class {quoted(label)} has {has}{others}; cutting {' and '.join(cut)} from the "
        f"training rows needs at least {needed}{of} of every class{why}.\n"
        + together.advice("bring more rows of it", "leave it out")
    )


def _note(train: Split, name: str, found: int, asked: int, seed: int, together: Together) -> str:
    off = abs(found - asked) > ROWS_TOLERANCE * asked
    asked_for = f"; {asked:,} were asked for, but {together.subject.lower()} stay together" if off else ""
    return (
        f"No {name} split was given: {found:,} of the {len(train):,} training rows were set aside for it "
        f"(stratified, seed {seed}{asked_for})."
    )


def _notes_on_classes(rows: Rows, labels: tuple[str, ...], name: str, aside: NDArray[np.bool_]) -> Iterator[str]:
    """Yield a note on the classes whose share of a cut deviates from their share of the rows."""
    found = rows.counts_of(aside)
    share = rows.counts * found.sum() / len(rows)
    off = np.flatnonzero(np.abs(found - share) > np.maximum(CLASS_TOLERANCE * share, CLASS_ROWS))
    if len(off):
        named = ", ".join(
            f"{quoted(labels[label])} has {found[label]:,} for {share[label]:.0f}" for label in off[:_MOST_NAMED]
        )
        more = f", and {len(off) - _MOST_NAMED:,} more" if len(off) > _MOST_NAMED else ""
        yield f"Copies stay together, so some classes of {name} deviate from their share: {named} expected{more}."


def _notes_on_groups(
    groups: NDArray[np.int64], rows: Mapping[str, NDArray[np.int64]], together: Together
) -> Iterator[str]:
    sizes = np.bincount(groups)
    several = sizes[sizes > 1]
    if not len(several):
        return
    where = next(
        name for name, chosen in rows.items() if int(np.flatnonzero(sizes == sizes.max())[0]) in groups[chosen]
    )
    large = f"; the largest has {int(sizes.max()):,} rows, all in {where}"
    what = (
        "equal or nearly equal texts"
        if together.column is None
        else f"several rows, by {quoted(together.column)} or since they hold copies"
    )
    yield (
        f"{together.subject} were kept together: {counted(int(several.sum()), 'row')} are in {counted(len(several), 'group')} of {what}, "
        f"each in one split{large if sizes.max() >= LARGE_GROUP * len(groups) else ''}."
    )


def _notes_on_shares(splits: Mapping[str, Split], rows: Mapping[str, NDArray[np.int64]]) -> Iterator[str]:
    """Yield the share of every class in each split, which whole groups may keep from being equal."""
    names = [name for name in ("train", "validation", "test") if name in rows]
    counts = {name: splits[name].counts for name in names}
    labels = list(counts[names[0]])
    shares = (
        f"{quoted(label)} " + " / ".join(f"{100 * counts[name][label] / len(splits[name]):.1f}" for name in names)
        for label in labels[:_MOST_SHARES]
    )
    more = f", and {len(labels) - _MOST_SHARES:,} more classes" if len(labels) > _MOST_SHARES else ""
    yield f"Shares of the classes in {' / '.join(names)}, in %: {', '.join(shares)}{more}."

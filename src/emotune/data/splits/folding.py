"""Folds for cross-validation: every row is scored exactly once per repeat, by a model that has not seen it.

Each fold has three parts: the rows that are scored, and from the others a part for validation, on which epochs and
everything else are chosen, and a part for training. The rows of one group, and copies, are in one part.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Fold, Split
from emotune.data.splits.splitting import LARGEST_FACTOR, Together, cut_splits
from emotune.system.errors import DataError
from emotune.system.wording import counted, quoted

# Assignments of groups to folds that are tried for each repeat; the most even one is taken.
TRIES = 20
_MOST_SHARES = 12


@dataclass(frozen=True, eq=False)
class Folding:
    """Result of making folds.

    Attributes:
        repeats: For each repeat its folds.
        notes: Notes, one sentence each.
    """

    repeats: tuple[tuple[Fold, ...], ...]
    notes: tuple[str, ...]


def make_folds(
    rows: Split,
    folds: int,
    repeats: int,
    *,
    validation_size: float,
    seed: int,
    groups: NDArray[np.int64],
    together: Together,
) -> Folding:
    """Assign rows to folds, stratified, as often as there are repeats.

    Args:
        rows: All rows.
        folds: Number of folds.
        repeats: Number of assignments.
        validation_size: Share of a fold's training rows that is set aside for validation.
        seed: Chooses the assignments and the parts for validation.
        groups: Shape (rows,), the same number for rows that stay together.
        together: What the groups are.

    Raises:
        DataError: There are fewer groups than folds; a class has too few rows or groups to be in every fold; or a
            fold's training rows are too few to set a part aside.
    """
    numbers = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    _refuse_few(rows, numbers, folds, validation_size, together)
    found = []
    for repeat in range(repeats):
        of_row = _assigned(rows, numbers, folds, (seed, repeat))
        _refuse_lost(rows, numbers, of_row, folds, together)
        found.append(
            tuple(
                _fold(rows, numbers, of_row == fold, validation_size, _state(seed, repeat, fold), together, fold, folds)
                for fold in range(folds)
            )
        )
    return Folding(tuple(found), tuple(_notes(rows, numbers, found, seed, together)))


def _state(*parts: int) -> int:
    """Return a seed of scikit-learn from several numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _assigned(rows: Split, groups: NDArray[np.int64], folds: int, seed: Sequence[int]) -> NDArray[np.int64]:
    """Return the fold of each row, from 0: that of scikit-learn, or the most even of several with groups."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    strata = rows.task.strata(rows.label_ids)
    if groups.max() + 1 == len(rows):
        if np.bincount(strata).max() < folds:  # each combination of labels is rare: there are no strata to keep
            strata = np.zeros_like(strata)
        splitter = StratifiedKFold(folds, shuffle=True, random_state=_state(*seed))
        return _numbered(len(rows), (part for _, part in _quietly(splitter.split(strata, strata))))
    candidates = (
        _numbered(
            len(rows),
            (
                part
                for _, part in _quietly(
                    StratifiedGroupKFold(folds, shuffle=True, random_state=_state(*seed, number)).split(
                        strata, strata, groups
                    )
                )
            ),
        )
        for number in range(TRIES)
    )
    return min(candidates, key=lambda of_row: _unevenness(strata, of_row, folds))


def _quietly(parts: Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> Iterator[tuple[NDArray, NDArray]]:
    """Yield the parts without scikit-learn's warning of strata smaller than folds; classes are checked by their rows."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield from list(parts)


def _numbered(rows: int, parts: Iterator[NDArray[np.int64]]) -> NDArray[np.int64]:
    found = np.full(rows, -1, dtype=np.int64)
    for number, part in enumerate(parts):
        found[part] = number
    return found


def _unevenness(strata: NDArray[np.int64], of_row: NDArray[np.int64], folds: int) -> tuple[int, float]:
    """Return how far folds are from equal: strata that a fold lacks, and squared gaps in rows per stratum and in sum."""
    kinds = int(strata.max()) + 1
    counts = np.bincount(of_row * kinds + strata, minlength=folds * kinds).reshape(folds, kinds)
    due = np.bincount(strata, minlength=kinds) / folds
    gaps = (counts - due)[:, due > 0] ** 2 / due[due > 0]
    sizes = counts.sum(axis=1)
    return int((counts[:, due > 0] == 0).sum()), float(gaps.sum() + ((sizes - sizes.mean()) ** 2 / sizes.mean()).sum())


def _fold(
    rows: Split,
    groups: NDArray[np.int64],
    scored: NDArray[np.bool_],
    validation_size: float,
    seed: int,
    together: Together,
    number: int,
    folds: int,
) -> Fold:
    left = np.flatnonzero(~scored)
    try:
        cut = cut_splits(
            rows.take(left, "train"), {"validation": validation_size}, seed, groups[left], together=together
        )
    except DataError as error:
        raise DataError(
            f"Fold {number + 1} of {folds} leaves {counted(len(left), 'row')} to train on, of which validation cannot be cut.\n{error}"
        ) from None
    return Fold(left[cut.rows["train"]], left[cut.rows["validation"]], np.flatnonzero(scored))


def _refuse_few(rows: Split, groups: NDArray[np.int64], folds: int, validation_size: float, together: Together) -> None:
    """Refuse classes of fewer rows than folds, and fewer groups than folds and their validation need, however large."""
    rare = {label: count for label, count in rows.counts.items() if count < folds}
    if rare:
        label = min(rare, key=lambda name: rare[name])
        others = f" (and {counted(len(rare) - 1, 'more class', 'more classes')} like it)" if len(rare) > 1 else ""
        remedy = f"Use --folds {rare[label]}, bring" if rare[label] >= 2 else "Bring"
        raise DataError(
            f"The class {quoted(label)} has {counted(rare[label], 'row')}{others}, fewer than the {folds} folds, so some folds could not "
            f"score it.\n{remedy} more rows of it, or leave it out."
        )
    number = int(groups.max()) + 1
    # Beside the groups that a fold scores, there must be one to train on and one for validation.
    if number >= (4 if folds == 2 else folds):
        return
    kind = "texts" if together.column is None else "groups"
    parts = f"a fold needs some {kind} to score, others to validate on, and others to train on"
    if together.column is None:
        raise DataError(
            f"The {len(rows):,} rows are {counted(number, 'different text')}, too few for {folds} folds: {together.rule}, and {parts}.\n"
            "Use fewer folds, or bring more texts."
        )
    fewest = fewest_groups(validation_size)
    ways = ["bring rows of more groups", "name another column with --group-column"]
    if number >= fewest:
        ways = [f"use --folds {number}", *ways]
    raise DataError(
        f"The {len(rows):,} rows are {counted(number, 'group')} by {quoted(together.column)}, too few for {folds} folds: "
        f"{together.rule}, and {parts}.\n"
        f"Of equally large groups, folds need at least {fewest} (--folds {fewest}), with {validation_size:g} of the rows for validation. "
        f"{together.advice(*ways)}"
    )


def fewest_groups(validation_size: float) -> int:
    """Return how few equally large groups can be folded, in as many folds.

    A fold then scores one group and leaves the others, and validation may get at most twice the rows asked for
    (`LARGEST_FACTOR`), so that it gets one of them only if there are enough; one more is for training.

    Args:
        validation_size: Share of a fold's training rows that is set aside for validation.
    """
    return 1 + max(2, math.ceil(1 / (LARGEST_FACTOR * validation_size)))


def _refuse_lost(
    rows: Split, groups: NDArray[np.int64], of_row: NDArray[np.int64], folds: int, together: Together
) -> None:
    """Refuse folds that lack a class, since whole groups could not be dealt out so that each has one."""
    for fold in range(folds):
        counts = rows.take(np.flatnonzero(of_row == fold)).counts
        lost = [label for label, count in counts.items() if not count]
        if not lost:
            continue
        holding = [row for row in range(len(rows)) if rows.take([row]).counts[lost[0]]]
        units = len(np.unique(groups[holding]))
        what = "different texts" if together.column is None else f"groups by {quoted(together.column)}"
        raise DataError(
            f"The class {quoted(lost[0])} has {counted(len(holding), 'row')} in {units:,} {what}, and no way was found to have one "
            f"of them in each of {folds} folds: {together.rule}.\nUse fewer folds, bring more rows of it, or leave it out."
        )


def _notes(
    rows: Split, groups: NDArray[np.int64], repeats: Sequence[Sequence[Fold]], seed: int, together: Together
) -> Iterator[str]:
    folds = repeats[0]
    scored = [len(fold.scored) for repeat in repeats for fold in repeat]
    training = [len(fold.train) + len(fold.validation) for repeat in repeats for fold in repeat]
    validation = [len(fold.validation) for repeat in repeats for fold in repeat]
    times = f", {len(repeats)} times with other folds" if len(repeats) > 1 else ""
    yield (
        f"Every row is scored once in {len(folds)} folds{times} (stratified, seed {seed}): a fold scores {_span(scored)} rows, and of the "
        f"other {_span(training)} sets {_span(validation)} aside for validation."
    )
    sizes = np.bincount(groups)
    several = sizes[sizes > 1]
    if len(several):
        what = (
            "equal or nearly equal texts"
            if together.column is None
            else f"several rows, by {quoted(together.column)} or since they hold copies"
        )
        yield (
            f"{together.subject} are kept together: {counted(int(several.sum()), 'row')} are in {counted(len(several), 'group')} of "
            f"{what}, the largest of {int(sizes.max()):,} rows, each in one fold."
        )
        shares: dict[str, list[float]] = {label: [] for label in rows.labels}
        for repeat in repeats:
            for fold in repeat:
                part = rows.take(fold.scored)
                for label, count in part.counts.items():
                    shares[label].append(100 * count / len(part))
        named = [f"{quoted(label)} {min(found):.1f} to {max(found):.1f}" for label, found in shares.items()]
        more = f", and {len(named) - _MOST_SHARES:,} more classes" if len(named) > _MOST_SHARES else ""
        yield f"Shares of the classes in the folds, least to most, in %: {', '.join(named[:_MOST_SHARES])}{more}."


def _span(numbers: Sequence[int]) -> str:
    return f"{min(numbers):,}" if min(numbers) == max(numbers) else f"{min(numbers):,} to {max(numbers):,}"

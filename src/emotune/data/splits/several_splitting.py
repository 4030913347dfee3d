"""Cut missing splits from training rows with any number of labels, by iterative stratification with copies kept together.

K. Sechidis, G. Tsoumakas, I. Vlahavas, On the Stratification of Multi-Label Data, ECML PKDD 2011: the rarest label that
is left is dealt out first, each of its rows to the split that lacks most of it. Here whole groups are dealt out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.data.splits.splitting import COPIES, ROWS_TOLERANCE, Cut, Together
from emotune.system.errors import DataError
from emotune.system.wording import counted, listed, quoted


def cut_several(
    train: Split,
    sizes: Mapping[str, float],
    seed: int,
    groups: NDArray[np.int64],
    stay: NDArray[np.bool_],
    together: Together = COPIES,
) -> Cut:
    """Cut splits from the rows of a split, each label in its share; rows keep the order of their source.

    Args:
        train: The rows to cut from.
        sizes: For each split to cut its share of the rows.
        seed: Chooses the rows.
        groups: Shape (rows,), the same number for rows that must stay together.
        stay: Shape (rows,), rows that stay in training, in whole groups.
        together: What the groups are.

    Raises:
        DataError: A label has too few rows, or too few groups, to be in every split.
    """
    own = np.unique(groups, return_inverse=True)[1]
    free = ~np.isin(own, own[stay])
    needed = 1 + len(sizes)
    for at, label in enumerate(train.labels):
        found = len(np.unique(own[free & (train.label_ids[:, at] == 1)]))
        if found < needed:
            raise DataError(
                f"The label {quoted(label)} has {counted(train.counts[label], 'row')} ({found} that can be apart, since {together.rule}); "
                f"cutting {' and '.join(sizes)} from the training rows needs at least {needed} of every label.\n"
                "Bring more rows of it, leave it out, or give the splits as files."
            )
    names = ["train", *sizes]
    wanted = np.array([1 - sum(sizes.values()), *sizes.values()]) * len(train)
    place = _dealt(train.label_ids, own, wanted, np.flatnonzero(~free), seed)
    rows = {name: np.flatnonzero(place == number) for number, name in enumerate(names)}
    splits = {name: train.take(chosen, name) for name, chosen in rows.items()}
    lacking = [
        f"{quoted(label)} in {name}" for name, split in splits.items() for label, n in split.counts.items() if not n
    ]
    if lacking:
        raise DataError(
            f"The rows cannot be cut so that every split has every label: there is no {lacking[0]}, since {together.rule}.\n"
            "Bring more rows, change the sizes, or give the splits as files."
        )
    return Cut(splits, rows, tuple(_notes(train, rows, sizes, seed, stay, own, together)))


def _dealt(
    targets: NDArray[np.int8],
    groups: NDArray[np.int64],
    wanted: NDArray[np.float64],
    stay: NDArray[np.int64],
    seed: int,
) -> NDArray[np.int64]:
    """Return the number of each row's split, shape (rows,); 0 is training, where the rows of `stay` are."""
    count = int(groups.max()) + 1
    sizes = np.bincount(groups, minlength=count)
    labels = np.zeros((count, targets.shape[1]), dtype=np.int64)
    np.add.at(labels, groups, targets)
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    lack = wanted[:, None] / len(targets) * labels.sum(axis=0)  # of each label in each split
    have = np.zeros_like(lack)
    room = wanted.astype(np.float64).copy()
    place = np.full(count, -1)

    def put(group: int, split: int) -> None:
        place[group] = split
        lack[split] -= labels[group]
        have[split] += labels[group]
        room[split] -= sizes[group]

    for group in np.unique(groups[stay]):
        put(int(group), 0)
    left = np.where((place < 0)[:, None], labels, 0).sum(axis=0)
    while left.any():
        rarest = int(np.where(left > 0, left, left.max() + 1).argmin())
        coming = order[(place[order] < 0) & (labels[order, rarest] > 0)]
        for number, group in enumerate(coming):
            wants = lack[:, rarest].copy()
            without = have[:, rarest] == 0
            if len(coming) - number <= without.sum():  # the last ones go where the label would else be missing
                wants[~without] = -np.inf
            best = np.flatnonzero(wants == wants.max())
            put(int(group), max(best.tolist(), key=room.__getitem__))
            left -= labels[group]
    for group in order[place[order] < 0]:
        put(int(group), max(range(len(room)), key=room.__getitem__))
    return place[groups]


def _notes(
    train: Split,
    rows: Mapping[str, NDArray[np.int64]],
    sizes: Mapping[str, float],
    seed: int,
    stay: NDArray[np.bool_],
    groups: NDArray[np.int64],
    together: Together,
) -> list[str]:
    notes = []
    if stay.any():
        notes.append(
            f"{counted(int(stay.sum()), 'training row')} with a text or a group of a split that is given: kept in training."
        )
    for name, share in sizes.items():
        asked, found = round(share * len(train)), len(rows[name])
        off = f"; {asked:,} were asked for" if abs(found - asked) > ROWS_TOLERANCE * asked else ""
        notes.append(
            f"No {name} split was given: {found:,} of the {len(train):,} training rows were set aside for it "
            f"(stratified by labels, seed {seed}{off})."
        )
    several = np.bincount(groups)
    if (several > 1).any():
        notes.append(
            f"{together.subject} were kept together: {counted(int(several[several > 1].sum()), 'row')} are in "
            f"{counted(int((several > 1).sum()), 'group')}, each in one split."
        )
    few = [label for label, count in train.counts.items() if count < 10 * (1 + len(sizes))]
    if few:
        notes.append(f"Labels with few rows, whose scores vary much by chance: {listed(few)}.")
    return notes

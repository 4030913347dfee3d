"""Cut the splits that the data does not bring from its training rows: stratified, seeded, and said in a sentence."""

from __future__ import annotations

import numpy as np

from emotune.data.dataset import Split
from emotune.data.wording import counted, quoted
from emotune.errors import ConfigError, DataError


def cut_splits(train: Split, sizes: dict[str, float], seed: int) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Set rows of a split aside for others, each class in its share; rows keep the order of their source.

    Args:
        train: The rows to cut from.
        sizes: For each split to cut, in this order, its share of the rows of `train`: between 0 and 1, and less than 1
            in sum.
        seed: Chooses the rows; 0 to 2**32 - 1.

    Returns:
        The splits by name, "train" with what is left among them, and one note a split on what was done.

    Raises:
        ConfigError: The sizes are not shares that leave something to train on.
        DataError: A class, or the whole, has too few rows to be in every split.
    """
    if not all(0 < size < 1 for size in sizes.values()) or sum(sizes.values()) >= 1:
        given = ", ".join(f"{name}_size {size:g}" for name, size in sizes.items())
        raise ConfigError(f"The splits to cut ({given}) must each be more than 0, and together less than 1.")
    _refuse_rare_classes(train, tuple(sizes))
    splits = {"train": train}
    notes = []
    for name, share in sizes.items():
        size = round(share * len(train))
        splits["train"], splits[name] = _cut(splits["train"], name, size, seed)
        notes.append(
            f"No {name} split was given: {size:,} of the {len(train):,} training rows were set aside for it "
            f"(stratified, seed {seed})."
        )
    return splits, tuple(notes)


def _cut(train: Split, name: str, size: int, seed: int) -> tuple[Split, Split]:
    classes = sum(count > 0 for count in train.counts.values())
    too_few = DataError(
        f"{counted(len(train), 'row')} of {counted(classes, 'class', 'classes')} are too few to cut a {name} split of "
        f"{counted(size, 'row')} from. Bring more rows, change {name}_size, or give a {name} file of your own."
    )
    # What scikit-learn needs for stratifying: two rows of every class, and a row a class on both sides of the cut.
    if min(train.counts.values()) < 2 or not classes <= size <= len(train) - classes:
        raise too_few

    from sklearn.model_selection import train_test_split

    kept, cut = train_test_split(
        np.arange(len(train)), test_size=size, random_state=seed, shuffle=True, stratify=train.label_ids
    )
    left, aside = train.take(np.sort(kept)), train.take(np.sort(cut), name)
    if not all(left.counts.values()):
        raise too_few
    return left, aside


def _refuse_rare_classes(train: Split, cut: tuple[str, ...]) -> None:
    needed = 1 + len(cut)
    rare = {label: count for label, count in train.counts.items() if count < needed}
    if rare:
        label, count = next(iter(rare.items()))
        others = f" (and {counted(len(rare) - 1, 'more class', 'more classes')} like it)" if len(rare) > 1 else ""
        raise DataError(
            f"The class {quoted(label)} has {counted(count, 'row')}{others}; cutting {' and '.join(cut)} from the "
            f"training rows needs at least {needed} of every class.\n"
            "Bring more rows of it, leave it out, or give the splits as files."
        )

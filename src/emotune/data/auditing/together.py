"""Labels of rows with several: how many a row has, which come together, and which never come alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

LabelSets = Sequence[Sequence[str]]


@dataclass(frozen=True)
class PerRow:
    """Labels per row of one split.

    Attributes:
        rows: Number of rows.
        without: Rows without a label.
        several: Rows with more than one.
        most: The most labels of a row.
        mean: Labels per row.
    """

    rows: int
    without: int
    several: int
    most: int
    mean: float

    @classmethod
    def of(cls, sets: LabelSets) -> PerRow:
        """Count the labels of rows."""
        sizes = [len(names) for names in sets]
        return cls(
            rows=len(sizes),
            without=sizes.count(0),
            several=sum(size > 1 for size in sizes),
            most=max(sizes),
            mean=sum(sizes) / len(sizes),
        )


@dataclass(frozen=True)
class PairOfLabels:
    """Two labels that rows have together.

    Attributes:
        labels: The two, the rarer first.
        rows: Rows with both.
        of_first: Share of the first label's rows that have the second one too.
        by_chance: The rows with both that are expected if the labels were independent.
    """

    labels: tuple[str, str]
    rows: int
    of_first: float
    by_chance: float


@dataclass(frozen=True)
class Together:
    """Labels per row by split, and labels that come together in the training rows, or the first split without these.

    Attributes:
        per_row: Labels per row by split.
        split: The split of the pairs.
        pairs: Pairs of labels in its rows, the commonest first.
        never_alone: Labels whose rows all have another label too, with the number of these rows.
    """

    per_row: Mapping[str, PerRow]
    split: str
    pairs: tuple[PairOfLabels, ...]
    never_alone: Mapping[str, int]

    @classmethod
    def of(cls, sets: Mapping[str, LabelSets]) -> Together:
        """Count labels, and pairs of them.

        Args:
            sets: The labels of each row, by split; no split is empty.
        """
        split = "train" if "train" in sets else next(iter(sets))
        rows = sets[split]
        counts = Counter(chain.from_iterable(rows))
        alone = {names[0] for names in rows if len(names) == 1}
        pairs = Counter(pair for names in rows for pair in combinations(sorted(names), 2))
        return cls(
            per_row={name: PerRow.of(own) for name, own in sets.items()},
            split=split,
            pairs=tuple(_pair(pair, number, counts, len(rows)) for pair, number in _commonest(pairs)),
            never_alone={label: counts[label] for label in sorted(counts) if label not in alone},
        )


def _commonest(pairs: Counter[tuple[str, str]]) -> list[tuple[tuple[str, str], int]]:
    return sorted(pairs.items(), key=lambda found: (-found[1], found[0]))


def _pair(pair: tuple[str, str], number: int, counts: Mapping[str, int], rows: int) -> PairOfLabels:
    first, second = sorted(pair, key=lambda label: (counts[label], label))
    return PairOfLabels(
        (first, second), number, number / counts[first], by_chance=counts[first] * counts[second] / rows
    )

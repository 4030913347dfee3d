"""Words that give a class away: a model may learn them instead of what the labels mean, and fail where they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from emotune.data.audit import Row

# A word counts from this many rows on, and where at least this share of its rows has one label, sampling error allowed for.
LEAST_ROWS = 20
LEAST_SHARE = 0.9


@dataclass(frozen=True)
class Shortcut:
    """A word nearly all of whose rows have one label.

    Attributes:
        word: The word.
        label: The label.
        rows: Rows that hold the word.
        share: The share of them that has the label.
    """

    word: str
    label: str
    rows: int
    share: float


def find_shortcuts(rows: Sequence[Row]) -> tuple[Shortcut, ...]:
    """Words whose rows nearly all have one label, the commonest first.

    The share counts by the lower end of its 95 % interval (Wilson), so that rare words do not qualify by chance.

    Args:
        rows: Training rows.
    """
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import CountVectorizer

    names = sorted({row.label for row in rows})
    if len(names) < 2:
        return ()
    vectorizer = CountVectorizer(binary=True, token_pattern=r"(?u)\w+|[^\w\s]+")
    held = vectorizer.fit_transform([row.text for row in rows])
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.fromiter((numbers[row.label] for row in rows), np.int64, len(rows))
    is_label = csr_array((np.ones(len(rows), np.int64), (np.arange(len(rows)), labels)), shape=(len(rows), len(names)))
    by_label = (held.T @ is_label).toarray()  # (words, labels)
    total = by_label.sum(axis=1)
    best = by_label.argmax(axis=1)
    share = by_label.max(axis=1) / total
    z2 = 1.959964**2
    reach = np.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    low = (share + z2 / (2 * total) - np.sqrt(z2) * reach) / (1 + z2 / total)
    words = vectorizer.get_feature_names_out()
    chosen = np.flatnonzero((total >= LEAST_ROWS) & (low >= LEAST_SHARE))
    chosen = chosen[np.argsort(-total[chosen], kind="stable")]
    return tuple(Shortcut(str(words[i]), names[best[i]], int(total[i]), float(share[i])) for i in chosen)

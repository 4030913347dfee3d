"""Texts that repeat, wholly or nearly, found in linear time.

Three kinds, from strict to loose:

- exact: the same characters;
- trivial: the same words, once case, punctuation and spaces are left out;
- near: one word changed, added or left out; or, in longer texts, mostly the same pairs of words; or a chain of such steps.

One changed word is found without comparing pairs: a text of n words has n versions with one word left out, and two texts that
differ in one word share such a version. The versions' hashes come from the text's own by arithmetic on prefixes (R. Karp,
M. Rabin, IBM Journal 31, 1987), so all of them cost as much as reading the text. More than one changed word is found by MinHash of word
pairs (A. Broder, SEQUENCES 1997) in bands, and then checked.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Texts of fewer words than this are not near duplicates when one word differs: "i feel happy" is not "i feel sad".
LEAST_WORDS = 7
# Share of word pairs that two longer texts have in common, of all that either has.
LEAST_OVERLAP = 0.7

_BASE = np.uint64(0x9E3779B97F4A7C15 | 1)  # odd, so that it can be divided by modulo 2**64
_INVERSE = np.uint64(pow(int(_BASE), -1, 2**64))
_BANDS, _ROWS_A_BAND = 16, 4


# Letters, digits and the marks on them make words; symbols (emoji, and signs such as + or =) stand as words of their own, since
# they carry meaning; punctuation and spaces do not count.
_PART_OF_WORD, _SYMBOL = frozenset("LNM"), frozenset("S")
# Smileys made of punctuation.
_SMILEY = re.compile(r"[:;=][-o*']?[)(\]\[dDpP/\\|3*]|<3")
_APOSTROPHES = frozenset("'\u2019")


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; symbols and smileys count as words, apostrophes inside words do not."""
    found: list[str] = []
    for chunk in unicodedata.normalize("NFC", text).split():
        if _SMILEY.fullmatch(chunk):
            found.append(chunk)
            continue
        if chunk.isalnum():  # most of them, quickly
            found.append(chunk.casefold())
            continue
        word = ""
        for character in chunk:
            kind = unicodedata.category(character)[0]
            if kind in _PART_OF_WORD:
                word += character
            elif character in _APOSTROPHES and word:
                continue
            else:
                if word:
                    found.append(word.casefold())
                word = ""
                if kind in _SYMBOL:
                    found.append(character)
        if word:
            found.append(word.casefold())
    return found


@dataclass(frozen=True, eq=False)
class Groups:
    """Texts put together: those that share a number belong to one group.

    Attributes:
        exact: Shape (texts,), the number of each text's group; a group's number is its first text's.
        trivial: The same for texts that differ in case, punctuation and spaces only; exact groups lie inside.
        near: The same for texts that are nearly alike; trivial groups lie inside.
        words: Shape (texts,), words a text.
    """

    exact: NDArray[np.int64]
    trivial: NDArray[np.int64]
    near: NDArray[np.int64]
    words: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Groups:
        """The groups of some of the texts, in the given order.

        Args:
            rows: Numbers of texts, counted from 0, each at most once.
        """
        exact, trivial, near = (_renumbered(groups[rows]) for groups in (self.exact, self.trivial, self.near))
        return Groups(exact, trivial, near, self.words[rows])


@dataclass(frozen=True, eq=False)
class KnownGroups:
    """Groups found already, and the texts in which: whoever has the same texts need not search again.

    Attributes:
        texts: The texts, part after part, such as the splits of a data set.
        groups: Which of them repeat, all parts in one row.
    """

    texts: tuple[tuple[str, ...], ...]
    groups: Groups

    def of(self, texts: Sequence[tuple[str, ...]]) -> Groups | None:
        """The groups, if these are the very tuples that were searched; None otherwise."""
        same = len(texts) == len(self.texts) and all(a is b for a, b in zip(texts, self.texts, strict=True))
        return self.groups if same else None


def find_duplicates(texts: Sequence[str]) -> Groups:
    """Group texts that repeat.

    Time and memory grow with the number of words, not with the number of pairs.

    Args:
        texts: The texts.
    """
    exact = _first_of_each(texts)
    split = [[sys.intern(word) for word in words(text)] for text in texts]
    # What has no words at all stands for itself.
    trivial = _first_of_each([" ".join(found) or text for found, text in zip(split, texts, strict=True)])
    representatives = np.unique(trivial)
    table = _WordTable.of([split[row] for row in representatives])
    union = _Union(len(representatives))
    union.join(*_sharing_a_version(table))
    union.join(*_sharing_word_pairs(table, union.roots()))
    near = np.arange(len(texts))
    near[representatives] = representatives[union.roots()]
    counts = np.fromiter((len(found) for found in split), np.int64, len(split))
    return Groups(exact, trivial, near[trivial], counts)


def _first_of_each(keys: Sequence[str]) -> NDArray[np.int64]:
    first: dict[str, int] = {}
    return np.fromiter((first.setdefault(key, row) for row, key in enumerate(keys)), np.int64, len(keys))


def _renumbered(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Name each group by the place of its first text."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return first[group].astype(np.int64)


@dataclass(frozen=True, eq=False)
class _WordTable:
    """All words of all texts in one row.

    Attributes:
        words: Shape (words,), a random 64-bit number for each distinct word.
        text: Shape (words,), the text that each belongs to.
        starts: Shape (texts,), where each text begins.
        lengths: Shape (texts,), words a text.
    """

    words: NDArray[np.uint64]
    text: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> _WordTable:
        numbers: dict[str, int] = {}
        flat = np.fromiter((numbers.setdefault(word, len(numbers)) for text in texts for word in text), np.int64)
        lengths = np.fromiter((len(text) for text in texts), np.int64, len(texts))
        codes = np.random.default_rng(0).integers(1, 2**64, size=len(numbers), dtype=np.uint64)
        starts = np.cumsum(lengths) - lengths
        return cls(codes[flat], np.repeat(np.arange(len(texts)), lengths), starts, lengths)


def _sharing_a_version(table: _WordTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of texts that are the same once one word is left out of one of them, or of both."""
    place = np.arange(len(table.words)) - table.starts[table.text]
    terms = table.words * _powers(int(table.lengths.max(initial=0)))[place]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    before = sums[:-1] - sums[table.starts][table.text]  # the words before this one
    ends = table.starts + table.lengths
    after = sums[ends][table.text] - sums[1:]  # those after it, which move up by one place
    without = before + after * _INVERSE
    whole = sums[ends] - sums[table.starts]
    long = table.lengths >= LEAST_WORDS
    shortened = long[table.text]
    # One word left out of a text of the least length leaves one less.
    complete = table.lengths >= LEAST_WORDS - 1
    keys = np.concatenate([whole[complete], without[shortened]])
    owners = np.concatenate([np.flatnonzero(complete), table.text[shortened]])
    # Texts of unlike lengths cannot share a version by chance: the length goes into the key.
    sizes = np.concatenate([table.lengths[complete], (table.lengths - 1)[table.text[shortened]]])
    return _neighbours(keys ^ (sizes.astype(np.uint64) * _BASE), owners)


def _sharing_word_pairs(table: _WordTable, known: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of longer texts most of whose pairs of neighbouring words are the same.

    Args:
        table: The words.
        known: Shape (texts,), groups found already, which are not looked at again.
    """
    inside = np.flatnonzero(np.diff(table.text) == 0)
    inside = inside[table.lengths[table.text[inside]] >= 2 * LEAST_WORDS]
    if not len(inside):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    pairs = table.words[inside] * _BASE + table.words[inside + 1]
    owners, starts = np.unique(table.text[inside], return_index=True)
    random = np.random.default_rng(1)
    signature = np.empty((len(owners), _ROWS_A_BAND), np.uint64)
    found = []
    for _ in range(_BANDS):
        for row in range(_ROWS_A_BAND):
            a, b = random.integers(1, 2**64, size=2, dtype=np.uint64)
            mixed = (pairs ^ (pairs >> np.uint64(29))) * (a | np.uint64(1)) + b
            signature[:, row] = np.minimum.reduceat(mixed ^ (mixed >> np.uint64(32)), starts)
        key = (signature * _powers(_ROWS_A_BAND)).sum(axis=1, dtype=np.uint64)
        found.append(_neighbours(key, owners))
    one, other = (np.concatenate(side) for side in zip(*found, strict=True))
    new = known[one] != known[other]
    candidates = np.unique(np.column_stack([one[new], other[new]]), axis=0)
    stops = np.append(starts[1:], len(pairs))
    where = {int(owner): (int(start), int(stop)) for owner, start, stop in zip(owners, starts, stops, strict=True)}
    alike = [
        _overlap(pairs[slice(*where[int(a)])], pairs[slice(*where[int(b)])]) >= LEAST_OVERLAP for a, b in candidates
    ]
    chosen = candidates[np.asarray(alike, dtype=bool)]
    return chosen[:, 0], chosen[:, 1]


def _overlap(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    shared = len(np.intersect1d(one, other))
    return shared / (len(np.unique(one)) + len(np.unique(other)) - shared)


def _neighbours(keys: NDArray[np.uint64], owners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of owners with the same key, each with the next: a chain, so that a thousand alike give a thousand pairs."""
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    same = np.flatnonzero((keys[1:] == keys[:-1]) & (owners[1:] != owners[:-1]))
    return owners[same], owners[same + 1]


def _powers(count: int) -> NDArray[np.uint64]:
    """1, B, B squared, ... modulo 2**64."""
    return np.concatenate([np.ones(1, np.uint64), np.cumprod(np.full(max(0, count - 1), _BASE), dtype=np.uint64)])[
        : max(count, 1)
    ]


class _Union:
    """Sets that are joined; each is named by its least member."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._edges: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def join(self, ones: NDArray[np.int64], others: NDArray[np.int64]) -> None:
        self._edges.append((ones, others))

    def roots(self) -> NDArray[np.int64]:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        ones, others = (np.concatenate(side) for side in zip(*self._edges, strict=True))
        graph = coo_array((np.ones(len(ones), np.int8), (ones, others)), shape=(self._size, self._size))
        _, component = connected_components(graph, directed=False)
        least = np.full(component.max(initial=0) + 1, self._size, np.int64)
        np.minimum.at(least, component, np.arange(self._size))
        return least[component]

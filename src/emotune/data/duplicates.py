"""Find texts that repeat, exactly or nearly, in linear time.

Three kinds, from strict to loose:

- exact: the same characters;
- trivial: the same words, ignoring case, punctuation and spaces;
- near: the same, ignoring retweet markers at the beginning, user names (@name) and web addresses;
  or one word changed, added or left out; or at most two typing errors (a character changed, added, left out, or
  swapped with the next); or, in longer texts, mostly the same pairs of words; or a chain of such steps.

In texts of fewer than seven words only the retweet marker is ignored, since there another word makes another text.
Scripts without spaces between words (Chinese, Japanese, Thai and similar) are compared character by character. Each
character counts as half a word or a quarter of one; texts of fewer than seven words by this count are not split.
Texts that are one word apart are near even if that word decides the label ("happy", "sad"). Near repeats are
for people to judge, and are kept together when splits are cut, since a model that knows one of them is helped with
the other. Two other words in a text of fewer than fourteen, or the words in another order, make another text.

One changed word is found without comparing pairs. A text of n words has n versions with one word left out, and two
texts that differ in one word share such a version. The versions' hashes are computed from the text's own hash with
prefix sums (R. Karp, M. Rabin, IBM Journal 31, 1987), so all of them cost as much as reading the text. More than one
changed word is found by MinHash of word pairs (A. Broder, SEQUENCES 1997) in bands, and then checked. Typing errors
rarely change first letters: texts whose words begin with the same letters, with one word left out, are candidates.
Their characters are then compared (restricted Damerau-Levenshtein distance). Some repeats are missed: those with
two errors in first letters, and those whose candidates are shared by very many texts.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emotune.system.pairs import sides_of

# Texts of fewer words than this are not near duplicates if one word differs: "i feel happy" is not "i feel sad".
LEAST_WORDS = 7
# Least share of word pairs that two longer texts must have in common, of all pairs in either.
LEAST_OVERLAP = 0.7

_BASE = np.uint64(0x9E3779B97F4A7C15 | 1)  # odd, so that it has an inverse modulo 2**64
_INVERSE = np.uint64(pow(int(_BASE), -1, 2**64))
_BANDS, _ROWS_PER_BAND = 16, 4
# Most typing errors between two near texts.
MOST_TYPOS = 2
# Number of neighbours in a list of candidates with which each text is compared.
_WINDOW = 6
_BINS = 32
# Characters of scripts without spaces between words: Han, Kana and Bopomofo, with about two characters per word; Thai,
# Lao, Burmese and Khmer, with about four.
_HALVES = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_QUARTERS = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"
_HALF, _QUARTER = re.compile(f"[{_HALVES}]"), re.compile(f"[{_QUARTERS}]")
_CHARACTERS = re.compile(f"[{_HALVES}{_QUARTERS}]|[^{_HALVES}{_QUARTERS}]+")

# Marker before a retweet; several if it was retweeted again.
_RETWEET = re.compile(r"[\s\"'\u201c]*(?:RT\b[\s:]*@\w+[\s:]*)+", re.IGNORECASE)
# User names and addresses, and the placeholders that data sets use for them.
_MENTION = re.compile(r"(?<![\w@.])@\w+|\bhttps?://\S+|\bwww\.\S+|\bhttp\b|\bHTTPURL\b")


# Letters, digits and the marks on them make words. Symbols (emoji, and signs such as + or =) are words of their own,
# since they carry meaning. Punctuation and spaces are ignored.
_PART_OF_WORD, _SYMBOL = frozenset("LNM"), frozenset("S")
# Smileys made of punctuation.
_SMILEY = re.compile(r"[:;=][-o*']?[)(\]\[dDpP/\\|3*]|<3")
_APOSTROPHES = frozenset("'\u2019")


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation and apostrophes; symbols and smileys are words."""
    found: list[str] = []
    for chunk in unicodedata.normalize("NFC", text).split():
        found += _kept_words(chunk) if len(chunk) <= _LONGEST_KEPT else _chunk_words(chunk)
    return found


def _chunk_words(chunk: str) -> tuple[str, ...]:
    """Return the words of a chunk of text between spaces."""
    if _SMILEY.fullmatch(chunk):
        return (sys.intern(chunk),)
    if chunk.isalnum():  # most chunks; fast
        return (sys.intern(chunk.casefold()),)
    found: list[str] = []
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
    return tuple(map(sys.intern, found))


# Few chunks make up most of a text, so each is taken apart once. Long ones are rare, and would take memory.
_LONGEST_KEPT = 32
_kept_words = lru_cache(1 << 16)(_chunk_words)


def single_words(text: str) -> list[str]:
    """Return the words of a text without user names and addresses; of scripts without spaces, single characters."""
    found: list[str] = []
    for word in words(_MENTION.sub(" ", text)):
        found += [word] if word.isascii() else _CHARACTERS.findall(word)
    return found


def trivial_key(text: str) -> str:
    """Return the text without case, punctuation and spaces: equal for texts of one trivial group."""
    return " ".join(words(text)) or text


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of texts: texts with the same number belong to one group.

    Attributes:
        exact: Shape (texts,), the group of each text; a group's number is that of its first text.
        trivial: The same for texts that differ only in case, punctuation and spaces; exact groups lie inside.
        near: The same for texts that are nearly equal; trivial groups lie inside.
        words: Shape (texts,), words per text.
    """

    exact: NDArray[np.int64]
    trivial: NDArray[np.int64]
    near: NDArray[np.int64]
    words: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Groups:
        """Return the groups of some of the texts, in the given order.

        Args:
            rows: Indices of texts, counted from 0, each at most once.
        """
        exact, trivial, near = (_renumbered(groups[rows]) for groups in (self.exact, self.trivial, self.near))
        return Groups(exact, trivial, near, self.words[rows])


@dataclass(frozen=True, eq=False)
class KnownGroups:
    """Groups found already, with the texts that were searched, so that the same texts are not searched again.

    Attributes:
        texts: The texts, part after part, such as the splits of a data set.
        groups: The groups, over all parts one after another.
    """

    texts: tuple[tuple[str, ...], ...]
    groups: Groups

    def of(self, texts: Sequence[tuple[str, ...]]) -> Groups | None:
        """Return the groups if these are the very tuples that were searched, else None."""
        same = len(texts) == len(self.texts) and all(a is b for a, b in zip(texts, self.texts, strict=True))
        return self.groups if same else None


def find_duplicates(texts: Sequence[str]) -> Groups:
    """Group texts that repeat.

    Time and memory grow with the number of words, not with the number of pairs.

    Args:
        texts: The texts. Pairs of texts are equal, or nearly equal, if both sides are.
    """
    firsts, seconds = sides_of(texts)
    if seconds is not None:
        return _both(find_duplicates(firsts), find_duplicates(seconds))
    exact = _first_of_each(texts)
    split = [words(text) for text in texts]
    counts = np.fromiter((len(found) for found in split), np.int64, len(split))
    # A text without words is its own key.
    trivial = _first_of_each([" ".join(found) or text for found, text in zip(split, texts, strict=True)])
    representatives = np.unique(trivial)
    compared = [_compared(texts[row], split[row]) for row in representatives]
    keys = [" ".join(found) or texts[row] for found, row in zip(compared, representatives, strict=True)]
    same = _first_of_each(keys)
    chosen = np.unique(same)
    table = _WordTable.of([compared[place] for place in chosen])
    del split, compared  # they take as much memory as the table
    union = _Union(len(chosen))
    union.join(*_sharing_a_version(table))
    union.join(*_sharing_word_pairs(table, union.roots()))
    union.join(*_sharing_first_letters(table, [keys[place] for place in chosen], union.roots()))
    near = np.arange(len(texts))
    near[representatives] = representatives[chosen[union.roots()][np.searchsorted(chosen, same)]]
    return Groups(exact, trivial, near[trivial], counts)


def _both(first: Groups, second: Groups) -> Groups:
    """Return the groups of pairs whose first texts are in one group and whose second texts are in one."""

    def joined(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
        return _renumbered(one * max(1, len(other)) + other)

    return Groups(
        joined(first.exact, second.exact),
        joined(first.trivial, second.trivial),
        joined(first.near, second.near),
        first.words + second.words,
    )


def _compared(text: str, found: list[str]) -> list[str]:
    """Return the words by which a text is compared for near repeats.

    Args:
        text: The text.
        found: All its words.
    """
    if "@" not in text and "http" not in text and "www." not in text and "HTTPURL" not in text:
        return _taken_apart(found)
    marker = _RETWEET.match(text)
    if marker:
        text = text[marker.end() :]
    without = _taken_apart(words(_MENTION.sub(" ", text)))
    if len(without) >= LEAST_WORDS:
        return without
    return _taken_apart((words(text) if marker else found) or found)


def _taken_apart(found: list[str]) -> list[str]:
    """Split words of scripts without spaces into characters, if that gives enough words; else return the words."""
    joined = "".join(found)
    if joined.isascii():
        return found
    halves, quarters = len(_HALF.findall(joined)), len(_QUARTER.findall(joined))
    if halves / 2 + quarters / 4 < LEAST_WORDS:
        return found
    return [sys.intern(part) for word in found for part in _CHARACTERS.findall(word)]


def _first_of_each(keys: Sequence[str]) -> NDArray[np.int64]:
    first: dict[str, int] = {}
    return np.fromiter((first.setdefault(key, row) for row, key in enumerate(keys)), np.int64, len(keys))


def _renumbered(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number each group by the index of its first text."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return first[group].astype(np.int64)


@dataclass(frozen=True, eq=False)
class _WordTable:
    """All words of all texts, one after another.

    Attributes:
        words: Shape (words,), a random 64-bit number for each distinct word.
        letters: Shape (words,), a random 64-bit number for each distinct first letter.
        text: Shape (words,), the text of each word.
        starts: Shape (texts,), the index of each text's first word.
        lengths: Shape (texts,), words per text.
    """

    words: NDArray[np.uint64]
    letters: NDArray[np.uint64]
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
        first = np.fromiter((ord(word[0]) for word in numbers), np.int64, len(numbers))
        letters = np.random.default_rng(2).integers(1, 2**64, size=int(first.max(initial=0)) + 1, dtype=np.uint64)
        return cls(codes[flat], letters[first][flat], np.repeat(np.arange(len(texts)), lengths), starts, lengths)


def _sharing_a_version(table: _WordTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs of texts that are equal after leaving out one word of one of them, or of both."""
    return _neighbours(*_versions(table, table.words))


def _versions(table: _WordTable, codes: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return a key for each text and for each of its versions with one word left out, and the text of each key.

    Args:
        table: The words.
        codes: Shape (words,), the number that represents each word.
    """
    place = np.arange(len(codes)) - table.starts[table.text]
    terms = codes * _powers(int(table.lengths.max(initial=0)))[place]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    before = sums[:-1] - sums[table.starts][table.text]  # the words before this one
    ends = table.starts + table.lengths
    after = sums[ends][table.text] - sums[1:]  # the words after it, which move by one place
    del place, terms  # each array has a number for every word of the data
    after *= _INVERSE
    without = before + after
    del before, after
    whole = sums[ends] - sums[table.starts]
    long = table.lengths >= LEAST_WORDS
    shortened = long[table.text]
    # A text of the least length with one word left out has one word fewer.
    complete = table.lengths >= LEAST_WORDS - 1
    keys = np.concatenate([whole[complete], without[shortened]])
    owners = np.concatenate([np.flatnonzero(complete), table.text[shortened]])
    # The length goes into the key, so that texts of different lengths cannot share a version by chance.
    sizes = np.concatenate([table.lengths[complete], (table.lengths - 1)[table.text[shortened]]])
    return keys ^ (sizes.astype(np.uint64) * _BASE), owners


def _sharing_first_letters(
    table: _WordTable, texts: Sequence[str], known: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs of texts a few typing errors apart whose words, all but one, have the same first letters.

    Args:
        table: The words.
        texts: The words of each text, joined by spaces.
        known: Shape (texts,), groups found already; pairs inside a group are skipped.
    """
    keys, owners = _versions(table, table.letters)
    order = np.argsort(keys)
    keys, owners = keys[order], owners[order]
    alike = keys[1:] == keys[:-1]
    held = np.flatnonzero(np.append(alike, False) | np.insert(alike, 0, False)) if len(keys) else np.empty(0, np.int64)
    keys, owners = keys[held], owners[held]
    lengths = np.fromiter((len(text) for text in texts), np.int64, len(texts))
    long = table.lengths >= LEAST_WORDS
    found = [np.empty(0, np.int64)]
    for step in range(1, _WINDOW + 1):
        one, other = owners[:-step], owners[step:]
        good = (keys[:-step] == keys[step:]) & (known[one] != known[other])
        good &= np.abs(lengths[one] - lengths[other]) <= MOST_TYPOS
        good &= long[one] | long[other]
        low, high = np.minimum(one[good], other[good]), np.maximum(one[good], other[good])
        found.append(np.unique(low * len(texts) + high))
    pairs = np.unique(np.concatenate(found))
    one, other = pairs // max(1, len(texts)), pairs % max(1, len(texts))
    near = _alike_in_characters(texts, one, other)
    one, other = one[near], other[near]
    close = [_within(texts[a], texts[b], MOST_TYPOS) for a, b in zip(one.tolist(), other.tolist(), strict=True)]
    chosen = np.asarray(close, dtype=bool)
    return one[chosen], other[chosen]


def _alike_in_characters(texts: Sequence[str], one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each pair whether its texts have nearly the same characters in any order, before a costlier check."""
    concerned, places = np.unique(np.concatenate([one, other]), return_inverse=True)
    counts = np.zeros((len(concerned), _BINS), np.int32)
    for row, text in enumerate(concerned.tolist()):
        letters = np.frombuffer(texts[text].encode("utf-32-le", "surrogatepass"), np.uint32) % _BINS
        counts[row] = np.bincount(letters, minlength=_BINS)
    apart = np.abs(counts[places[: len(one)]] - counts[places[len(one) :]]).sum(axis=1)
    return np.asarray(apart <= 2 * MOST_TYPOS)


def _within(one: str, other: str, most: int) -> bool:
    """Return whether at most `most` characters changed, added, left out or swapped with the next separate two texts."""
    start, shorter = 0, min(len(one), len(other))
    while start < shorter and one[start] == other[start]:
        start += 1
    end = 0
    while end < shorter - start and one[-1 - end] == other[-1 - end]:
        end += 1
    one, other = one[start : len(one) - end], other[start : len(other) - end]
    if not one or not other:
        return len(one) + len(other) <= most
    if most == 0 or abs(len(one) - len(other)) > most:
        return False
    swapped = len(one) > 1 and len(other) > 1 and one[0] == other[1] and one[1] == other[0]
    return (
        (swapped and _within(one[2:], other[2:], most - 1))
        or _within(one[1:], other[1:], most - 1)
        or _within(one[1:], other, most - 1)
        or _within(one, other[1:], most - 1)
    )


def _sharing_word_pairs(table: _WordTable, known: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs of longer texts that share most of their pairs of neighbouring words.

    Args:
        table: The words.
        known: Shape (texts,), groups found already; pairs inside a group are skipped.
    """
    inside = np.flatnonzero(np.diff(table.text) == 0)
    inside = inside[table.lengths[table.text[inside]] >= 2 * LEAST_WORDS]
    if not len(inside):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    pairs = table.words[inside] * _BASE + table.words[inside + 1]
    owners, starts = np.unique(table.text[inside], return_index=True)
    random = np.random.default_rng(1)
    signature = np.empty((len(owners), _ROWS_PER_BAND), np.uint64)
    found = []
    for _ in range(_BANDS):
        for row in range(_ROWS_PER_BAND):
            a, b = random.integers(1, 2**64, size=2, dtype=np.uint64)
            mixed = (pairs ^ (pairs >> np.uint64(29))) * (a | np.uint64(1)) + b
            signature[:, row] = np.minimum.reduceat(mixed ^ (mixed >> np.uint64(32)), starts)
        key = (signature * _powers(_ROWS_PER_BAND)).sum(axis=1, dtype=np.uint64)
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
    ones, others = set(one.tolist()), set(other.tolist())
    return len(ones & others) / len(ones | others)


def _neighbours(keys: NDArray[np.uint64], owners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair each owner with the next of the same key: a chain, so that a thousand equal keys give a thousand pairs."""
    order = np.argsort(
        keys, kind="stable"
    )  # stable, so that two texts alike in many ways are neighbours in all of them
    keys, owners = keys[order], owners[order]
    same = np.flatnonzero((keys[1:] == keys[:-1]) & (owners[1:] != owners[:-1]))
    return owners[same], owners[same + 1]


def _powers(count: int) -> NDArray[np.uint64]:
    """1, B, B squared, ... modulo 2**64."""
    return np.concatenate([np.ones(1, np.uint64), np.cumprod(np.full(max(0, count - 1), _BASE), dtype=np.uint64)])[
        : max(count, 1)
    ]


class _Union:
    """Disjoint sets that are merged; each is named by its least member."""

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

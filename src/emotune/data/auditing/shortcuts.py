"""Find features of a text that predict its class: a model may learn them instead of the meaning, and fail without them.

A feature is a word, two neighbouring words, the first or the last word, or a surface trait such as capitals, length,
the last character, numbers, links or emoji. It is a shortcut if nearly all texts that have it share one label, that
label is much commoner among them than in all texts, and chance does not explain it. The test is the upper tail of the
hypergeometric distribution, corrected for the number of features tested (Y. Benjamini, Y. Hochberg, JRSS B 57, 1995).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from emotune.data.auditing.located import Row

# Least number of texts of a feature, and least share of them with one label.
LEAST_ROWS = 20
LEAST_SHARE = 0.9
# Least ratio of the label's share of these texts to its share of all texts.
LEAST_LIFT = 1.25
# Accepted share of false discoveries among the features listed.
FALSE_DISCOVERIES = 0.05
# A feature is left out if a listed one of the same label covers this share of its texts, and it is purer by less than
# the second number.
_COVERED, _PURER = 0.9, 0.05
# Lengths tested as thresholds, as quantiles from the shortest and from the longest text.
_LENGTHS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25)
_LONGEST_NUMBER = 7
_FOLDED_AT_A_TIME = 500

# Words keep their apostrophes; ASCII punctuation counts in runs, other symbols one by one. Joiners and variation
# selectors of emoji are ignored.
_TOKEN = re.compile(r"\w+(?:['\u2019]\w+)*|[!-/:-@\[-^`{-~]+|[^\w\s\u200d\ufe0e\ufe0f]")
_LINK = re.compile(r"https?://|\bwww\.", re.IGNORECASE)
_ADDRESS = re.compile(r"\w@\w[\w-]*\.\w")
_MENTION = re.compile(r"(?<!\w)@\w")
_HASHTAG = re.compile(r"(?<!\w)#\w")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_LAST = {
    ".": "a full stop",
    "!": "an exclamation mark",
    "?": "a question mark",
    ",": "a comma",
    ":": "a colon",
    ";": "a semicolon",
    "\u2026": "an ellipsis",
}


@dataclass(frozen=True)
class Shortcut:
    """A feature of texts of which nearly all have one label.

    Attributes:
        kind: "trait" (capitals, length, the last character, numbers, links and similar), "place" (the first or the last
            word), "word" or "phrase".
        sign: The feature in words that continue "the text": "contains 'free'", "is all in capitals".
        label: The label.
        rows: Number of training texts with the feature; a repeated text counts once.
        share: Share of these texts that has the label.
        usual: Share of all training texts that has it.
    """

    kind: str
    sign: str
    label: str
    rows: int
    share: float
    usual: float


def find_shortcuts(rows: Sequence[Row], groups: NDArray[np.int64] | None = None) -> tuple[Shortcut, ...]:
    """Return the features whose texts nearly all have one label: traits and places first, then words, commonest first.

    Words may well be the meaning of a label; traits rarely are. Of features that occur in the same texts, such as a
    word and a phrase with it, one is listed.

    Args:
        rows: Training rows.
        groups: Shape (rows,), the same number for texts that repeat each other; with one label they count once. None
            if no text repeats.
    """
    names = sorted({row.label for row in rows})
    if len(names) < 2:
        return ()
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.fromiter((numbers[row.label] for row in rows), np.int64, len(rows))
    if groups is None:
        texts = [row.text for row in rows]
    else:
        _, first = np.unique(groups * len(names) + labels, return_index=True)
        texts, labels = [rows[i].text for i in first.tolist()], labels[first]

    blocks = [block for block in _features(texts) if block.signs]
    if not blocks:
        return ()
    signs = [sign for block in blocks for sign in block.signs]
    kinds = [block.kind for block in blocks for _ in block.signs]
    ends = np.cumsum([len(block.signs) for block in blocks])
    feature = np.concatenate([block.feature + end - len(block.signs) for block, end in zip(blocks, ends, strict=True)])
    row = np.concatenate([block.row for block in blocks])

    by_label = np.bincount(feature * len(names) + labels[row], minlength=len(signs) * len(names))
    by_label = by_label.reshape(len(signs), len(names))
    chosen, best = _significant(by_label, np.bincount(labels, minlength=len(names)))
    total = by_label.sum(axis=1)
    chosen = chosen[np.argsort(-total[chosen], kind="stable")]
    chosen = chosen[_not_covered(chosen, feature, row, best, by_label)]
    usual = np.bincount(labels, minlength=len(names)) / len(labels)
    return tuple(
        Shortcut(
            kind=kinds[i],
            sign=signs[i],
            label=names[best[i]],
            rows=int(total[i]),
            share=float(by_label[i, best[i]] / total[i]),
            usual=float(usual[best[i]]),
        )
        for i in sorted(chosen.tolist(), key=lambda i: kinds[i] in ("word", "phrase"))
    )


def _first_largest(table: NDArray[np.number] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the column of each row's largest value, the first of equal ones."""
    places: NDArray[np.int64] = np.argsort(-table.astype(np.float64), axis=1, kind="stable")[:, 0]
    return places


def _significant(by_label: NDArray[np.int64], prior: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Select the features that are shortcuts.

    Args:
        by_label: Shape (features, labels), texts with the feature and the label.
        prior: Shape (labels,), texts with the label.

    Returns:
        The indices of the shortcuts; and for every feature its commonest label, relative to the label's own share.
    """
    from scipy.stats import hypergeom

    total = by_label.sum(axis=1)
    lift = by_label / total[:, None] * (prior.sum() / prior)
    enough = by_label >= LEAST_SHARE * total[:, None]
    best = np.where(enough.any(axis=1), _first_largest(enough), _first_largest(lift))
    each = np.arange(len(best))
    likely = np.flatnonzero(enough[each, best] & (lift[each, best] >= LEAST_LIFT))
    if not len(likely):
        return likely, best
    of_best = prior[best[likely]]
    chance = np.asarray(hypergeom.sf(by_label[likely, best[likely]] - 1, prior.sum(), of_best, total[likely]))
    # Every feature could have been listed for any label; unlikely labels count as failed tests.
    tests = by_label.size
    order = np.argsort(chance, kind="stable")
    passes = chance[order] <= FALSE_DISCOVERIES * np.arange(1, len(order) + 1) / tests
    last = np.flatnonzero(passes)[-1] + 1 if passes.any() else 0
    return np.sort(likely[order[:last]]), best


def _not_covered(
    chosen: NDArray[np.int64],
    feature: NDArray[np.int64],
    row: NDArray[np.int64],
    best: NDArray[np.int64],
    by_label: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return whether no earlier feature of the same label, hardly less pure, covers each feature; shape (chosen,)."""
    from scipy.sparse import csr_array

    kept = np.ones(len(chosen), dtype=bool)
    place = np.full(len(best), -1)
    place[chosen] = np.arange(len(chosen))
    ours = place[feature] >= 0
    held = csr_array(
        (np.ones(int(ours.sum()), np.int32), (place[feature[ours]], row[ours])),
        shape=(len(chosen), int(row.max(initial=0)) + 1),
    )
    total = by_label.sum(axis=1)[chosen]
    label = best[chosen]
    share = by_label[chosen, label] / total
    for start in range(0, len(chosen), _FOLDED_AT_A_TIME):
        common = (held[start : start + _FOLDED_AT_A_TIME] @ held.T).toarray()
        for i, shared in enumerate(common, start):
            if kept[i]:
                covered = (shared >= _COVERED * total) & (label == label[i]) & (share < share[i] + _PURER)
                kept[i + 1 :] &= ~covered[i + 1 :]
    return kept


# --- Features of texts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Block:
    """Features of one kind that have enough texts.

    Attributes:
        kind: As in `Shortcut`.
        signs: Each feature in words.
        feature: With `row`: one entry per feature and text that has it, without repeats; an index into `signs`.
        row: Index of the text.
    """

    kind: str
    signs: list[str]
    feature: NDArray[np.int64]
    row: NDArray[np.int64]


def _features(texts: Sequence[str]) -> Iterator[_Block]:
    """Yield all features, plainest first: of two that occur in the same texts the first is listed."""
    vocabulary: defaultdict[str, int] = defaultdict(count().__next__)
    ids: list[int] = []
    lengths: list[int] = []
    for text in texts:
        found = _TOKEN.findall(text.casefold())
        ids += [vocabulary[token] for token in found]
        lengths.append(len(found))
    tokens = list(vocabulary)
    token = np.array(ids, dtype=np.int64)
    row = np.repeat(np.arange(len(texts)), lengths)
    is_word = np.array([_is_word(text) for text in tokens], dtype=bool)

    yield _block("word", token, row, lambda key: f"contains '{tokens[key]}'")
    yield from _traits(texts, tokens, token, row, is_word)
    yield _phrases(tokens, token, row, is_word)
    words = np.flatnonzero(is_word[token])
    starts = (
        np.diff(row[words], prepend=-1) > 0
    )  # where the row changes is a text's first word, preceded by the last word of another text
    lasts = words[np.append(starts[1:], True)[: len(words)]]
    yield _block("place", token[words[starts]], row[words[starts]], lambda key: f"begins with '{tokens[key]}'")
    yield _block("place", token[lasts], row[lasts], lambda key: f"ends with '{tokens[key]}'")


def _is_word(token: str) -> bool:
    return token[0].isalnum() or token[0] == "_"


def _block(kind: str, key: NDArray[np.int64], row: NDArray[np.int64], say: Callable[[int], str]) -> _Block:
    """Return the features of a kind that have enough texts.

    Args:
        kind: The kind.
        key: The key of each occurrence of a feature.
        row: The index of its text.
        say: Returns a key in words.
    """
    found, feature, occurrences = np.unique(key, return_inverse=True, return_counts=True)
    often = occurrences[feature] >= LEAST_ROWS
    texts = int(row.max(initial=0)) + 1
    pairs = np.sort(feature[often] * texts + row[often])
    feature, row = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], texts)
    enough = np.bincount(feature, minlength=len(found)) >= LEAST_ROWS
    kept = enough[feature]
    return _Block(kind, [say(int(key)) for key in found[enough]], (np.cumsum(enough) - 1)[feature[kept]], row[kept])


def _phrases(
    tokens: Sequence[str], token: NDArray[np.int64], row: NDArray[np.int64], is_word: NDArray[np.bool_]
) -> _Block:
    """Return the pairs of neighbouring words without punctuation between them."""
    often = np.bincount(token, minlength=len(tokens)) >= LEAST_ROWS
    fit = (is_word & often)[token]
    at = np.flatnonzero(fit[:-1] & fit[1:] & (row[:-1] == row[1:]))
    return _block(
        "phrase",
        token[at] * len(tokens) + token[at + 1],
        row[at],
        lambda key: f"contains '{tokens[key // len(tokens)]} {tokens[key % len(tokens)]}'",
    )


def _traits(
    texts: Sequence[str],
    tokens: Sequence[str],
    token: NDArray[np.int64],
    row: NDArray[np.int64],
    is_word: NDArray[np.bool_],
) -> Iterator[_Block]:
    """Yield features of the surface: capitals, the end, numbers, links and similar, length."""

    def trait(sign: str, has: Sequence[bool] | NDArray[np.bool_]) -> _Block:
        rows = np.flatnonzero(np.asarray(has, dtype=bool))
        return _block("trait", np.zeros(len(rows), np.int64), rows, lambda _: sign)

    stripped = [text.strip() for text in texts]
    yield trait("is all in capitals", [len(text) > 2 and text.isupper() for text in stripped])
    yield trait("has no capital letter", [text.islower() for text in stripped])
    yield trait("begins with a capital letter", [text[:1].isupper() for text in stripped])
    yield trait("begins with a small letter", [text[:1].islower() for text in stripped])

    last = np.array([ord(text[-1]) if text and not text[-1].isalnum() else 0 for text in stripped], dtype=np.int64)
    yield _block(
        "trait",
        last,
        np.arange(len(texts)),
        lambda key: f"ends with {_LAST.get(chr(key), repr(chr(key)))}" if key else "ends without punctuation",
    )

    digits = np.array([min(len(text), _LONGEST_NUMBER) if text.isdigit() else 0 for text in tokens], dtype=np.int64)
    numbers = np.flatnonzero(digits[token])
    yield _block("trait", np.zeros(len(numbers), np.int64), row[numbers], lambda _: "contains a number")
    yield _block(
        "trait",
        digits[token[numbers]],
        row[numbers],
        lambda key: f"contains a number of {key}{' or more' * (key == _LONGEST_NUMBER)} digit{'s' * (key > 1)}",
    )

    pictures = np.array([len(text) == 1 and category(text) == "So" for text in tokens], dtype=bool)
    at = np.flatnonzero(pictures[token])
    yield _block("trait", np.zeros(len(at), np.int64), row[at], lambda _: "contains an emoji or another picture sign")
    yield trait("contains a link", [_LINK.search(text) is not None for text in texts])
    yield trait("contains an e-mail address", ["@" in text and _ADDRESS.search(text) is not None for text in texts])
    yield trait("mentions someone (@name)", ["@" in text and _MENTION.search(text) is not None for text in texts])
    yield trait("contains a hashtag", ["#" in text and _HASHTAG.search(text) is not None for text in texts])
    yield trait("contains markup such as <br>", ["<" in text and _TAG.search(text) is not None for text in texts])
    yield trait("contains a line break", ["\n" in text for text in stripped])
    yield trait("begins with a quotation mark", [text[:1] in tuple("\"'\u201c\u2018\u00ab\u201e") for text in stripped])

    lengths = np.bincount(row[is_word[token]], minlength=len(texts))
    for cut in np.unique(np.quantile(lengths, _LENGTHS, method="lower")).tolist():
        yield trait(f"has at most {_words(cut)}", lengths <= cut)
    for cut in np.unique(np.quantile(lengths, [1 - share for share in _LENGTHS], method="higher")).tolist():
        yield trait(f"has at least {_words(cut)}", lengths >= cut)


def _words(number: int) -> str:
    return "1 word" if number == 1 else f"{number:,} words"

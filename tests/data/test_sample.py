"""The bundled data: what its card promises, held against the files themselves.

The rows are read with the standard library, so that these tests do not lean on the loader they ship with.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import pytest

from emotune.data.load import load_data
from emotune.data.places.sources import SAMPLE, SAMPLE_FOLDER

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
# 250 rows a class do not divide by 70/15/15, so validation and test hold 37 of a class or 38, the other way round in each.
ROWS = {
    "train": dict.fromkeys(LABELS, 175),
    "validation": {"sadness": 37, "joy": 38, "love": 37, "anger": 38, "fear": 37, "surprise": 38},
    "test": {"sadness": 38, "joy": 37, "love": 38, "anger": 37, "fear": 38, "surprise": 37},
}

FIRST_PERSON = re.compile(r"\b(?:i|me|my|mine|myself|we|us|our|ours|ourselves)\b")
CONTACTS = {
    "e-mail address": re.compile(r"\S@\S+\.\w"),
    "address of a page": re.compile(r"https?:|www\.|\b[a-z0-9-]+\.(?:com|org|net|io|uk|de|fr)\b", re.IGNORECASE),
    "telephone number": re.compile(r"\+?\d(?:[\s().-]*\d){6,}"),
    "handle or hashtag": re.compile(r"(?:^|\s)[@#]\w"),
}


class Row(NamedTuple):
    split: str
    text: str
    label: str


def words_of(text: str) -> list[str]:
    """Runs of letters and digits in lower case; an apostrophe inside a word belongs to it."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower())


def close_pairs(texts: Sequence[str], limit: float = 0.5) -> list[tuple[int, int]]:
    """Pairs of row numbers that share more than `limit` of their word 3-grams.

    The share is the number of 3-grams that both texts have, over the smaller of the two texts' numbers of 3-grams. Only
    texts that meet in an inverted index from 3-gram to texts are compared: the others share nothing.
    """
    grams = []
    holders = defaultdict(list)
    for i, text in enumerate(texts):
        words = words_of(text)
        grams.append(set(zip(words, words[1:], words[2:], strict=False)))
        for gram in grams[i]:
            holders[gram].append(i)
    shared = Counter(pair for rows in holders.values() for pair in combinations(rows, 2))
    return sorted((a, b) for (a, b), count in shared.items() if count > limit * min(len(grams[a]), len(grams[b])))


def best_on_validation(vectorizer: Any, rows: Sequence[Row]) -> float:
    """Test accuracy of logistic regression on the vectorizer's features, its regularization chosen on validation rows."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    texts = {split: [row.text for row in rows if row.split == split] for split in ROWS}
    truth = {split: np.array([row.label for row in rows if row.split == split]) for split in ROWS}
    train = vectorizer.fit_transform(texts["train"])
    models = [LogisticRegression(C=c, max_iter=2000).fit(train, truth["train"]) for c in (0.01, 0.1, 1.0, 10.0, 100.0)]
    validation, test = (vectorizer.transform(texts[split]) for split in ("validation", "test"))
    best = max(models, key=lambda model: np.mean(model.predict(validation) == truth["validation"]))
    return float(np.mean(best.predict(test) == truth["test"]))


def read_rows() -> list[Row]:
    """All rows of the three files, by the standard library."""
    found = []
    for split in ROWS:
        with (SAMPLE_FOLDER / f"{split}.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            assert reader.fieldnames == ["text", "label"]
            found += [Row(split, row["text"], row["label"]) for row in reader]
    return found


def bag_of_words_accuracy(rows: Sequence[Row]) -> float:
    """Test accuracy of TF-IDF over words and pairs of words with logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return best_on_validation(TfidfVectorizer(ngram_range=(1, 2)), rows)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return read_rows()


@pytest.mark.parametrize("split", ROWS)
def test_every_split_has_its_rows_of_every_class(rows: list[Row], split: str) -> None:
    assert Counter(row.label for row in rows if row.split == split) == ROWS[split]


def test_every_class_has_250_messages(rows: list[Row]) -> None:
    assert Counter(row.label for row in rows) == dict.fromkeys(LABELS, 250)


def test_the_loader_gives_these_rows_in_this_order(rows: list[Row]) -> None:
    data = load_data(SAMPLE)
    assert data.labels == LABELS
    assert data.notes == ()
    for split in data.splits:
        loaded = [
            Row(split.name, text, data.labels[i]) for text, i in zip(split.texts, split.label_ids.tolist(), strict=True)
        ]
        assert loaded == [row for row in rows if row.split == split.name]


def test_the_classes_are_shuffled_within_each_split(rows: list[Row]) -> None:
    for split in ROWS:
        labels = [row.label for row in rows if row.split == split]
        alike = sum(a == b for a, b in pairwise(labels)) / (len(labels) - 1)
        assert alike < 0.3  # 1/6 is expected of a shuffle; rows sorted by class give nearly 1


def test_texts_are_clean(rows: list[Row]) -> None:
    for row in rows:
        # "C*" holds control, format (zero-width, byte-order mark), surrogate, private and unassigned characters.
        assert not [c for c in row.text if unicodedata.category(c).startswith("C") or c == "\ufffd"], row
        assert row.text == " ".join(row.text.split()), row
        assert row.text == unicodedata.normalize("NFC", row.text), row


def test_files_are_plain_utf8_with_one_message_a_line() -> None:
    for split, counts in ROWS.items():
        content = (SAMPLE_FOLDER / f"{split}.csv").read_bytes()
        assert not content.startswith(b"\xef\xbb\xbf")
        assert b"\r" not in content
        assert content.decode("utf-8").count("\n") == 1 + sum(counts.values())


def test_no_text_repeats(rows: list[Row]) -> None:
    bare = Counter("".join(c for c in row.text.casefold() if c.isalnum()) for row in rows)
    assert [text for text, count in bare.items() if count > 1] == []


def test_no_pair_of_messages_shares_more_than_half_of_its_word_trigrams(rows: list[Row]) -> None:
    assert [(rows[a], rows[b]) for a, b in close_pairs([row.text for row in rows])] == []


def test_close_pairs_are_found_where_there_are_some() -> None:
    texts = [
        "I lost my keys again on the bus",  # six 3-grams
        "Well, I LOST my keys again, on Monday!",  # four of its six are the first text's
        "I lost my keys last night under the sofa",  # two of the first text's six
        "I lost my keys",  # both of its two are the first text's
        "Nothing like the others at all",
        "Hello",  # no 3-gram
        "Hello",
    ]
    assert close_pairs(texts) == [(0, 1), (0, 3), (1, 3), (2, 3)]
    assert close_pairs(texts, limit=0.7) == [(0, 3), (1, 3), (2, 3)]


def test_messages_are_first_person(rows: list[Row]) -> None:
    for label in LABELS:
        mine = [row for row in rows if row.label == label]
        share = sum(FIRST_PERSON.search(row.text.lower()) is not None for row in mine) / len(mine)
        assert share >= 0.6, label


def test_messages_are_short_and_classes_alike_in_length(rows: list[Row]) -> None:
    counts = {row: len(words_of(row.text)) for row in rows}
    assert min(counts.values()) >= 5
    assert max(counts.values()) <= 40
    means = {label: sum(n for row, n in counts.items() if row.label == label) / 250 for label in LABELS}
    assert all(14 <= mean <= 20 for mean in means.values()), means
    assert max(means.values()) - min(means.values()) < 2


@pytest.mark.parametrize("kind", CONTACTS)
def test_messages_hold_no_contact_details(rows: list[Row], kind: str) -> None:
    assert [row for row in rows if CONTACTS[kind].search(row.text)] == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("e-mail address", "write to ann@example.org please"),
        ("address of a page", "see example.com for more"),
        ("telephone number", "ring 020 7946 0000"),
        ("handle or hashtag", "so #blessed"),
    ],
)
def test_contact_details_are_recognised(kind: str, text: str) -> None:
    assert CONTACTS[kind].search(text)


def test_no_single_word_gives_its_class_away(rows: list[Row]) -> None:
    classes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for word in set(words_of(row.text)):
            classes[word][row.label] += 1
    telling = {}
    for word, counts in classes.items():
        label, count = counts.most_common(1)[0]
        if counts.total() >= 10 and count > 0.9 * counts.total() and count > 0.15 * 250:
            telling[word] = (label, count)
    assert telling == {}


@pytest.mark.slow
def test_bag_of_words_stays_weak(rows: list[Row]) -> None:
    assert bag_of_words_accuracy(rows) < 0.6


def test_punctuation_alone_stays_weak(rows: list[Row]) -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    marks = CountVectorizer(analyzer="char", vocabulary=list("?!.,;:'\"()-"))
    assert best_on_validation(marks, rows) < 0.4  # the card's limitations say how much it does give away


def test_the_card_states_the_true_counts(rows: list[Row]) -> None:
    card = (SAMPLE_FOLDER / "README.md").read_text(encoding="utf-8")
    lines = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in card.splitlines() if line[:1] == "|"]
    stated = {cells[0]: cells[1:] for cells in lines}

    def row_of(part: Sequence[Row]) -> list[str]:
        by_class = Counter(row.label for row in part)
        counts = [len(words_of(row.text)) for row in part]
        spread = f"{min(counts)} to {max(counts)}"
        return [f"{len(part):,}", *(str(by_class[label]) for label in LABELS), f"{sum(counts) / len(part):.1f}", spread]

    assert stated["split"][1:7] == list(LABELS)
    for split in ROWS:
        assert stated[split] == row_of([row for row in rows if row.split == split])
    assert stated["all"] == row_of(rows)


def test_the_data_is_dedicated_to_the_public_domain() -> None:
    licence = (SAMPLE_FOLDER / "LICENSE").read_text(encoding="utf-8")
    assert "SPDX-License-Identifier: CC0-1.0" in licence
    assert "https://creativecommons.org/publicdomain/zero/1.0/" in licence

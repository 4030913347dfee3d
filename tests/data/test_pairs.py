"""Reading pairs of texts: which columns are taken and said, blank sides, fingerprints and repeats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.duplicates import find_duplicates
from emotune.data.load import load_data, load_split
from emotune.system.errors import DataError
from emotune.system.pairs import TextPair

ROWS = [(f"a man number {i} sleeps", f"somebody rests at {i} o'clock", "yes" if i % 2 else "no") for i in range(24)]


def write(folder: Path, header: str, rows: list[tuple[str, str, str]] = ROWS) -> Path:
    path = folder / "d.csv"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "names", [("premise", "hypothesis"), ("sentence1", "sentence2"), ("Question1", "Question2"), ("text_a", "text_b")]
)
def test_known_pairs_are_taken_and_said(tmp_path: Path, names: tuple[str, str]) -> None:
    data = load_data(write(tmp_path, f"{names[0]},{names[1]},label"))
    assert sum(map(len, data.splits)) == len(ROWS)
    seen = {(text.first, text.second) for split in data.splits for text in split.texts if isinstance(text, TextPair)}
    assert seen == {(first, second) for first, second, _ in ROWS}
    assert f"Pairs of texts from columns '{names[0]}' and '{names[1]}', labels from column 'label'." in data.notes
    assert data.columns["train"].pair == names[1]


def test_named_columns_are_taken(tmp_path: Path) -> None:
    path = write(tmp_path, "left,right,kind")
    data = load_data(path, text_column="right", text_pair_column="left", label_column="kind")
    text = data.train.texts[0]
    assert isinstance(text, TextPair)
    assert text.first.startswith("somebody")
    assert data.train.pairs is not None
    assert data.train.pairs[0] == text.second


def test_the_second_of_a_known_pair_brings_the_first(tmp_path: Path) -> None:
    data = load_data(write(tmp_path, "question,sentence,label"), text_pair_column="sentence")
    assert data.columns["train"].text == "question"


def test_a_known_text_column_is_read_alone_and_the_pair_is_offered(tmp_path: Path) -> None:
    data = load_data(write(tmp_path, "question,sentence,label"))
    assert data.train.pairs is None
    said = " ".join(data.notes)
    assert "Texts from column 'sentence'" in said
    assert "--text-column question --text-pair-column sentence" in said


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(
        "".join(json.dumps({"premise": a, "hypothesis": b, "label": c}) + "\n" for a, b, c in ROWS), encoding="utf-8"
    )
    assert load_data(path).train.pairs is not None


@pytest.mark.parametrize(("side", "row"), [("first", ("", "b", "yes")), ("second", ("a", " ", "yes"))])
def test_a_blank_side_is_refused_and_named(tmp_path: Path, side: str, row: tuple[str, str, str]) -> None:
    path = write(tmp_path, "premise,hypothesis,label", [*ROWS, row])
    with pytest.raises(DataError, match=f"the {side} text is empty or blank in 1 row: line 26"):
        load_data(path)
    (unusable,) = audit_source(path, label_errors=False).unusable["train"]
    assert (unusable.number, unusable.reason) == (26, f"the {side} text is empty or blank")


def test_one_column_cannot_hold_two_things(tmp_path: Path) -> None:
    path = write(tmp_path, "premise,hypothesis,label")
    with pytest.raises(DataError, match="cannot hold both texts of a pair"):
        load_data(path, text_column="premise", text_pair_column="premise")
    with pytest.raises(DataError, match="cannot hold both the texts and the labels"):
        load_data(path, text_column="premise", text_pair_column="label")
    with pytest.raises(DataError, match="has no column 'other'"):
        load_data(path, text_column="premise", text_pair_column="other")


def test_splits_of_different_kinds_are_refused(tmp_path: Path) -> None:
    train = write(tmp_path, "premise,hypothesis,label")
    test = tmp_path / "test.csv"
    test.write_text("text,label\na,yes\nb,no\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"are pairs of texts, those of .*test\.csv are not"):
        load_data(train, test=test)


def test_the_fingerprint_holds_both_sides(tmp_path: Path) -> None:
    labels = ("no", "yes")
    prints = set()
    for rows in (
        [("a b", "c", "yes")],
        [("a", "b c", "yes")],
        [("a b", "d", "yes")],
    ):
        prints.add(load_split(write(tmp_path, "premise,hypothesis,label", rows), labels=labels).fingerprint)
    prints.add(
        load_split(write(tmp_path, "premise,hypothesis,label"), labels=labels, text_column="premise").fingerprint
    )
    assert len(prints) == 4


def test_pairs_repeat_if_both_sides_do() -> None:
    long = "the quick brown fox jumps over the lazy dog today"
    pairs = [
        TextPair("a b", "c"),
        TextPair("a b", "d"),  # only the first
        TextPair("A b!", "c"),  # trivially
        TextPair("a b", "c"),  # exactly
        TextPair("a", "b c"),  # the same words, divided elsewhere
        TextPair(long, "c"),
        TextPair(long.replace("fox", "cat"), "c"),  # nearly
        TextPair(long, "e"),
    ]
    groups = find_duplicates(pairs)
    assert groups.exact.tolist() == [0, 1, 2, 0, 4, 5, 6, 7]
    assert groups.trivial.tolist() == [0, 1, 0, 0, 4, 5, 6, 7]
    assert groups.near.tolist() == [0, 1, 0, 0, 4, 5, 5, 7]
    assert groups.words.tolist() == [3, 3, 3, 3, 3, 11, 11, 11]
    assert groups.near.dtype == np.int64


def test_an_audit_counts_texts_in_common_with_training(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("premise,hypothesis,label\na,b,yes\nc,d,no\n", encoding="utf-8")
    rows = "a,x,yes\na,d,no\ny,z,no\n"
    (tmp_path / "test.csv").write_text(f"premise,hypothesis,label\n{rows}", encoding="utf-8")
    audit = audit_source(tmp_path, label_errors=False)
    assert audit.shared_sides == (
        "2 of 3 pairs of test have their first text in common with a training pair, 1 their second",
    )
    assert not audit.leaks

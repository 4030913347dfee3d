"""Which columns were read is said where others were left out, and always kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.columns import Columns
from emotune.data.load import load_data, load_split
from emotune.system.errors import DataError


def write(path: Path, header: str, rows: int = 20) -> Path:
    names = header.split(",")
    lines = [",".join(f"{name} {i}" if name != "label" else "ab"[i % 2] for name in names) for i in range(rows)]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("question,sentence,label", "Texts from column 'sentence', labels from column 'label'; not used: 'question'."),
        ("text,text_pair,label", "Texts from column 'text', labels from column 'label'; not used: 'text_pair'."),
        ("id,title,text,label", "Texts from column 'text', labels from column 'label'; not used: 'id', 'title'."),
        ("text,label,label_text", "Texts from column 'text', labels from column 'label'; not used: 'label_text'."),
        (",text,label,x", "Texts from column 'text', labels from column 'label'; not used: '(no name)', 'x'."),
    ],
)
def test_columns_left_out_are_named(tmp_path: Path, header: str, note: str) -> None:
    file = write(tmp_path / "d.csv", header)
    assert load_data(file).notes[0] == note
    assert audit_source(file, label_errors=False).notes[0] == note
    assert load_split(file, labels=("a", "b")).notes[0] == note


@pytest.mark.parametrize("header", ["text,label", "id,text,label", ",text,label", "Unnamed: 0.1,Unnamed: 0,text,label"])
def test_nothing_is_said_where_only_numbers_of_rows_are_left_out(tmp_path: Path, header: str) -> None:
    file = write(tmp_path / "d.csv", header)
    data = load_data(file)
    assert not [note for note in data.notes if "column" in note]
    assert audit_source(file, label_errors=False).notes == ()
    assert data.columns == {"train": Columns("text", "label", tuple(header.split(",")[:-2]))}


def test_splits_with_other_columns_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "text,label")
    write(tmp_path / "dev.csv", "text,label,rater")
    write(tmp_path / "test.csv", "sentence,label")
    data = load_data(tmp_path)
    assert data.notes == ("validation: texts from column 'text', labels from column 'label'; not used: 'rater'.",)
    assert data.columns["validation"] == Columns("text", "label", ("rater",))
    assert data.columns["test"] == Columns("sentence", "label")


def test_columns_that_were_given_are_kept_too(tmp_path: Path) -> None:
    write(tmp_path / "d.csv", "text,title,label")
    data = load_data(tmp_path / "d.csv", text_column="title")
    assert data.columns["train"] == Columns("title", "label", ("text",))
    assert "not used: 'text'" in data.notes[0]


@pytest.mark.parametrize(
    ("header", "text", "label"),
    [
        ("comment_text,toxic", "comment_text", "toxic"),
        ("Review Text,Stars", "Review Text", "Stars"),
        ("review-body,Label Name", "review-body", "Label Name"),
        ("Utterance,label_text", "Utterance", "label_text"),
        ("title,clean_text,category", "clean_text", "category"),
        ("question,labels", "question", "labels"),
    ],
)
def test_names_that_columns_usually_have_are_recognized(tmp_path: Path, header: str, text: str, label: str) -> None:
    file = write_binary(tmp_path / "d.csv", header)
    data = load_data(file)
    found = data.columns["train"]
    assert (found.text, found.label) == (text, label)
    if header != "Utterance,label_text":
        assert f"from column '{text}'" in data.notes[0]


@pytest.mark.parametrize(
    ("header", "both"),
    [
        ("text,sentence,label", "'text', 'sentence'"),
        ("text,emotion,label", "'emotion', 'label'"),
        ("title,body,label", "'title', 'body'"),
        ("question,answer,label", "'question', 'answer'"),
        ("comment_text,toxic,insult", "'toxic', 'insult'"),
        ("Text,text ,label", "'Text', 'text'"),
    ],
)
def test_two_columns_that_could_be_meant_are_refused_with_both_names(tmp_path: Path, header: str, both: str) -> None:
    file = write_binary(tmp_path / "d.csv", header)
    with pytest.raises(DataError, match=r"several columns could hold the (texts|labels).*Choose one with --") as error:
        load_data(file)
    assert both in str(error.value)


@pytest.mark.parametrize("first", ["question,title", "stars,What a day", "description,summary"])
def test_a_name_that_could_be_a_row_is_no_header(tmp_path: Path, first: str) -> None:
    file = write_binary(tmp_path / "d.csv", first)
    with pytest.raises(DataError, match="If it is a row"):
        load_data(file)


def write_binary(path: Path, header: str, rows: int = 20) -> Path:
    """Write a table whose last column holds "a" and "b"."""
    columns = header.count(",")
    lines = [",".join([*(f"day {i} of {at}" for at in range(columns)), "ab"[i % 2]]) for i in range(rows)]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path

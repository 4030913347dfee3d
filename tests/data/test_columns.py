"""Which columns were read is said where others were left out, and always kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotune.data.audit import audit_source
from emotune.data.columns import Columns
from emotune.data.load import load_data, load_split


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
    assert load_split(file, labels=("a", "b")).notes == (note,)


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

"""`load_split`: rows to score with the labels of a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotune.data.load import load_split
from emotune.system.errors import DataError

from ..facts import facts

LABELS = ("joy", "anger", "fear")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text("text,label\na,joy\nb,anger\n", encoding="utf-8")
    (tmp_path / "dev.csv").write_text("text,label\nc,anger\n", encoding="utf-8")
    (tmp_path / "test.csv").write_text("text,label\nd,fear\ne,joy\n", encoding="utf-8")
    return tmp_path


def test_a_file_gives_all_rows_with_the_labels_of_the_model(folder: Path) -> None:
    split = load_split(folder / "train.csv", labels=LABELS)
    assert (split.name, split.texts, split.label_ids.tolist(), split.labels) == (
        "train.csv",
        ("a", "b"),
        [0, 1],
        LABELS,
    )
    assert load_split(folder / "dev.csv", labels=LABELS, name="mine").name == "mine"


def test_a_folder_gives_its_test_split(folder: Path) -> None:
    split = load_split(folder, labels=LABELS)
    assert (split.name, split.texts) == ("test", ("d", "e"))


@pytest.mark.parametrize("name", ["validation", "dev", "val"])
def test_another_split_can_be_asked_for(folder: Path, name: str) -> None:
    split = load_split(str(folder), labels=LABELS, split=name)
    assert (split.name, split.texts) == ("validation", ("c",))


def test_a_folder_of_one_file_gives_its_rows(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("text,label\na,joy\n", encoding="utf-8")
    assert load_split(tmp_path, labels=LABELS).texts == ("a",)


def test_labels_the_model_lacks(folder: Path) -> None:
    with pytest.raises(DataError, match=facts("'fear' (1 row)", "'joy', 'anger'")):
        load_split(folder, labels=("joy", "anger"))


def test_split_that_is_not_there(folder: Path) -> None:
    (folder / "test.csv").unlink()
    with pytest.raises(DataError, match=facts("no test split", "'train', 'validation'")):
        load_split(folder, labels=LABELS)


def test_a_file_has_no_splits(folder: Path) -> None:
    with pytest.raises(DataError, match="is one file"):
        load_split(folder / "train.csv", labels=LABELS, split="test")

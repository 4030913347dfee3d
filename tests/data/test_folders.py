"""Layouts of folders: shards, the Hub's, `save_to_disk`, a folder per class, names with prefixes; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.load import load_data
from emotune.system.errors import DataError

LABELS = ("anger", "joy")


def rows(start: int, end: int) -> list[tuple[str, str]]:
    return [(f"message {i} of the day", LABELS[i % 2]) for i in range(start, end)]


def write(path: Path, content: Sequence[tuple[str, str]], header: str = "text,label") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in (header, *(f"{t},{k}" for t, k in content))), encoding="utf-8")
    return path


def write_texts(folder: Path, texts: Mapping[str, Sequence[str]]) -> None:
    """Write one text per file, in a folder for each class."""
    for name, found in texts.items():
        for number, text in enumerate(found):
            path = folder / name / f"{number}_{len(text)}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def texts_of(source: Path, split: str = "train") -> list[str]:
    return [row.text for row in audit_source(source, label_errors=False).rows if row.place.split == split]


def refusal(source: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_data(source)
    return str(caught.value)


class TestShards:
    def test_are_in_the_order_of_their_numbers(self, tmp_path: Path) -> None:
        for shard in (10, 2, 0):
            write(tmp_path / f"train-{shard}.csv", rows(100 * shard, 100 * shard + 4))
        write(tmp_path / "test.csv", rows(5000, 5004))
        expected = [text for shard in (0, 2, 10) for text, _ in rows(100 * shard, 100 * shard + 4)]
        assert texts_of(tmp_path) == expected
        assert list(load_data(tmp_path, validation_size=0.3).notes[:1]) == [
            "Splits by the names of files: train from 'train-0.csv', 'train-2.csv', 'train-10.csv'."
        ]

    @pytest.mark.parametrize(
        "name", ["train_{}.csv", "Train-0000{}-of-00002.csv", "train-{}-of-2-0123456789abcdef.csv"]
    )
    def test_have_several_forms_of_names(self, tmp_path: Path, name: str) -> None:
        for shard in range(2):
            write(tmp_path / name.format(shard), rows(10 * shard, 10 * shard + 10))
        assert texts_of(tmp_path) == [text for text, _ in rows(0, 20)]

    def test_may_have_their_columns_in_another_order(self, tmp_path: Path) -> None:
        write(tmp_path / "train-0.csv", rows(0, 10))
        write(tmp_path / "train-1.csv", [(k, t) for t, k in rows(10, 20)], "label,text")
        assert texts_of(tmp_path) == [text for text, _ in rows(0, 20)]

    def test_with_other_columns_are_refused(self, tmp_path: Path) -> None:
        write(tmp_path / "train-0.csv", rows(0, 10))
        write(tmp_path / "train-1.csv", rows(10, 20), "text,emotion")
        message = refusal(tmp_path)
        assert "their columns differ" in message
        assert "'text', 'label'; " in message
        assert "'text', 'emotion'." in message

    def test_that_are_missing_are_named(self, tmp_path: Path) -> None:
        write(tmp_path / "train-00000-of-00003.csv", rows(0, 10))
        write(tmp_path / "train-00002-of-00003.csv", rows(0, 10))
        assert "say that there are 3 files, and there are 2" in refusal(tmp_path)

    @pytest.mark.parametrize("other", ["train.csv", "train_0.csv", "training-0.csv"])
    def test_that_claim_the_same_place_are_refused(self, tmp_path: Path, other: str) -> None:
        write(tmp_path / "train-0.csv", rows(0, 10))
        write(tmp_path / other, rows(0, 10))
        assert "claim to be the train split" in refusal(tmp_path)

    def test_of_several_formats_are_refused(self, tmp_path: Path) -> None:
        write(tmp_path / "train-0.csv", rows(0, 10))
        (tmp_path / "train-1.jsonl").write_text('{"text": "a", "label": "b"}', encoding="utf-8")
        assert "several formats: 'train-0.csv', 'train-1.jsonl'" in refusal(tmp_path)

    def test_are_named_with_the_line_where_a_row_is_wrong(self, tmp_path: Path) -> None:
        write(tmp_path / "train-0.csv", rows(0, 10))
        path = write(tmp_path / "train-1.csv", rows(10, 20))
        path.write_text(path.read_text(encoding="utf-8") + "one, two, three\n ,joy\n", encoding="utf-8")
        message = refusal(tmp_path)
        assert message.startswith(f"{path}, line 12: 3 fields")
        assert f"{path}, line 12; {path}, line 13" in message


class TestPrefixes:
    def test_are_read_and_said(self, tmp_path: Path) -> None:
        for part, (start, end) in {"emotion_train": (0, 20), "emotion_val": (20, 24), "emotion_test": (30, 34)}.items():
            write(tmp_path / f"{part}.csv", rows(start, end))
        write(tmp_path / "sample_submission.csv", rows(0, 1))
        data = load_data(tmp_path)
        assert [len(split) for split in data.splits] == [20, 4, 4]
        assert data.notes[0] == (
            "Splits by the names of files: train from 'emotion_train.csv'; validation from 'emotion_val.csv'; "
            "test from 'emotion_test.csv'."
        )
        assert "Not used, as no split has such a name: 'sample_submission.csv'" in data.notes[1]

    def test_may_be_suffixes_with_shards(self, tmp_path: Path) -> None:
        for part in ("train_small-0", "train_small-1", "eval_small-0"):
            write(tmp_path / f"{part}.csv", rows(0, 10))
        assert len(texts_of(tmp_path)) == 20
        assert len(texts_of(tmp_path, "validation")) == 10

    @pytest.mark.parametrize(
        "names",
        [("a_train", "b_train", "a_test"), ("a_train", "b_test"), ("train_test", "data"), ("my_train", "other")],
    )
    def test_that_could_be_read_in_several_ways_are_refused(self, tmp_path: Path, names: Sequence[str]) -> None:
        for name in names:
            write(tmp_path / f"{name}.csv", rows(0, 10))
        assert "none of them named after a split" in refusal(tmp_path)


class TestHubLayout:
    def test_with_its_metadata(self, tmp_path: Path) -> None:
        for split in ("train", "test"):
            for shard in range(2):
                write(tmp_path / "data" / f"{split}-0000{shard}-of-00002.csv", rows(10 * shard, 10 * shard + 10))
        (tmp_path / "README.md").write_text("# Data", encoding="utf-8")
        (tmp_path / "dataset_infos.json").write_text(json.dumps({"default": {}}), encoding="utf-8")
        assert texts_of(tmp_path) == [text for text, _ in rows(0, 20)]

    def test_with_a_folder_per_split(self, tmp_path: Path) -> None:
        write(tmp_path / "train" / "0000.csv", rows(0, 10))
        write(tmp_path / "train" / "0001.csv", rows(10, 20))
        write(tmp_path / "test" / "0000.csv", rows(20, 24))
        assert texts_of(tmp_path) == [text for text, _ in rows(0, 20)]
        assert texts_of(tmp_path, "test") == [text for text, _ in rows(20, 24)]


class TestSavedByDatasets:
    def test_one_or_several(self, tmp_path: Path) -> None:
        import datasets

        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["joy", "anger"])}
        )
        pairs = [{"text": text, "label": label} for text, label in rows(0, 20)]
        one = datasets.Dataset.from_list(pairs, features=features)
        one.save_to_disk(tmp_path / "one")
        datasets.DatasetDict({"train": one, "test": one}).save_to_disk(tmp_path / "several")
        assert load_data(tmp_path / "one").labels == ("joy", "anger")
        assert texts_of(tmp_path / "one") == [text for text, _ in rows(0, 20)]
        assert texts_of(tmp_path / "several", "test") == [text for text, _ in rows(0, 20)]

    def test_damaged(self, tmp_path: Path) -> None:
        import datasets

        datasets.Dataset.from_list([{"text": "a", "label": "b"}]).save_to_disk(tmp_path / "one")
        next((tmp_path / "one").glob("*.arrow")).unlink()
        assert "is damaged or incomplete" in refusal(tmp_path / "one")


class TestClassFolders:
    TEXTS: ClassVar = {"pos": [f"fine day {i}\nand on" for i in range(12)], "neg": [f"bad day {i}" for i in range(12)]}

    def test_with_splits(self, tmp_path: Path) -> None:
        """As in aclImdb, with its files beside the folders and its folder of texts without labels."""
        write_texts(tmp_path / "train", {**self.TEXTS, "unsup": ["no one knows"]})
        write_texts(tmp_path / "test", {name: texts[:2] for name, texts in self.TEXTS.items()})
        for name in ("README", "imdb.vocab", "imdbEr.txt", "train/urls_pos.txt", "train/labeledBow.feat"):
            (tmp_path / name).write_text("x", encoding="utf-8")
        data = load_data(tmp_path)
        assert data.labels == ("neg", "pos")
        assert len(data.train) + len(data.validation) == 24
        assert data.test.texts == ("bad day 0", "bad day 1", "fine day 0\nand on", "fine day 1\nand on")
        assert "One text per file; labels by the names of folders: 'neg', 'pos'" in data.notes[0]
        assert any("no label: the folder 'unsup'" in note for note in data.notes)
        assert "Not used: 'imdbEr.txt'." in data.notes

    def test_without_splits_and_suffixes(self, tmp_path: Path) -> None:
        """As in 20 Newsgroups."""
        for name in ("alt.atheism", "sci.space"):
            (tmp_path / name).mkdir()
            for number in (10, 9, 100):
                (tmp_path / name / str(number)).write_text(f"{name} {number}", encoding="utf-8")
        assert texts_of(tmp_path) == [
            f"{name} {number}" for name in ("alt.atheism", "sci.space") for number in (9, 10, 100)
        ]

    def test_of_a_class_alone_are_refused(self, tmp_path: Path) -> None:
        write_texts(tmp_path, self.TEXTS)
        assert "give the folder that holds these folders" in refusal(tmp_path / "pos")

    def test_with_a_binary_file(self, tmp_path: Path) -> None:
        write_texts(tmp_path, self.TEXTS)
        binary = tmp_path / "pos" / "a.txt"
        binary.write_bytes(b"\x89PNG\0\0")
        assert refusal(tmp_path).startswith(f"{binary}: a binary file (a NUL byte at offset 4)")
        found = audit_source(tmp_path, label_errors=False)
        assert len(found.rows) == 24
        assert "a binary file" in found.unusable["train"][0].reason

    def test_with_a_stray_file(self, tmp_path: Path) -> None:
        write_texts(tmp_path, self.TEXTS)
        (tmp_path / "pos" / "photo.png").write_bytes(b"\x89PNG\0\0")
        assert "1 entry that is no text: 'photo.png'" in refusal(tmp_path)

    def test_that_are_too_many(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_texts(tmp_path, self.TEXTS)
        monkeypatch.setattr("emotune.data.places.class_folders.MOST_FILES", 20)
        assert "holds more than 20 files" in refusal(tmp_path)


class TestSplitsWithoutLabels:
    def test_are_left_out_and_said(self, tmp_path: Path) -> None:
        write(tmp_path / "train.csv", rows(0, 60))
        (tmp_path / "test.csv").write_text("text\na\nb\n", encoding="utf-8")
        data = load_data(tmp_path)
        assert data.notes[0] == "The test split has no labels and is left out (test.csv: its columns are 'text')."
        assert any(note.startswith("No test split was given: 9 of the 60") for note in data.notes)
        assert audit_source(tmp_path, label_errors=False).notes[0] == data.notes[0]

    def test_where_the_column_was_named(self, tmp_path: Path) -> None:
        write(tmp_path / "train.csv", rows(0, 60), "text,mood")
        (tmp_path / "test.csv").write_text("text\na\nb\n", encoding="utf-8")
        data = load_data(tmp_path, label_column="mood")
        assert "it has no column 'mood'" in data.notes[0]

    def test_that_were_given_are_refused(self, tmp_path: Path) -> None:
        train = write(tmp_path / "train.csv", rows(0, 60))
        (tmp_path / "t.csv").write_text("text\na\nb\n", encoding="utf-8")
        with pytest.raises(DataError, match="Leave --test-data out"):
            load_data(train, test=tmp_path / "t.csv")

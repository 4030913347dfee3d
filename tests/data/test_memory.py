"""Rows in memory are read as the same rows in a file are: the file is the reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.columns import Columns
from emotune.data.dataset import TextDataset
from emotune.data.load import load_data, load_split
from emotune.data.options import DataSource
from emotune.evaluation.evaluate import evaluate
from emotune.folder.base import load_base
from emotune.models.classifier import Classifier
from emotune.settings.run import DataSection
from emotune.system.errors import ConfigError, DataError, ModelError
from emotune.training.finetune import finetune

from ..facts import facts

PAIRS = [(f"message {i}, with a comma", "joy" if i % 3 else "anger") for i in range(30)]
RECORDS = [{"text": text, "label": label} for text, label in PAIRS]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "d.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in RECORDS), encoding="utf-8")
    return path


def frame(rows: Any = RECORDS) -> Any:
    import pandas

    return pandas.DataFrame(rows)


def dataset(rows: Any = RECORDS) -> Any:
    import datasets

    return datasets.Dataset.from_list(rows)


MAKERS = {"DataFrame": frame, "Dataset": dataset, "in memory": lambda rows=PAIRS: list(rows)}


@pytest.mark.parametrize("name", MAKERS)
def test_one_table(file: Path, name: str) -> None:
    found, expected = load_data(MAKERS[name](), seed=3), load_data(file, seed=3)
    assert found.name == name
    assert found.fingerprint == expected.fingerprint
    assert found.notes == expected.notes  # what was cut, and that it was
    assert found.columns == {"train": Columns("text", "label")}


@pytest.mark.parametrize("name", MAKERS)
def test_tables_by_split(tmp_path: Path, name: str) -> None:
    parts = {"train": RECORDS[:18], "dev": RECORDS[18:24], "test": RECORDS[24:]}
    (tmp_path / "ds").mkdir()
    for split, rows in parts.items():
        lines = "\n".join(json.dumps(row) for row in rows)
        (tmp_path / "ds" / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    expected = load_data(tmp_path / "ds")
    make = MAKERS[name] if name != "in memory" else lambda rows: [(row["text"], row["label"]) for row in rows]
    found = load_data({split: make(rows) for split, rows in parts.items()})
    assert found.name == "in memory"
    assert found.fingerprint == expected.fingerprint
    assert (
        load_data(make(parts["train"]), validation=make(parts["dev"]), test=make(parts["test"])).fingerprint
        == expected.fingerprint
    )
    assert load_split(make(parts["test"]), labels=expected.labels).fingerprint == expected.test.fingerprint
    assert load_split({"test": make(parts["test"])}, labels=expected.labels).fingerprint == expected.test.fingerprint


def test_a_dataset_dict_with_class_names() -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["joy", "anger"])}
    )
    rows = [{"text": text, "label": int(label == "anger")} for text, label in PAIRS]
    both = datasets.DatasetDict(
        {name: datasets.Dataset.from_list(rows, features=features) for name in ("train", "validation", "test")}
    )
    data = load_data(both)
    assert (data.name, data.labels) == ("DatasetDict", ("joy", "anger"))
    assert data.train.texts == tuple(text for text, _ in PAIRS)
    assert data.train.counts == {"joy": 20, "anger": 10}
    assert load_data(datasets.DatasetDict({"train": both["train"].with_format("numpy")})).labels == ("joy", "anger")


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        ([0, 1], ("0", "1")),
        ([0.0, 1.0], ("0", "1")),
        ([True, False], ("false", "true")),
        (["b", "a"], ("a", "b")),
    ],
)
@pytest.mark.parametrize("kind", [None, "category", "object"])
def test_labels_of_a_data_frame(cells: list[Any], names: tuple[str, ...], kind: str | None) -> None:
    made = frame({"text": [f"text {i}" for i in range(40)], "label": cells * 20})
    made = made.astype({"label": kind}) if kind else made
    assert load_data(made.sample(frac=1, random_state=0)).labels == names


def test_integers_of_numpy_are_labels() -> None:
    import numpy as np

    assert load_data([(f"text {i}", np.int64(i % 2)) for i in range(40)]).labels == ("0", "1")


@pytest.mark.parametrize("missing", [None, float("nan"), "NA"])
def test_what_is_missing_is_named_by_row(missing: Any) -> None:
    import pandas

    value = pandas.NA if missing == "NA" else missing
    made = frame({"text": ["a", "b", "c", "d"], "label": ["x", value, "y", "x"]})
    with pytest.raises(DataError, match=facts("DataFrame", "label is missing", "row 2")):
        load_data(made)
    made = frame({"text": ["a", value, "c", "d"], "label": ["x", "x", "y", "x"]})
    with pytest.raises(DataError, match=facts("DataFrame", "text is empty", "row 2")):
        load_data(made)


def test_columns_of_a_data_frame() -> None:
    made = frame({"body": [f"text {i}" for i in range(40)], "stars": [1, 5] * 20, "title": ["t"] * 40})
    data = load_data(made, text_column="body", label_column="stars")
    assert data.columns == {"train": Columns("body", "stars", ("title",))}
    with pytest.raises(DataError, match=facts("DataFrame", "'body', 'title'", "--text-column")):
        load_data(made)


def test_an_audit_takes_them_too() -> None:
    found = audit_source(DataSource(source=frame()), label_errors=False)
    assert (found.name, len(found.rows)) == ("DataFrame", 30)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([], "in memory has no rows"),
        ({}, "The dict of splits is empty"),
        ({"test": PAIRS}, "in memory has no train split"),
        (["a text"], facts("row 1", "'a text'", "not a pair")),
        ([("a", "b"), ("a", "b", "c")], "row 2"),
        ([{"text": "a", "label": "b"}, {"text": "a"}], "row 2"),
        (5, facts("type int", "a path", "Hub", "DataFrame")),
        (iter(PAIRS), "of type list_iterator"),
        ({"train": "train.csv"}, facts("(train)", "type str")),
    ],
)
def test_what_is_no_table(source: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load_data(source)


def test_a_revision_is_for_the_hub() -> None:
    with pytest.raises(DataError, match=facts("DataFrame", "not on the Hugging Face Hub")):
        load_data(frame(), revision="main")


def test_a_split_is_given_once(tiny_data: TextDataset) -> None:
    with pytest.raises(DataError, match=facts("in memory", "test split of its own")):
        load_data({"train": PAIRS, "test": PAIRS}, test=PAIRS)
    with pytest.raises(DataError, match="TextDataset already"):
        load_data(tiny_data)


class TestOneStringWhereNamesAreExpected:
    def test_labels_of_data(self, file: Path) -> None:
        with pytest.raises(ConfigError, match=facts("labels is 'joy'", "list of texts", "['joy'")):
            load_data(file, labels="joy")
        with pytest.raises(ConfigError, match=facts("labels is 'joy'", "list of texts")):
            load_split(file, labels="joy")  # type: ignore[arg-type]

    def test_labels_of_a_model(self, tiny_bert: Path) -> None:
        with pytest.raises(ModelError, match=facts("labels", "string 'joy'", "list of names")):
            load_base(tiny_bert, labels="joy")

    def test_labels_of_a_configuration(self) -> None:
        with pytest.raises(ConfigError, match="labels is 'joy'"):
            DataSection(labels="joy")


class TestWhichSplit:
    def test_is_to_be_scored(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        with pytest.raises(DataError, match=facts("whole data set", "data.test")):
            evaluate(tiny_base, tiny_data)  # type: ignore[arg-type]
        with pytest.raises(DataError, match=facts("given str")):
            evaluate(tiny_base, "test.csv")  # type: ignore[arg-type]

    def test_is_none_for_training(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        with pytest.raises(DataError, match="finetune takes a whole data set"):
            finetune(tiny_base, tiny_data.train)  # type: ignore[arg-type]


class TestCellsOfOtherLibraries:
    def test_arrays_are_several_labels(self, tmp_path: Path) -> None:
        import pandas

        made = frame({"text": [f"text {i}" for i in range(4)], "labels": [[0, 27], [1], [2], [3]]})
        made.to_parquet(tmp_path / "d.parquet")
        for rows in (made, pandas.read_parquet(tmp_path / "d.parquet")):
            found = audit_source(DataSource(source=rows), label_errors=False)
            assert found.counts["train"] == {"0": 1, "27": 1, "1": 1, "2": 1, "3": 1}

    @pytest.mark.parametrize("name", ["NA", "NaT", "nan"])
    def test_missing_ones_in_a_list(self, name: str) -> None:
        import pandas

        value = float("nan") if name == "nan" else getattr(pandas, name)
        rows = [("a", "x"), ("b", "y")] * 3
        with pytest.raises(DataError, match=facts("label is missing", "row 7")):
            load_data([*rows, ("c", value)])
        with pytest.raises(DataError, match=facts("text is empty", "row 7")):
            load_data([*rows, (value, "x")])


class TestListsOfDicts:
    def test_have_the_keys_of_all(self) -> None:
        rows = [{"text": "a"}, *RECORDS]
        found = audit_source(DataSource(source=rows), label_errors=False)
        assert len(found.rows) == len(RECORDS)
        assert [row.number for row in found.unusable["train"]] == [1]

    def test_a_bad_row_does_not_hide_the_others(self) -> None:
        found = audit_source(DataSource(source=[*PAIRS, "a text", ("a", "b", "c")]), label_errors=False)
        assert len(found.rows) == len(PAIRS)
        assert [row.number for row in found.unusable["train"]] == [31, 32]
        with pytest.raises(DataError, match=facts("row 31", "'a text'", "not a pair", "2 rows")):
            load_data([*PAIRS, "a text", ("a", "b", "c")])

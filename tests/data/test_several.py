"""Reading rows with several labels: lists, separated strings, columns with one label each, and their mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from emotune.data.auditing.audit import audit_data, audit_source
from emotune.data.dataset import TextDataset
from emotune.data.load import load_data, load_split
from emotune.data.options import DataSource
from emotune.system.errors import ConfigError, DataError
from emotune.tasks.multi_label import MULTI_LABEL
from emotune.tasks.single_label import SINGLE_LABEL

WORDS = {"anger": "furious", "fear": "afraid", "joy": "glad"}


def made_up(count: int = 90, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows whose words say which labels they have; some have none."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        own = [label for label in WORDS if rng.random() < 0.4]
        rows.append({"text": f"{' '.join(WORDS[label] for label in own)} on day {number}", "labels": own})
    return rows


def counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {label: sum(label in row["labels"] for row in rows) for label in WORDS}


def check(data: TextDataset, rows: list[dict[str, Any]]) -> None:
    assert data.task is MULTI_LABEL
    assert data.labels == ("anger", "fear", "joy")
    found = {
        text: tuple(target) for split in data.splits for text, target in zip(split.texts, split.label_ids, strict=True)
    }
    assert found == {row["text"]: tuple(int(label in row["labels"]) for label in WORDS) for row in rows}
    assert all(min(split.counts.values()) > 0 for split in data.splits)
    several, none = sum(len(row["labels"]) > 1 for row in rows), sum(not row["labels"] for row in rows)
    (note,) = [note for note in data.notes if "multi-label" in note]
    assert f"{several} rows of {len(rows)} with more than one" in note
    assert f"{none} rows without any" in note


@pytest.mark.parametrize("kind", ["memory", "jsonl", "parquet", "hub", "hub names", "written"])
def test_lists(kind: str, tmp_path: Path) -> None:
    rows = made_up()
    source: Any = rows
    if kind == "jsonl":
        source = tmp_path / "rows.jsonl"
        source.write_text("\n".join(map(json.dumps, rows)))
    elif kind == "parquet":
        source = tmp_path / "rows.parquet"
        datasets.Dataset.from_list(rows).to_parquet(source)
    elif kind == "hub":
        source = datasets.Dataset.from_list(rows)
    elif kind == "hub names":
        names = datasets.ClassLabel(names=list(WORDS))
        numbered = [{**row, "labels": [list(WORDS).index(label) for label in row["labels"]]} for row in rows]
        features = datasets.Features({"text": datasets.Value("string"), "labels": datasets.List(names)})
        source = datasets.Dataset.from_list(numbered, features=features)
    elif kind == "written":
        source = tmp_path / "rows.csv"
        lines = (f'{row["text"]},"{row["labels"]}"' for row in rows)
        source.write_text("text,labels\n" + "\n".join(lines))
    check(load_data(source), rows)


def test_separated_strings(tmp_path: Path) -> None:
    rows = made_up()
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "\n".join(f'{row["text"]},"{", ".join(row["labels"])}"' for row in rows))
    check(load_data(path, label_separator=","), rows)


def test_columns_with_one_label_each(tmp_path: Path) -> None:
    rows = made_up()
    path = tmp_path / "rows.csv"
    lines = (f"{row['text']},{','.join(str(int(label in row['labels'])) for label in WORDS)},x" for row in rows)
    path.write_text("comment,anger,fear,joy,more\n" + "\n".join(lines))
    data = load_data(path, label_columns=["anger", "fear", "joy"])
    check(data, rows)
    assert any("columns 'anger', 'fear', 'joy'" in note and "'more'" in note for note in data.notes)


def one_hot(rows: list[dict[str, Any]], further: str = "") -> str:
    """Return CSV with an index, a column for each label, and, if named, one with the given cells."""
    name, *cells = further.split(",") if further else [""]
    lines = [f"id,comment,anger,fear,joy{',' if name else ''}{name}"]
    for number, row in enumerate(rows):
        labels = ",".join(str(int(label in row["labels"])) for label in WORDS)
        cell = f",{cells[number % len(cells)]}" if cells else ""
        lines.append(f"{number},{row['text']},{labels}{cell}")
    return "\n".join(lines)


def test_columns_of_zeros_and_ones_are_recognised_where_nothing_else_is_there(tmp_path: Path) -> None:
    rows = made_up()
    path = tmp_path / "rows.csv"
    path.write_text(one_hot(rows))
    data = load_data(path)
    check(data, rows)
    assert any("labels from columns 'anger', 'fear', 'joy', one for each label" in note for note in data.notes)
    assert audit_source(path, label_errors=False).label_sets is not None
    # A column that splits the rows is not one of labels.
    path.write_text(one_hot(rows, "author," + ",".join(f"author {number}" for number in range(30))))
    check(load_data(path, group_column="author"), rows)


@pytest.mark.parametrize("further", ["letters,1,2,3", "letters,0,1,"])
def test_other_columns_make_columns_of_zeros_and_ones_ambiguous(further: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(one_hot(made_up(), further))
    with pytest.raises(DataError, match=r"'anger', 'fear', 'joy' look like .*--label-columns anger,fear,joy"):
        load_data(path)


@pytest.mark.parametrize("cell", ["2", "", "x"])
def test_a_column_that_is_almost_of_zeros_and_ones_is_not_dropped(cell: str, tmp_path: Path) -> None:
    lines = one_hot(made_up()).splitlines()
    number, text, anger, _, joy = lines[7].split(",")
    lines[7] = ",".join((number, text, anger, cell, joy))
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError) as refused:
        load_data(path)
    said = str(refused.value)
    assert "'anger', 'fear', 'joy' look like one column for each label, but 'fear' holds" in said
    assert f"'{cell}' in line 8; expected 0, 1" in said
    assert said.endswith("--label-columns anger,fear,joy.")


def test_the_columns_advised_include_one_that_is_zero_at_first(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = [
        f"{line},{0 if number else 'rare'},{'m' if number else 'more'}"
        for number, line in enumerate(one_hot(made_up()).splitlines())
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match="--label-columns anger,fear,joy,rare"):
        load_data(path)


def test_one_column_of_zeros_and_ones_is_not_taken_for_labels(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,seen\n" + "\n".join(f"text {number},{number % 2}" for number in range(30)))
    with pytest.raises(DataError, match="no column is named like one of labels"):
        load_data(path)
    path.write_text(one_hot(made_up()))
    with pytest.raises(DataError, match="no column is named like one of labels"):
        load_data(path, label_separator=",")


def test_a_later_row_with_another_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(one_hot(made_up(1100)) + "\n1100,late,0,2,0")
    with pytest.raises(DataError, match=r"line 1102: the column 'fear' holds '2'; expected 0, 1"):
        load_data(path)


def test_a_copy_of_a_text_is_in_the_split_of_the_other() -> None:
    rows = made_up()
    twice = [*rows, *({**row, "text": row["text"].upper()} for row in rows[:30])]
    data = load_data(twice)
    places: dict[str, str] = {}
    for split in data.splits:
        for text in split.texts:
            assert places.setdefault(text.lower(), split.name) == split.name


def test_a_label_with_three_rows_is_in_every_split() -> None:
    rare = [
        {"text": f"a rare thing number {number} happened {word}", "labels": ["joy", "rare"]}
        for number, word in enumerate(("here", "there", "then"))
    ]
    for seed in range(5):
        data = load_data([*made_up(), *rare], seed=seed)
        assert [split.counts["rare"] for split in data.splits] == [1, 1, 1]


def test_one_label_in_every_list_is_single_label() -> None:
    rows = [
        {"text": f"{word} on day {number}", "labels": [label]} for number in range(20) for label, word in WORDS.items()
    ]
    data = load_data(rows)
    assert data.task is SINGLE_LABEL
    assert data.train.label_ids.ndim == 1
    assert any("exactly one label" in note for note in data.notes)


def test_new_names_may_make_one_label_of_two() -> None:
    data = load_data(made_up(), map={"fear": "anger"})
    assert data.labels == ("anger", "joy")
    assert any(sum(target) == 2 for target in data.train.label_ids)


@pytest.mark.parametrize(
    ("rows", "arguments", "said"),
    [
        ([("a", "joy"), ("b", "fear")], {"label_separator": ","}, "',' is in no row"),
        ([{"text": "a", "labels": ["joy", None]}, {"text": "b", "labels": []}], {}, "row 1.*None, which is no label"),
        ([{"text": "a", "labels": ["joy", 1.5]}, {"text": "b", "labels": []}], {}, "row 1.*1.5"),
        (
            [{"text": "a", "joy": 1, "fear": 0}, {"text": "b", "joy": 2, "fear": 1}],
            {"label_columns": ["joy", "fear"]},
            "row 2.*'joy' holds '2'; expected 0, 1, true or false",
        ),
        (
            [{"text": "a", "joy": 1, "fear": 0}, {"text": "b", "joy": 0, "fear": 1}],
            {"label_columns": ["joy", "love"]},
            "no column 'love'",
        ),
        ([{"text": f"{i}", "labels": ["joy"] * (i % 2)} for i in range(9)], {}, "'joy' is the only label"),
        (
            {"train": made_up(), "test": [{"text": "a", "labels": ["joy", "love"]}]},
            {},
            "labels that the training rows lack: 'love'",
        ),
        (made_up(), {"folds": 3}, "several labels per row.*--folds"),
    ],
)
def test_mistakes(rows: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=f"(?s){said}"):
        load_data(rows, **arguments)


def test_one_way_to_read_labels() -> None:
    with pytest.raises(ConfigError, match="label_column and label_columns"):
        DataSource(label_column="a", label_columns=("b", "c"))
    with pytest.raises(ConfigError, match="at least two columns"):
        DataSource(label_columns=("b", "b"))


def test_rows_without_labels_are_left_out_where_asked_for() -> None:
    rows = made_up()
    data = load_data(rows, drop_unlabelled=True)
    assert sum(map(len, data.splits)) == sum(bool(row["labels"]) for row in rows)


def test_rows_to_score() -> None:
    rows = [{"text": "a", "labels": ["joy"]}, {"text": "b", "labels": ["fear"]}]
    found = load_split(rows, labels=("anger", "fear", "joy"), task=MULTI_LABEL)
    assert found.label_ids.tolist() == [[0, 0, 1], [0, 1, 0]]
    with pytest.raises(DataError, match="1 row of 2 have several labels or none"):
        load_split([*rows[:1], {"text": "b", "labels": []}], labels=("fear", "joy"))


def test_an_audit_counts_labels() -> None:
    rows = made_up()
    audit = audit_data(load_data(rows))
    assert {label: sum(split[label] for split in audit.counts.values()) for label in WORDS} == counts(rows)
    found = audit_source(DataSource(source=[*rows, {"text": rows[0]["text"], "labels": ["anger", "fear", "joy"]}]))
    assert found.label_sets is not None
    assert len(found.contradictions) == 1
    assert found.label_findings == ()
    assert any("several labels" in note for note in found.notes)


def separated(tmp_path: Path, rows: list[dict[str, Any]], separator: str = "|") -> Path:
    path = tmp_path / "rows.csv"
    lines = (f'{row["text"]},"{separator.join(row["labels"])}"' for row in rows)
    path.write_text("text,labels\n" + "\n".join(lines))
    return path


@pytest.mark.parametrize("separator", ["|", ";", ","])
def test_an_empty_cell_among_several_labels_is_said_to_be_none(separator: str, tmp_path: Path) -> None:
    path = separated(tmp_path, made_up(), separator)
    advice = f"--label-separator '{separator}': then an empty cell is a row without labels."
    for read in (load_data, lambda path: load_split(path, labels=tuple(WORDS), task=MULTI_LABEL)):
        with pytest.raises(DataError) as refused:
            read(path)
        said = str(refused.value)
        assert "the label is missing (empty, null or NaN) in" in said
        assert f"If 'anger{separator}fear'" in said
        assert said.endswith(advice)
    check(load_data(path, label_separator=separator), made_up())
    # A model of one label per text could not use the advice.
    with pytest.raises(DataError) as refused:
        load_split(path, labels=tuple(WORDS))
    assert "--label-separator" not in str(refused.value)


def test_an_empty_cell_among_single_labels_is_missing(tmp_path: Path) -> None:
    path = separated(tmp_path, [row for row in made_up() if len(row["labels"]) < 2])
    with pytest.raises(DataError, match="the label is missing") as refused:
        load_data(path)
    assert "--label-separator" not in str(refused.value)


def test_unknown_labels_made_of_known_ones_name_their_separator(tmp_path: Path) -> None:
    path = separated(tmp_path, [row for row in made_up() if len(row["labels"]) > 1])
    labels = tuple(WORDS)
    with pytest.raises(DataError, match=r"If 'anger\|fear', .* are several labels each, add --label-separator '\|'\.$"):
        load_split(path, labels=labels, task=MULTI_LABEL)
    found = load_split(path, labels=labels, task=MULTI_LABEL, label_separator="|")
    assert found.counts == counts([row for row in made_up() if len(row["labels"]) > 1])
    with pytest.raises(DataError, match=r"the model does not have: 'anger\|fear'") as refused:
        load_split(path, labels=labels)
    assert "--label-separator" not in str(refused.value)

"""Predictions from elsewhere: what is read, what is refused, and which rows are matched with which."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotune.data.dataset import Split
from emotune.evaluation.compare import compare
from emotune.evaluation.foreign import common_labels, foreign_evaluation, matched, read_foreign
from emotune.evaluation.saved import write_evaluation
from emotune.evaluation.scores import Evaluation, score
from emotune.system.errors import DataError

from ..facts import facts

LABELS = ("sadness", "joy", "love")
TEXTS = ("one, two", 'he said "no"', "=three", "  four  ", "fünf\nsechs", "-6 😀")


@pytest.fixture
def evaluation() -> Evaluation:
    """Texts that are hard on a CSV file, with probabilities of all digits."""
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([1, 1, 1], size=len(TEXTS))
    predictions = np.array([int(np.argmax(row)) for row in probabilities])
    split = Split("test", TEXTS, np.array([0, 1, 2, 0, 1, 2]), LABELS)
    return Evaluation("mine", split, probabilities, None, predictions, score(split, predictions, probabilities), 0.0)


def written(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path = folder / "theirs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


ROWS = [
    {"text": f"text {row}", "label": LABELS[row % 3], "prediction": LABELS[row % 2], "p_sadness": (0.7, 0.1)[row % 2],
     "p_joy": (0.2, 0.8)[row % 2], "p_love": 0.1}
    for row in range(6)
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_evaluate_writes_is_read_back_exactly(evaluation: Evaluation, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"predictions{suffix}"
    write_evaluation(evaluation, path, suffix)
    found = read_foreign(path)
    assert found.labels == LABELS
    again = foreign_evaluation(found, LABELS, "mine")
    assert again.split.fingerprint == evaluation.split.fingerprint
    np.testing.assert_array_equal(again.predictions, evaluation.predictions)
    assert again.probabilities is not None
    assert evaluation.probabilities is not None
    np.testing.assert_allclose(again.probabilities, evaluation.probabilities, rtol=0, atol=1e-15)
    assert again.metrics.accuracy == evaluation.metrics.accuracy


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"theirs.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        path.write_bytes(written(tmp_path, ROWS).read_bytes().replace(b",", b"\t" if kind == "tsv" else b","))
    found = foreign_evaluation(read_foreign(path), LABELS, "theirs")
    assert found.metrics.accuracy == pytest.approx(2 / 6)
    # The natural logarithm of the probabilities of the true labels, by hand.
    assert found.metrics.loss == pytest.approx(-np.mean(np.log([0.7, 0.8, 0.1, 0.1, 0.2, 0.1])))
    assert "What this model was trained on is not known" in found.note


def test_without_probabilities_there_is_no_loss(tmp_path: Path) -> None:
    rows = [{key: row[key] for key in ("text", "label", "prediction")} for row in ROWS]
    found = read_foreign(written(tmp_path, rows))
    assert found.labels == ("joy", "love", "sadness")
    assert foreign_evaluation(found, LABELS, "theirs").metrics.loss is None


def test_rounded_probabilities_are_taken(tmp_path: Path) -> None:
    rows = [{**row, "p_sadness": 0.333, "p_joy": 0.333, "p_love": 0.333, "prediction": "joy"} for row in ROWS]
    found = foreign_evaluation(read_foreign(written(tmp_path, rows)), LABELS, "theirs")
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities, 1 / 3)


def test_labels_of_several_files_are_all_that_occur(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    plain = [{key: row[key] for key in ("text", "label", "prediction")} for row in ROWS]
    first = read_foreign(written(tmp_path, [{**row, "prediction": "anger"} for row in plain]))
    second = read_foreign(written(tmp_path / "a", ROWS))
    assert common_labels([first]) == ("anger", "joy", "love", "sadness")
    assert common_labels([first, second]) == LABELS
    with pytest.raises(DataError, match=facts("line 2", "prediction", "'anger'", "'sadness', 'joy', 'love'")):
        foreign_evaluation(first, LABELS, "theirs")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prediction": ""}, ["line 2", "prediction is missing"]),
        ({"label": "0.5"}, ["line 2", "'label'", "not whole"]),
        ({"p_joy": "high"}, ["line 2", "p_joy", "'high'", "from 0 to 1"]),
        ({"p_joy": ""}, ["line 2", "p_joy", "Leave all columns"]),
        ({"p_joy": 0.9}, ["line 2", "add up to 1", "1 such row"]),
        ({"p_joy": "nan"}, ["line 2", "out of range"]),
        ({"prediction": "love"}, ["line 2", "'love'", "its probabilities say 'sadness'", "leave the columns"]),
    ],
)
def test_cells_that_are_refused(change: dict[str, Any], said: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, [{**ROWS[0], **change}, *ROWS[1:]])
    with pytest.raises(DataError, match=facts(*said)):
        foreign_evaluation(read_foreign(path), LABELS, "theirs")


def test_a_label_without_probabilities_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, [{key: value for key, value in row.items() if key != "p_love"} for row in ROWS])
    with pytest.raises(DataError, match=facts("no column of 'love'", "or none")):
        foreign_evaluation(read_foreign(path), LABELS, "theirs")


def test_columns_that_are_missing_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, [{"text": "a", "label": "joy"}])
    with pytest.raises(DataError, match=facts("no column 'prediction'", "its columns are 'text', 'label'", "--output")):
        read_foreign(path)


def reordered(found: Evaluation, rows: list[int]) -> Evaluation:
    split = found.split.take(rows)
    return replace(found, split=split, predictions=found.predictions[rows], probabilities=None, name="theirs")


def test_rows_in_another_order_are_matched_by_their_texts(evaluation: Evaluation) -> None:
    other = reordered(evaluation, [3, 0, 5, 1, 2, 4])
    moved = matched(evaluation, other)
    assert moved is not None
    np.testing.assert_array_equal(moved.predictions, evaluation.predictions)
    assert len(compare(evaluation, moved).fixed) == 0
    assert matched(evaluation, replace(evaluation, name="same")) is None


def test_rows_with_equal_texts_are_not_matched(evaluation: Evaluation) -> None:
    split = replace(evaluation.split, texts=(TEXTS[0], *TEXTS[:5]))
    first = replace(evaluation, split=split)
    other = reordered(first, [5, 4, 3, 2, 1, 0])
    assert matched(first, other) is None
    with pytest.raises(DataError, match="in another order"):
        compare(first, other)


@pytest.mark.parametrize("change", ["label", "text", "row"])
def test_rows_that_differ_are_not_matched(evaluation: Evaluation, change: str) -> None:
    other = reordered(evaluation, [3, 0, 5, 1, 2, 4])
    split = other.split
    if change == "label":
        split = replace(split, label_ids=(split.label_ids + 1) % 3)
    elif change == "text":
        split = replace(split, texts=("another", *split.texts[1:]))
    else:
        split = split.take([0, 1, 2, 3, 4])
    other = replace(other, split=split)
    assert matched(evaluation, other) is None
    with pytest.raises(DataError, match="different rows"):
        compare(evaluation, other)

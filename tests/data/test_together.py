"""What an audit says of rows with several labels, against plain counts, and their cleaned copy."""

from __future__ import annotations

import csv
import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from emotune.cli import app
from emotune.data.auditing.audit import audit_data, audit_source
from emotune.data.auditing.clean import write_clean
from emotune.data.auditing.together import Together
from emotune.data.load import load_data
from emotune.data.options import DataSource
from emotune.system.pairs import TextPair

from .test_several import WORDS, made_up


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Rows with three labels and a fourth one that never comes alone."""
    found = made_up(200)
    for row in found:
        if "anger" in row["labels"] and len(row["labels"]) > 1:
            row["labels"] = [*row["labels"], "spite, malice"]
    return found


def test_pairs_and_labels_per_row_are_those_of_plain_counts(rows: list[dict[str, Any]]) -> None:
    found = audit_source(DataSource(source=rows)).together
    assert found is not None
    sizes = [len(row["labels"]) for row in rows]
    own = found.per_row["train"]
    assert (own.rows, own.without, own.several, own.most) == (
        200,
        sizes.count(0),
        sum(n > 1 for n in sizes),
        max(sizes),
    )
    assert own.mean == pytest.approx(sum(sizes) / 200)
    counts = Counter(label for row in rows for label in row["labels"])
    expected = Counter(frozenset(pair) for row in rows for pair in combinations(row["labels"], 2))
    assert {frozenset(pair.labels): pair.rows for pair in found.pairs} == expected
    assert [pair.rows for pair in found.pairs] == sorted(expected.values(), reverse=True)
    for pair in found.pairs:
        first, second = pair.labels
        assert counts[first] <= counts[second]
        assert pair.of_first == pytest.approx(pair.rows / counts[first])
        assert pair.by_chance == pytest.approx(counts[first] * counts[second] / 200)
    assert found.never_alone == {"spite, malice": counts["spite, malice"]}


def test_data_in_memory_and_other_splits() -> None:
    data = load_data(made_up(120))
    found = audit_data(data).together
    assert found is not None
    assert list(found.per_row) == ["train", "validation", "test"]
    assert found.per_row["test"].mean == pytest.approx(data.test.label_ids.sum() / len(data.test))
    assert Together.of({"test": [("a", "b"), ()]}).split == "test"
    one_each = [{"text": f"text {number}", "label": "joy" if number % 2 else "fear"} for number in range(20)]
    assert audit_source(DataSource(source=one_each)).together is None


def test_the_command_shows_and_lists_them(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    shown = CliRunner().invoke(app, ["audit", str(path)]).stdout
    anger = sum("anger" in row["labels"] for row in rows)
    assert f"{anger} ({anger / 2:.2f} %)" in shown  # of the rows, not of all labels
    assert "without a label" in shown
    assert "'spite, malice' never comes alone" in shown
    assert "Labels that come together in train" in shown
    found = json.loads(CliRunner().invoke(app, ["audit", str(path), "--json"]).stdout)["labels_together"]
    assert found["pairs"][0]["rows"] >= found["pairs"][-1]["rows"]
    assert found["per_row"]["train"]["rows"] == 200


@pytest.mark.parametrize("pairs", [False, True])
def test_a_cleaned_copy_reads_as_the_rows_that_are_left(
    pairs: bool, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    if pairs:
        rows = [{"premise": row["text"], "hypothesis": f"{row['text']}?", "labels": row["labels"]} for row in rows]
    repeat, contradicted = rows[0], {**rows[1], "labels": ["joy", "fear", "anger"]}
    assert sorted(rows[1]["labels"]) != sorted(contradicted["labels"])
    audit = audit_source(DataSource(source=[*rows, repeat, contradicted]))
    dropped = write_clean(audit, tmp_path / "clean")
    assert len(dropped) == 3
    assert sorted(path.name for path in (tmp_path / "clean").iterdir()) == ["dropped.csv", "train.jsonl"]
    again = load_data(tmp_path / "clean")
    left = [row for row in rows if row is not rows[1]]
    texts = [(row["premise"], row["hypothesis"]) if pairs else row["text"] for row in left]
    found = {
        ((text.first, text.second) if isinstance(text, TextPair) else text): set(names)
        for split in again.splits
        for text, names in zip(split.texts, split.task.written(split.label_ids, split.labels), strict=True)
    }
    assert found == {text: set(row["labels"]) for text, row in zip(texts, left, strict=True)}
    assert set(again.labels) == {*WORDS, "spite, malice"}
    with (tmp_path / "clean" / "dropped.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3


def test_a_cleaned_copy_of_pairs_with_one_label_keeps_both_texts(tmp_path: Path) -> None:
    rows = [
        {"premise": f"first {number}", "hypothesis": f"second {number}", "label": "yes" if number % 2 else "no"}
        for number in range(30)
    ]
    write_clean(audit_source(DataSource(source=rows), label_errors=False), tmp_path / "clean")
    with (tmp_path / "clean" / "train.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"text1": row["premise"], "text2": row["hypothesis"], "label": row["label"]} for row in rows
        ]
    assert load_data(tmp_path / "clean").train.pairs is not None

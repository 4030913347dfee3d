"""`emotune evaluate`: what is scored, and how it is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotune.data.dataset import Split
from emotune.evaluation.scores import Evaluation, score
from emotune.models.classifier import Classifier

from .conftest import Invoke


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("message,mood\na happy day,joy\nrain,sadness\nsunny,joy\nalone,joy\n", encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _scoring(saved: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Score as the fake model predicts: joy where there is a "y"."""

    def evaluate(classifier: Classifier, split: Split, **_: Any) -> Evaluation:
        assert classifier is saved
        predictions = np.array([int("y" in text) for text in split.texts], dtype=np.int64)
        probabilities = np.where(np.eye(2)[predictions] == 1, 0.75, 0.25)
        return Evaluation(
            "tuned", split, probabilities, None, predictions, score(split, predictions, probabilities), seconds=0.5
        )

    monkeypatch.setattr("emotune.evaluation.evaluate.evaluate", evaluate)


def test_table(invoke: Invoke, data: Path) -> None:
    result = invoke("evaluate", "tuned", "--data", data, "--text-column", "message", "--label-column", "mood")
    assert result.exit_code == 0, result.stderr
    assert "4 rows" in result.stdout
    assert "accuracy" in result.stdout
    assert "0.7500" in result.stdout
    assert "sadness" in result.stdout


def test_json(invoke: Invoke, data: Path) -> None:
    result = invoke("evaluate", "tuned", "--data", data, "--text-column", "message", "--label-column", "mood", "--json")
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["rows"] == 4
    assert figures["accuracy"] == 0.75
    assert figures["loss"] == pytest.approx(-(3 * np.log(0.75) + np.log(0.25)) / 4)
    assert figures["per_class"]["joy"] == {"precision": 1.0, "recall": pytest.approx(2 / 3), "f1": 0.8, "support": 3}


def test_a_class_without_rows_is_named(invoke: Invoke, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("text,label\nsunny,joy\nalone,joy\n", encoding="utf-8")
    expected = "No row that was scored is labelled 'sadness': macro"
    assert expected in invoke("evaluate", "tuned", "--data", data).stdout
    assert json.loads(invoke("evaluate", "tuned", "--data", data, "--json").stdout)["note"].startswith(expected)


def test_columns_left_out_are_named_beside_the_figures(invoke: Invoke, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("question,sentence,label\nwhy?,sunny,joy\nhow?,alone,sadness\n", encoding="utf-8")
    result = invoke("evaluate", "tuned", "--data", data, "--json")
    expected = "Texts from column 'sentence', labels from column 'label'; not used: 'question'.\n"
    assert result.stderr.startswith(expected)
    assert json.loads(result.stdout)["rows"] == 2


def test_data_is_required(invoke: Invoke) -> None:
    result = invoke("evaluate", "tuned")
    assert result.exit_code == 2
    assert "--data" in result.stderr


@pytest.mark.parametrize("options", [["--data", "missing.csv"], ["--data", "bundled:sample", "--split", "none-such"]])
def test_data_that_is_not_there(invoke: Invoke, options: list[str]) -> None:
    result = invoke("evaluate", "tuned", *options)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_text_longer_than_allowed(invoke: Invoke, data: Path) -> None:
    columns = ("--text-column", "message", "--label-column", "mood")
    result = invoke("evaluate", "tuned", "--data", data, *columns, "--max-characters", "6")
    assert result.exit_code == 2
    assert "--max-characters" in result.stderr


def test_an_output_of_another_format_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("evaluate", "tuned", "--data", "x.csv", "--output", tmp_path / "predictions.json")
    assert result.exit_code == 2
    assert "its suffix names the format, .parquet or .csv" in " ".join(result.stderr.split())
    result = invoke("evaluate", "tuned", "--data", "x.csv", "--overwrite")
    assert result.exit_code == 2
    assert "--overwrite was given without --output" in result.stderr

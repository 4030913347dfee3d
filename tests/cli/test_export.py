"""`emotune export`: what it passes on, what it prints, and its exit code."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import emotune.exports.export as module
from emotune.system.errors import VerificationError

from .conftest import Invoke


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the library is asked for."""
    values: dict[str, Any] = {}

    def export(folder: Path, **options: Any) -> SimpleNamespace:
        values.update(options, folder=folder)
        return SimpleNamespace(folder=Path("tuned_onnx_int8"), pairs="text_pair_column" in options["reading"])

    monkeypatch.setattr(module, "export", export)
    return values


def test_what_is_passed_on(invoke: Invoke, asked: dict[str, Any]) -> None:
    options = [
        "--precision",
        "int8",
        "--margin",
        "1",
        "--data",
        "rows.csv",
        "--text-column",
        "body",
        "--encoding",
        "windows-1252",
        "--calibration",
        "train.csv",
        "--base",
        "b",
    ]
    result = invoke("export", "tuned", "--to", "onnx", *options, "--output", "out", "--overwrite")
    assert result.exit_code == 0, result.exception
    del asked["progress"]
    assert asked == {
        "folder": Path("tuned"),
        "to": "onnx",
        "precision": "int8",
        "margin": 1.0,
        "data": "rows.csv",
        "calibration": "train.csv",
        "reading": {"text_column": "body", "encoding": "windows-1252"},
        "base": "b",
        "output": Path("out"),
        "overwrite": True,
    }
    assert "run.py TEXT" in result.stdout
    assert str(Path("tuned_onnx_int8").resolve()) in result.stdout


def test_columns_of_pairs_are_passed_on(invoke: Invoke, asked: dict[str, Any]) -> None:
    result = invoke("export", "tuned", "--to", "onnx", "--data", "rows.csv", "--text-pair-column", "second")
    assert result.exit_code == 0, result.exception
    assert asked["reading"] == {"text_pair_column": "second"}
    assert "run.py FIRST SECOND" in result.stdout


def test_what_is_usual(invoke: Invoke, asked: dict[str, Any]) -> None:
    assert invoke("export", "tuned", "--to", "merged").exit_code == 0
    assert (asked["precision"], asked["margin"], asked["output"], asked["overwrite"]) == ("fp32", 0.5, None, False)


def test_an_export_that_differs(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(folder: Path, **_: Any) -> None:
        raise VerificationError("The export differs. Nothing was written.")

    monkeypatch.setattr(module, "export", export)
    result = invoke("export", "tuned", "--to", "onnx")
    assert result.exit_code == 1
    assert result.stderr == "The export differs. Nothing was written.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing", "--to", "onnx"], "no folder 'missing'"),
        (["missing", "--to", "tflite"], "--to is"),
        (["missing", "--to", "merged", "--precision", "int8"], "int8 needs onnx or openvino"),
        (["missing", "--to", "onnx", "--margin", "0"], "--margin is 0.0"),
    ],
)
def test_mistakes(arguments: list[str], message: str, invoke: Invoke) -> None:
    result = invoke("export", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) <= 3


def test_options_of_rows_without_rows_are_refused(invoke: Invoke, asked: dict[str, Any]) -> None:
    result = invoke("export", "tuned", "--to", "onnx", "--encoding", "latin-1")
    assert result.exit_code == 2
    assert "--encoding is about the rows of --data or --calibration" in result.stderr
    assert not asked

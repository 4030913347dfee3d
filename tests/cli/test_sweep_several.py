"""`emotune sweep` over rows with several labels: one command, a leaderboard, the best model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sklearn.metrics import accuracy_score, f1_score

from emotune.evaluation.saved import read_evaluation

from .conftest import Invoke


@pytest.mark.slow
def test_a_sweep_ranks_models_by_their_own_thresholds(
    invoke: Invoke, several_files: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    settings = {
        "model.max_length": "32",
        "training.epochs": "4",
        "training.learning_rate": "8e-3",
        "training.batch_tokens": "128",
        "training.precision": "fp32",
        "training.device": "cpu",
    }
    result = invoke(
        "sweep", "--data", several_files, "--label-separator", ",", "--label-column", "labels", "--models", tiny_bert,
        "--methods", "lora,head", "--seeds", "2", "--output", tmp_path / "sweep",
        *(part for name, value in settings.items() for part in ("--set", f"{name}={value}")),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    board = json.loads((tmp_path / "sweep/leaderboard.json").read_text(encoding="utf-8"))
    row = board["rows"][0]
    assert "test_accuracy" not in row
    assert "subset accuracy" in board["verdict"]
    assert "with the thresholds that were chosen" in " ".join(board["protocol"])
    best = read_evaluation(tmp_path / "sweep/best")
    truth = best.split.label_ids
    values = zip(row["test_subset_accuracy"]["values"], row["test_macro_f1"]["values"], strict=True)
    macro = f1_score(truth, best.predictions, average="macro", zero_division=0)
    assert pytest.approx((accuracy_score(truth, best.predictions), macro)) in list(values)
    assert "labels every test row as the trial did" in result.output
    # Other trials compare with the best as files of predictions, and as a folder that is scored anew.
    (trial,) = (tmp_path / "sweep/trials").glob("02-*-seed-0")
    compared = invoke(
        "compare", tmp_path / "sweep/best", trial / "predictions.parquet", "--output", tmp_path / "a.html"
    )
    assert compared.exit_code == 0, compared.output
    theirs = json.loads((trial / "result.json").read_text(encoding="utf-8"))["test"]
    assert f"{theirs['subset_accuracy']:.4f}" in compared.stdout
    assert "the tuned model" not in compared.stdout.lower()
    margin = invoke("compare", tmp_path / "sweep/best", trial / "predictions.parquet", "--margin", "1")
    assert margin.exit_code == 2
    scores = ["--data", several_files / "test.csv", "--label-separator", ",", "--base", tiny_bert]
    written = invoke("evaluate", tmp_path / "sweep/best", *scores, "--output", tmp_path / "again.csv")
    assert written.exit_code == 0, written.output
    same = invoke("compare", tmp_path / "sweep/best", tmp_path / "again.csv", "--output", tmp_path / "b.html")
    assert same.exit_code == 0, same.output
    assert f"{best.right_share:.4f}" in same.stdout


@pytest.mark.parametrize("option", [("--track", "tensorboard"), ("--full-baseline",)])
def test_what_the_best_one_would_be_refused_for_is_refused_before_any_trial(
    invoke: Invoke,
    several_files: Path,
    tiny_bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(
        "sweep", "--data", several_files, "--label-separator", ",", "--label-column", "labels", "--models", tiny_bert,
        "--methods", "head", "--seeds", "2", "--output", "sweep", *option,
    )  # fmt: skip
    assert result.exit_code == 2
    assert "several labels per row" in result.output
    assert "training.seeds" not in result.output
    assert not (tmp_path / "sweep").exists()

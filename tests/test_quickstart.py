"""The quickstart as a new user runs it: the whole job in a process of its own, on the bundled data and weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.data.test_sample import bag_of_words_accuracy, read_rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """The saved folder, its emotune.json, and what the command printed."""
    folder = tmp_path_factory.mktemp("quickstart") / "tuned"
    command = [sys.executable, "-m", "emotune", "run", "--preset", "quickstart", "--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "the job warns nobody of anything"
    return folder, json.loads((folder / "emotune.json").read_text(encoding="utf-8")), done.stdout


def test_beats_chance_and_words_and_says_first_how_it_stands_against_the_best_baseline(
    quickstart: tuple[Path, dict[str, Any], str],
) -> None:
    _, description, printed = quickstart
    metrics = description["metrics"]
    tuned, baselines = metrics["after"], metrics["baselines"]
    assert tuned["accuracy"] >= metrics["before"]["accuracy"] + 0.40
    assert set(baselines) == {"majority class", "TF-IDF", "frozen features"}
    for name in ("majority class", "TF-IDF"):
        assert tuned["accuracy"] > baselines[name]["accuracy"], name
        assert tuned["macro_f1"] > baselines[name]["macro_f1"], name
    # All layers of the frozen encoder are a strong opponent: 225 rows need not show which of the two is better.
    assert tuned["accuracy"] > baselines["frozen features"]["accuracy"] - 0.05
    assert metrics["best_baseline"] == "frozen features"
    first, last = description["verdict"].index("best baseline"), description["verdict"].index("chance")
    assert "'frozen features'" in description["verdict"][: first + 60]
    assert first < last
    assert "one seed" in description["verdict"]
    assert " ".join(description["verdict"].split()) in " ".join(printed.split())


def test_a_bag_of_words_does_not_reach_it(quickstart: tuple[Path, dict[str, Any], str]) -> None:
    assert bag_of_words_accuracy(read_rows()) < quickstart[1]["metrics"]["after"]["accuracy"]


def test_predictions_agree_with_the_metrics(quickstart: tuple[Path, dict[str, Any], str]) -> None:
    import pyarrow.parquet as pq
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    folder, description, _ = quickstart
    rows = pq.read_table(folder / "predictions.parquet").to_pydict()
    labels = description["labels"]
    assert list(rows) == ["text", "label", "prediction", *(f"p_{label}" for label in labels)]
    after = description["metrics"]["after"]
    assert accuracy_score(rows["label"], rows["prediction"]) == pytest.approx(after["accuracy"])
    assert f1_score(rows["label"], rows["prediction"], average="macro") == pytest.approx(after["macro_f1"])
    # scikit-learn wants the columns in the labels' alphabetical order.
    columns = list(zip(*(rows[f"p_{label}"] for label in sorted(labels)), strict=True))
    assert log_loss(rows["label"], columns, labels=sorted(labels)) == pytest.approx(after["loss"])


def test_shows_every_step(quickstart: tuple[Path, dict[str, Any], str]) -> None:
    printed = quickstart[2]
    places = [printed.index(f"[{number}/8]") for number in range(1, 9)]
    assert places == sorted(places)
    for said in (
        "measures chance",
        "majority class",
        "frozen features",
        "rows fixed",
        "rows broken",
        "trained parameters",
    ):
        assert said in printed

"""Labels that have an order: read, refused where the order is not known, scored, compared and saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from emotune.data.load import load_data, load_split
from emotune.folder.load import load
from emotune.pipeline import run
from emotune.settings.run import RunConfig
from emotune.system.errors import DataError
from emotune.tasks.ordered import ORDERED, OrderedMetrics, OrderedStatistics
from emotune.tasks.registry import TASKS, task_of

from ..conftest import Recording, described
from ..facts import facts

if TYPE_CHECKING:
    from ..conftest import Run

SIZES = ("low", "medium", "high")


@pytest.fixture
def sizes(tmp_path: Path) -> Path:
    path = tmp_path / "sizes.csv"
    rows = [f"text number {number} is {SIZES[number % 3]},{SIZES[number % 3]}" for number in range(60)]
    path.write_text("\n".join(["text,label", *rows, ""]))
    return path


@pytest.fixture
def stars(tmp_path: Path) -> Path:
    path = tmp_path / "stars.csv"
    rows = [f"text number {number} is {number % 12},{number % 12}" for number in range(120)]
    path.write_text("\n".join(["text,label", *rows, ""]))
    return path


def test_numbers_are_in_their_own_order(stars: Path) -> None:
    data = load_data(stars, ordered=True)
    assert data.task is ORDERED
    assert data.labels == tuple(map(str, range(12)))
    assert load_split(stars, labels=data.labels, task=ORDERED).task is ORDERED


def test_names_need_one(sizes: Path) -> None:
    with pytest.raises(DataError, match=facts("'high', 'low', 'medium' are not numbers", "--labels LOW,...,HIGH")):
        load_data(sizes, ordered=True)
    assert load_data(sizes, ordered=True, labels=SIZES).labels == SIZES


def test_scores_count_steps() -> None:
    truth, predictions = np.array([0, 1, 2, 2]), np.array([0, 2, 0, 2])
    found = ORDERED.score(truth, predictions, None, SIZES)
    assert isinstance(found, OrderedMetrics)
    assert (found.accuracy, found.mean_absolute_error, found.off_by) == (0.5, 0.75, (0.5, 0.25, 0.25))
    assert isinstance(ORDERED.compare(truth, truth, predictions, SIZES), OrderedStatistics)
    columns = ORDERED.columns(truth, predictions, np.full((4, 3), 1 / 3), SIZES)
    assert columns["steps_off"] == [0, 1, -2, 0]


def test_a_plain_model_is_of_the_task_without_an_order() -> None:
    assert task_of({"problem_type": "single_label_classification"}, SIZES) is TASKS["single-label"]
    assert TASKS["ordered"] is ORDERED


@pytest.mark.slow
def test_a_run_shows_and_saves_steps(tiny_run: Run, tmp_path: Path) -> None:
    settings = tiny_run.settings | {
        "data.labels": ["sadness", "fear", "anger", "surprise", "love", "joy"],
        "data.ordered": True,
        "output.folder": str(tmp_path / "ordered"),
    }
    progress = Recording()
    result = run(RunConfig.load(overrides=settings), progress)
    assert result.verification.ok
    after = result.comparison.after
    assert isinstance(after.metrics, OrderedMetrics)
    steps = after.predictions - after.split.label_ids
    assert after.metrics.mean_absolute_error == pytest.approx(np.abs(steps).mean())
    assert "steps of the order on average" in result.verdict
    assert "steps of the order on average" in result.report.read_text()
    saved = described(result.folder)
    assert saved["task"] == "ordered"
    assert saved["metrics"]["after"]["off_by"] == pytest.approx(list(after.metrics.off_by))
    assert pq.read_table(result.folder / "predictions.parquet").column("steps_off").to_pylist() == steps.tolist()
    assert load(result.folder, base=result.local_base).task is ORDERED

"""A sweep in TensorBoard: one folder for the sweep, with the leaderboard, and one folder in it per trial, with curves."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from emotune.sweep import job
from emotune.sweep.engines import Files, LocalEngine, OnEpoch
from emotune.sweep.plan import Trial
from emotune.sweep.trial import RESULT

from ..conftest import Recording
from .conftest import FakeEngine, MakePlan
from .test_job import refits as refits

SETTINGS = {"tracking__to": ["tensorboard"], "tracking__name": "mine"}


def read(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's own
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        found = EventAccumulator(str(folder))
        found.Reload()
    return found


@pytest.mark.slow
def test_trials_get_the_group_of_the_sweep_which_gets_the_leaderboard(
    make_plan: MakePlan, engine: FakeEngine, refits: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "runs"))
    groups = []
    original = engine.run

    def remember(trial: Trial, on_epoch: OnEpoch) -> Files:
        groups.append(trial.group)
        return original(trial, on_epoch)

    monkeypatch.setattr(engine, "run", remember)
    plan = make_plan(**SETTINGS)
    progress = Recording()
    result = job.sweep(plan, lambda folder: engine, progress)
    folder = tmp_path / "runs" / "mine"
    assert groups == [{"name": "mine", "tensorboard": {"folder": str(folder)}}] * 4
    json.dumps(groups)
    final = read(folder)
    text = final.Tensors("results/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "LoRA" in text
    assert "Protocol:" in text
    best = result.leaderboard.rows[0]
    assert final.Scalars("test/accuracy")[0].value == pytest.approx(best.test_right.mean)
    assert any(line.startswith("tensorboard has the results") for line in progress.lines)


def test_without_trackers_there_is_no_group(
    make_plan: MakePlan, engine: FakeEngine, refits: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = []
    original = engine.run

    def remember(trial: Trial, on_epoch: OnEpoch) -> Files:
        groups.append(trial.group)
        return original(trial, on_epoch)

    monkeypatch.setattr(engine, "run", remember)
    job.sweep(make_plan(), lambda folder: engine, Recording())
    assert groups == [None] * 4


@pytest.mark.slow
def test_a_trial_in_its_own_process_reports_its_curves(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(**SETTINGS)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    group = {"name": "mine", "tensorboard": {"folder": str(tmp_path / "runs" / "mine")}}
    trial = plan.candidates[0].trial(0)
    trial = Trial(trial.key, trial.label, trial.config, scores_test=False, group=group)
    engine = LocalEngine(1, tmp_path / "work")
    files = engine.run(trial, lambda epoch, macro_f1: True)
    result = json.loads(files[RESULT])
    assert result["not_tracked"] == {}
    curves = read(tmp_path / "runs" / "mine" / trial.key)
    assert [event.value for event in curves.Scalars("eval/macro_f1")] == pytest.approx(result["epochs"])
    assert curves.Scalars("validation/macro_f1")[0].value == pytest.approx(result["validation"]["macro_f1"])


@pytest.mark.slow
def test_a_trial_that_cannot_report_is_finished_and_says_so(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(**SETTINGS)
    (tmp_path / "file").write_text("")
    group = {"name": "mine", "tensorboard": {"folder": str(tmp_path / "file" / "below")}}
    trial = plan.candidates[0].trial(0)
    trial = Trial(trial.key, trial.label, trial.config, scores_test=False, group=group)
    files = LocalEngine(1, tmp_path / "work").run(trial, lambda epoch, macro_f1: True)
    assert "tensorboard" in json.loads(files[RESULT])["not_tracked"]

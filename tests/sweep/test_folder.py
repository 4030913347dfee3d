"""The sweep's folder: what finished stays, nothing else is lost, and another plan is refused."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path

import pytest

from emotune.folder.format import PREDICTIONS, versions
from emotune.sweep.folder import STAMP, SweepFolder
from emotune.sweep.plan import Plan, with_settings
from emotune.sweep.trial import RESULT
from emotune.system.errors import ArtifactError, OutputError

from ..facts import facts
from .conftest import FakeEngine, MakePlan, made_up


def claimed(make_plan: MakePlan, data: str = "data", **settings: object) -> SweepFolder:
    """A folder that was checked and claimed once."""
    folder = SweepFolder(make_plan(**settings))
    folder.check()
    with folder.claimed(data):
        pass
    return folder


def test_results_are_found_again(make_plan: MakePlan, engine: FakeEngine, tmp_path: Path) -> None:
    folder = claimed(make_plan)
    trial = folder.plan.candidates[0].trial(0)
    assert folder.result(trial) is None
    folder.store(trial, made_up(trial, engine.data, 0.8, tmp_path), 12.5, "here")
    found = SweepFolder(make_plan()).result(trial)
    assert found is not None
    assert found.wall_seconds == 12.5
    assert found.found["trial"] == "LoRA, seed 0"
    assert found.evaluation().metrics.accuracy == found.found["test"]["accuracy"]
    assert folder.result(folder.plan.candidates[0].trial(1)) is None


def test_a_failure_is_found_until_the_trial_finishes(make_plan: MakePlan, engine: FakeEngine, tmp_path: Path) -> None:
    folder = claimed(make_plan)
    trial = folder.plan.candidates[0].trial(0)
    folder.store_failure(trial, "no memory left", 3.0)
    assert folder.failure(trial) == "no memory left"
    assert folder.result(trial) is None
    folder.store(trial, made_up(trial, engine.data, 0.8, tmp_path), 1.0, "here")
    assert folder.failure(trial) is None


def test_changed_predictions_are_refused(make_plan: MakePlan, engine: FakeEngine, tmp_path: Path) -> None:
    folder = claimed(make_plan)
    trial = folder.plan.candidates[0].trial(0)
    found = folder.store(trial, made_up(trial, engine.data, 0.8, tmp_path), 1.0, "here")
    (found.folder / PREDICTIONS).write_bytes(b"else")
    with pytest.raises(ArtifactError, match="not the file that the trial wrote"):
        found.evaluation()


@pytest.mark.parametrize("missing", [RESULT, PREDICTIONS])
def test_half_a_result_is_none(make_plan: MakePlan, engine: FakeEngine, tmp_path: Path, missing: str) -> None:
    folder = claimed(make_plan)
    trial = folder.plan.candidates[0].trial(0)
    (folder.store(trial, made_up(trial, engine.data, 0.8, tmp_path), 1.0, "here").folder / missing).unlink()
    assert folder.result(trial) is None


def test_a_sweep_is_not_replaced_unasked(make_plan: MakePlan) -> None:
    claimed(make_plan)
    with pytest.raises(OutputError, match=facts("a sweep already", "0 finished trials", "--resume")):
        SweepFolder(make_plan()).check()


def test_overwriting_takes_away_the_sweep_and_nothing_else(make_plan: MakePlan) -> None:
    folder = claimed(make_plan)
    folder.store_failure(folder.plan.candidates[0].trial(0), "x", 1.0)
    folder.write("leaderboard.md", "old")
    (folder.path / "notes.txt").write_text("mine")
    claimed(make_plan, output__overwrite=True)
    assert {path.name for path in folder.path.iterdir()} == {STAMP, ".lock", "notes.txt"}


def test_what_is_no_sweep_is_left_alone(make_plan: MakePlan, tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"not empty|has no sweep\.json, so it is not a result of emotune"):
            SweepFolder(make_plan(output__overwrite=overwrite)).check()
    assert (tmp_path / "sweep" / "thesis.txt").read_text() == "mine"


def test_resuming_needs_a_sweep(make_plan: MakePlan) -> None:
    with pytest.raises(OutputError, match="no sweep to resume"):
        SweepFolder(resumed(make_plan)).check()


def test_resuming_needs_the_same_plan(make_plan: MakePlan) -> None:
    claimed(make_plan)
    SweepFolder(resumed(make_plan)).check()
    with pytest.raises(OutputError, match="has another plan"):
        SweepFolder(resumed(make_plan, training__epochs=5)).check()


def test_resuming_needs_the_same_versions(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed(make_plan)
    now = versions()
    monkeypatch.setattr("emotune.sweep.folder.versions", lambda: {**now, "torch": "9.9"})
    with pytest.raises(OutputError, match=facts("other versions", "torch", "9.9 now", "Install")):
        SweepFolder(resumed(make_plan)).check()


def test_a_trial_with_other_settings_is_another_trial(make_plan: MakePlan, engine: FakeEngine, tmp_path: Path) -> None:
    """After another search the same candidate has other settings, and the same folder."""
    folder = claimed(make_plan)
    trial = folder.plan.candidates[0].trial(0)
    folder.store(trial, made_up(trial, engine.data, 0.8, tmp_path), 1.0, "here")
    other = folder.plan.candidates[0].trial(0, {"training.learning_rate": 1e-3})
    assert other.key == trial.key
    assert folder.result(other) is None
    assert folder.result(trial) is not None


def test_resuming_needs_the_same_data(make_plan: MakePlan) -> None:
    claimed(make_plan, "old")
    folder = SweepFolder(resumed(make_plan))
    with pytest.raises(OutputError, match="data has changed"), folder.claimed("new"):
        pytest.fail("it was claimed")


def test_a_damaged_stamp_is_no_license(make_plan: MakePlan) -> None:
    folder = claimed(make_plan)
    (folder.path / STAMP).write_text("{")
    with pytest.raises(OutputError, match="holds a sweep already"):
        SweepFolder(make_plan()).check()
    with pytest.raises(OutputError, match="another plan"):
        SweepFolder(resumed(make_plan)).check()


def test_two_processes_do_not_work_in_it_at_once(make_plan: MakePlan) -> None:
    folder = claimed(make_plan)
    other = SweepFolder(resumed(make_plan))
    with (
        folder.claimed("data"),
        pytest.raises(OutputError, match="Another process is working"),
        other.claimed("data"),
    ):
        pytest.fail("it was claimed twice")


def test_a_full_disk_says_how_to_go_on(
    make_plan: MakePlan, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = claimed(make_plan)
    trial = folder.plan.candidates[0].trial(0)
    files = made_up(trial, engine.data, 0.8, tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=facts("No space left on device", "Finished trials are kept", "make room")):
        folder.store(trial, files, 1.0, "here")
    with pytest.raises(OutputError, match="No space left"):
        folder.write("leaderboard.md", "x")
    assert folder.result(trial) is None
    assert not list((folder.path / "trials").iterdir())


def resumed(make_plan: MakePlan, **settings: object) -> Plan:
    """The plan, to be resumed."""
    plan = make_plan(**settings)
    return dataclasses.replace(plan, base=with_settings(plan.base, {"training.resume": True}))

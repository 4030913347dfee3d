"""Search: within the ranges, on validation alone, stopped early where it lags behind, and the same whether resumed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emotune.sweep.folder import SweepFolder
from emotune.sweep.job import search
from emotune.sweep.plan import Trial
from emotune.sweep.schedule import run_jobs

from ..conftest import Recording
from .conftest import FakeEngine, MakePlan

pytest.importorskip("optuna", reason="optuna is not installed: the extra emotune[search]")

from emotune.sweep.search import FAILED, FINISHED, STOPPED, Search, SearchJob

RANGES = {
    "methods": ["lora"],
    "searched": 8,
    "search": {
        "training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "method.r": {"low": 2, "high": 64},
        "training.warmup": [0.0, 0.1],
    },
}


def by_rate(trial: Trial) -> float:
    """The quality of a trial is its learning rate, as it were."""
    return min(0.95, 0.3 + 6 * (trial.config.training.learning_rate or 0))


@pytest.fixture
def lively(engine: FakeEngine) -> FakeEngine:
    engine.quality = by_rate
    return engine


def test_finds_what_validation_likes_best_within_the_ranges(make_plan: MakePlan, lively: FakeEngine) -> None:
    plan = make_plan(RANGES)
    folder = SweepFolder(plan)
    progress = Recording()
    (found,), failures = search(plan, plan.candidates, 100, folder, lively, progress)
    assert failures == {}
    records = folder.searched(plan.candidates[0])
    assert sorted(records) == list(range(8))
    for record in records.values():
        settings = record["settings"]
        assert 1e-4 <= settings["training.learning_rate"] <= 1e-1
        assert isinstance(settings["method.r"], int)
        assert 2 <= settings["method.r"] <= 64
        assert settings["training.warmup"] in (0.0, 0.1)
    finished = [record for record in records.values() if record["state"] == FINISHED]
    best = max(finished, key=lambda record: record["macro_f1"])
    assert found.config.training.learning_rate == best["settings"]["training.learning_rate"]
    assert dict(found.config.method)["r"] == best["settings"]["method.r"]
    assert found.key == plan.candidates[0].key
    assert found.label.startswith("LoRA, found: learning_rate ")
    assert len(progress.lines) > 8


def test_what_lags_behind_is_stopped_early(make_plan: MakePlan, lively: FakeEngine) -> None:
    plan = make_plan({**RANGES, "searched": 20})
    folder = SweepFolder(plan)
    search(plan, plan.candidates, 100, folder, lively, Recording())
    records = folder.searched(plan.candidates[0]).values()
    stopped = [record for record in records if record["state"] == STOPPED]
    finished = [record for record in records if record["state"] == FINISHED]
    assert stopped
    assert finished
    assert {len(record["epochs"]) for record in finished} == {3}
    assert all(len(record["epochs"]) < 3 for record in stopped)
    mean = sum(record["epochs"]["1"] for record in finished) / len(finished)
    assert sum(record["epochs"]["1"] for record in stopped) / len(stopped) < mean


def test_no_trial_of_a_search_scores_the_test_split(make_plan: MakePlan, lively: FakeEngine) -> None:
    plan = make_plan(RANGES)
    run = lively.run

    def watched(trial: Trial, on_epoch: Any) -> Any:
        assert not trial.scores_test
        return run(trial, on_epoch)

    lively.run = watched  # type: ignore[method-assign]
    search(plan, plan.candidates, 100, SweepFolder(plan), lively, Recording())


def test_a_search_that_was_cut_short_ends_as_if_it_had_not_been(
    make_plan: MakePlan, lively: FakeEngine, tmp_path: Path
) -> None:
    def records(name: str, *sessions: int) -> list[dict[str, Any]]:
        """The records after sessions that each do so many trials."""
        plan = make_plan({**RANGES, "searched": 12}, output__folder=str(tmp_path / name))
        candidate = plan.candidates[0]
        for session in sessions:
            found = Search(candidate, SweepFolder(plan), seed=0)
            open_numbers = [number for number in range(12) if number not in found.records]
            run_jobs([SearchJob(found, number, 3) for number in open_numbers[:session]], lively, Recording())
        kept = SweepFolder(plan).searched(candidate)
        return [{key: value for key, value in kept[n].items() if key != "wall_seconds"} for n in sorted(kept)]

    whole = records("whole", 12)
    assert len(whole) == 12
    assert {record["state"] for record in whole} == {FINISHED, STOPPED}
    assert records("pieces", 3, 5, 4) == whole


def test_a_trial_that_fails_costs_only_itself(make_plan: MakePlan, lively: FakeEngine) -> None:
    plan = make_plan(RANGES)
    run, calls = lively.run, iter(range(100))

    def failing(trial: Trial, on_epoch: Any) -> Any:
        from emotune.sweep.engines import TrialFailed

        if next(calls) in (0, 3):
            raise TrialFailed("no memory left")
        return run(trial, on_epoch)

    lively.run = failing  # type: ignore[method-assign]
    progress = Recording()
    (found,), failures = search(plan, plan.candidates, 100, SweepFolder(plan), lively, progress)
    assert found.config.training.learning_rate
    assert failures == {}
    assert progress.lines[-1].endswith("; 2 failed, such as: no memory left")


def test_a_search_that_finds_nothing_is_a_failure_of_its_candidate(make_plan: MakePlan, engine: FakeEngine) -> None:
    from emotune.sweep.engines import TrialFailed

    plan = make_plan({**RANGES, "methods": ["lora", "full"], "search": {"training.warmup": [0.0, 0.1]}, "searched": 2})
    run = engine.run

    def failing(trial: Trial, on_epoch: Any) -> Any:
        if trial.config.method.name == "full":
            raise TrialFailed("no memory left")
        return run(trial, on_epoch)

    engine.run = failing  # type: ignore[method-assign]
    found, failures = search(plan, plan.candidates, 100, SweepFolder(plan), engine, Recording())
    assert [candidate.config.method.name for candidate in found] == ["lora"]
    assert failures == {"full fine-tuning, search": "no memory left"}


def test_settings_that_contradict_each_other_cost_only_their_trial(make_plan: MakePlan, engine: FakeEngine) -> None:
    ranges = {"training.sampling": ["plain", "balanced"], "training.class_weights": ["none", "balanced"]}
    plan = make_plan({"methods": ["lora"], "search": ranges, "searched": 12})
    folder = SweepFolder(plan)
    (found,), failures = search(plan, plan.candidates, 100, folder, engine, Recording())
    assert failures == {}
    records = folder.searched(plan.candidates[0]).values()
    both = [r for r in records if r["settings"] == dict.fromkeys(ranges, "balanced")]
    assert both
    assert all(record["state"] == FAILED and "correct the same twice" in record["message"] for record in both)
    assert all(record["state"] != FAILED for record in records if record not in both)
    assert (found.config.training.sampling, found.config.training.class_weights) != ("balanced", "balanced")


def test_what_failed_is_tried_again(make_plan: MakePlan, lively: FakeEngine) -> None:
    from emotune.sweep.engines import TrialFailed

    plan = make_plan(RANGES)
    run = lively.run

    def failing(trial: Trial, on_epoch: Any) -> Any:
        raise TrialFailed("no memory left")

    lively.run = failing  # type: ignore[method-assign]
    found, failures = search(plan, plan.candidates, 100, SweepFolder(plan), lively, Recording())
    assert found == []
    assert failures == {"LoRA, search": "no memory left"}
    lively.run = run  # type: ignore[method-assign]
    (candidate,), failures = search(plan, plan.candidates, 100, SweepFolder(plan), lively, Recording())
    assert failures == {}
    assert candidate.label.startswith("LoRA, found: ")

"""The whole sweep: every trial once, failures kept apart, resumed where it stopped, and the best one handed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from emotune.folder.format import PREDICTIONS
from emotune.methods import refusals
from emotune.settings.run import RunConfig
from emotune.sweep import job
from emotune.sweep.engines import Files, OnEpoch
from emotune.sweep.plan import Plan, Trial
from emotune.sweep.trial import RESULT, run_trial
from emotune.system.errors import ConfigError, DataError, HubError, ModelError

from ..conftest import Recording, described
from ..facts import facts
from .conftest import FakeEngine, MakePlan
from .test_folder import resumed

if TYPE_CHECKING:
    from emotune.sweep.folder import SweepFolder

Sweep = Callable[..., job.SweepResult]


@pytest.fixture
def refits(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The configurations of the main jobs that were asked for; none is done."""
    asked: list[RunConfig] = []

    def run(config: RunConfig, progress: Any, **_: Any) -> SimpleNamespace:
        asked.append(config)
        return SimpleNamespace(folder=Path(config.output.folder))

    monkeypatch.setattr("emotune.pipeline.run", run)

    def saved(folder: Path) -> Any:
        return next(iter(evaluations))

    evaluations: list[Any] = []
    from emotune.sweep import folder

    original = folder.TrialResult.evaluation

    def remember(result: folder.TrialResult) -> Any:
        found = original(result)
        evaluations[:] = [found]
        return found

    monkeypatch.setattr(folder.TrialResult, "evaluation", remember)
    monkeypatch.setattr("emotune.sweep.job.read_evaluation", saved)
    return asked


def sweep(plan: Plan, engine: FakeEngine, progress: Recording | None = None) -> job.SweepResult:
    return job.sweep(plan, lambda folder: engine, progress or Recording())


def test_every_trial_once_and_the_best_by_validation_is_handed_over(
    make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]
) -> None:
    plan = make_plan()
    progress = Recording()
    result = sweep(plan, engine, progress)
    assert engine.ran == ["LoRA, seed 0", "full fine-tuning, seed 0", "LoRA, seed 1", "full fine-tuning, seed 1"]
    assert [row.label for row in result.leaderboard.rows] == ["LoRA", "full fine-tuning"]
    best = max((0, 1), key=lambda seed: trial_score(plan, f"01-lora-seed-{seed}"))
    (config,) = refits
    assert (config.method.name, config.training.seed) == ("lora", best)
    assert config.data_arguments()["seed"] == 0
    assert config.output.folder == str(plan.folder / "best")
    assert progress.steps == ["Data", "Models", "Trials", "Leaderboard"]
    assert progress.finished == progress.steps
    assert {path.name for path in plan.folder.iterdir()} == {
        ".lock",
        "leaderboard.html",
        "leaderboard.json",
        "leaderboard.md",
        "sweep.json",
        "trials",
    }
    written = json.loads((plan.folder / "leaderboard.json").read_text())
    assert [row["label"] for row in written["rows"]] == ["LoRA", "full fine-tuning"]
    assert written["rows"][0]["test_accuracy"]["mean"] == result.leaderboard.rows[0].test_right.mean
    assert written["best"]["trial"] == f"01-lora-seed-{best}"


def trial_score(plan: Plan, key: str) -> float:
    found = json.loads((plan.folder / "trials" / key / RESULT).read_text())
    return float(found["validation"]["macro_f1"])


def test_no_path_of_this_machine_is_written(make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]) -> None:
    plan = make_plan()
    sweep(plan, engine)
    for path in plan.folder.rglob("*.*"):
        if path.suffix in (".json", ".md", ".html"):
            assert str(plan.folder.parent) not in path.read_text(), path
            assert "/tmp" not in path.read_text(), path


def test_failures_cost_only_themselves(make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]) -> None:
    engine.fail = {"LoRA, seed 0": "no memory left", "full fine-tuning, seed 1": "no <b>memory</b>"}
    result = sweep(make_plan(), engine)
    assert len(engine.ran) == 4
    assert result.leaderboard.failures == engine.fail
    assert [(row.label, row.missing) for row in result.leaderboard.rows] == [("LoRA", (0,)), ("full fine-tuning", (1,))]
    assert result.leaderboard.rows[1].against_best is None  # no seed in common
    page = (result.folder / "leaderboard.html").read_text()
    assert "no &lt;b&gt;memory&lt;/b&gt;" in page


def test_what_cannot_be_trained_is_left_out_before_anything_runs(
    make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(refusals.REFUSED, ("full", "bert"), "it is too slow")
    progress = Recording()
    result = sweep(make_plan(), engine, progress)
    assert engine.ran == ["LoRA, seed 0", "LoRA, seed 1"]
    assert "it is too slow" in result.leaderboard.failures["full fine-tuning"]
    assert any(line.startswith("full fine-tuning is left out: ") for line in progress.lines)


def test_a_target_module_that_matches_nothing_is_found_before_anything_runs(
    make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]
) -> None:
    methods = [{"name": "lora", "target_modules": ["v_proj"]}, "full"]
    result = sweep(make_plan({"methods": methods}), engine)
    assert engine.ran == ["full fine-tuning, seed 0", "full fine-tuning, seed 1"]
    (reason,) = result.leaderboard.failures.values()
    assert "'v_proj' matches no linear layer" in reason
    assert "value" in reason


def test_where_nothing_can_be_trained_nothing_runs(
    make_plan: MakePlan, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("lora", "full"):
        monkeypatch.setitem(refusals.REFUSED, (method, "bert"), "it is too slow")
    with pytest.raises(ConfigError, match=facts("None of the sweep's configurations", "it is too slow")):
        sweep(make_plan(), engine)
    assert engine.ran == []


def test_a_rate_of_another_method_is_named_before_anything_runs(
    make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]
) -> None:
    progress = Recording()
    sweep(make_plan(training__learning_rate=1e-3), engine, progress)
    (line,) = [line for line in progress.lines if "is far above" in line]
    assert line.startswith("full fine-tuning: the learning rate 0.001 is far above the 0.0001")


@pytest.mark.slow
def test_warnings_and_places_stand_on_the_leaderboard(
    make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]
) -> None:
    run = engine.run

    def warned(trial: Trial, on_epoch: OnEpoch) -> Files:
        files = run(trial, on_epoch)
        found = json.loads(files[RESULT])
        full = trial.config.method.name == "full"
        return {**files, RESULT: json.dumps({**found, "warnings": ["one <b>label</b>"] if full else []}).encode()}

    engine.run = warned  # type: ignore[method-assign]
    result = sweep(make_plan(), engine)
    assert result.leaderboard.warnings == {"full fine-tuning": ("one <b>label</b>",)}
    assert result.leaderboard.places == ("nowhere",)
    page = (result.folder / "leaderboard.html").read_text()
    assert "full fine-tuning: one &lt;b&gt;label&lt;/b&gt;" in page
    assert "cannot be compared" not in page
    engine.description = "elsewhere"
    (result.folder / "trials" / "01-lora-seed-0" / RESULT).unlink()
    again = sweep(resumed(make_plan), engine)
    assert set(again.leaderboard.places) == {"nowhere", "elsewhere"}
    page = (result.folder / "leaderboard.html").read_text()
    assert "Times and memory of trials in different places cannot be compared." in page


def test_a_base_model_that_has_changed_between_trials_is_refused(
    make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]
) -> None:
    run = engine.run

    def moving(trial: Trial, on_epoch: OnEpoch) -> Files:
        files = run(trial, on_epoch)
        found = {**json.loads(files[RESULT]), "revision": f"commit {trial.config.training.seed}"}
        return {**files, RESULT: json.dumps(found).encode()}

    engine.run = moving  # type: ignore[method-assign]
    with pytest.raises(DataError, match=facts("changed between trials", "commit 0, commit 1")):
        sweep(make_plan(), engine)


@pytest.mark.slow
def test_resumed_only_what_is_missing_or_failed_is_run(
    make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]
) -> None:
    engine.fail = {"full fine-tuning, seed 0": "no memory left"}
    engine.interrupt_at = "LoRA, seed 1"
    with pytest.raises(KeyboardInterrupt):
        sweep(make_plan(), engine)
    assert not refits
    assert not (make_plan().folder / "leaderboard.md").exists()
    engine.fail, engine.interrupt_at, engine.ran = {}, None, []
    progress = Recording()
    result = sweep(resumed(make_plan), engine, progress)
    assert engine.ran == ["full fine-tuning, seed 0", "LoRA, seed 1", "full fine-tuning, seed 1"]
    assert "1 of 4 were done before" in progress.lines
    assert any(line.startswith("2/4 full fine-tuning, seed 0: validation macro-F1 0.") for line in progress.lines)
    assert not result.leaderboard.failures
    # Once more: there is nothing left to run.
    engine.ran = []
    again = sweep(resumed(make_plan), engine)
    assert engine.ran == []
    assert again.leaderboard.rows == result.leaderboard.rows


def test_nothing_finished(make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]) -> None:
    plan = make_plan()
    engine.fail = {
        f"{candidate.label}, seed {seed}": "no memory left" for candidate in plan.candidates for seed in (0, 1)
    }
    with pytest.raises(
        job.SweepFailed, match=facts("None of the sweep's trials", "4 failed", "no memory left")
    ) as raised:
        sweep(plan, engine)
    assert raised.value.exit_code == 1
    assert not refits


def test_what_is_wrong_with_data_or_models_comes_up_before_any_trial_and_writes_nothing(
    make_plan: MakePlan, engine: FakeEngine, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="No such file"):
        sweep(make_plan(data__source=str(tmp_path / "missing.csv")), engine)
    with pytest.raises((ModelError, HubError), match="none-such"):
        sweep(make_plan({"models": [str(tmp_path / "none-such")]}), engine)
    assert engine.ran == []
    assert not make_plan().folder.exists()


def test_overwriting_waits_until_data_and_models_are_there(
    make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig], tmp_path: Path
) -> None:
    sweep(make_plan(), engine)
    with pytest.raises((ModelError, HubError)):
        sweep(make_plan({"models": [str(tmp_path / "none-such")]}, output__overwrite=True), engine)
    assert (make_plan().folder / "leaderboard.md").exists()


def test_a_trial_that_saw_other_data_is_no_part_of_it(
    make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]
) -> None:
    run = engine.run

    def other(trial: Trial, on_epoch: OnEpoch) -> Files:
        files = run(trial, on_epoch)
        return {**files, RESULT: json.dumps({**json.loads(files[RESULT]), "data": "other"}).encode()}

    engine.run = other  # type: ignore[method-assign]
    with pytest.raises(DataError, match="used other data"):
        sweep(make_plan(), engine)


@pytest.mark.slow
def test_a_search_goes_before_the_trials(make_plan: MakePlan, engine: FakeEngine, refits: list[RunConfig]) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed: the extra emotune[search]")
    plan = make_plan({"searched": 3})
    progress = Recording()
    result = sweep(plan, engine, progress)
    assert progress.steps == ["Data", "Models", "Search", "Trials", "Leaderboard"]
    assert len(engine.ran) == 2 * 3 + 4
    assert all(", found: learning_rate" in row.label for row in result.leaderboard.rows)
    engine.ran = []
    sweep(resumed(make_plan, sweep={"searched": 3}), engine)
    assert engine.ran == []


class InProcess(FakeEngine):
    """Runs trials for good, in this process."""

    def run(self, trial: Trial, on_epoch: OnEpoch) -> Files:
        folder = self.folder / trial.key
        folder.mkdir()
        run_trial(trial.config, folder, scores_test=trial.scores_test, after_epoch=lambda *epoch: None)
        return {name: (folder / name).read_bytes() for name in (RESULT, PREDICTIONS)}


@pytest.mark.slow
def test_for_good(make_plan: MakePlan, engine: FakeEngine, tmp_path: Path, tiny_bert: Path) -> None:
    """Real trials and the real main job: the best folder is verified, and is the model that the leaderboard scored."""
    (tmp_path / "trials").mkdir()
    plan = make_plan({"methods": ["lora"]}, training__epochs=8, training__patience=8)
    progress = Recording()
    result = job.sweep(plan, lambda folder: InProcess(engine.data, tmp_path / "trials"), progress)
    assert result.best is not None
    assert result.best.verification.ok
    assert f"The model in {plan.folder / 'best'} labels every test row as the trial did." in progress.lines
    row, best = result.leaderboard.rows[0], result.leaderboard.best
    place = row.seeds.index(best.trial.config.training.seed)
    after = described(plan.folder / "best")["metrics"]["after"]
    assert after["accuracy"] == row.test_right.values[place]
    assert after["macro_f1"] == row.test_macro_f1.values[place]
    assert len(progress.steps) == job.steps(plan)
    assert result.local_base == str(tiny_bert)
    # Resumed, there is nothing to do.
    again = sweep(resumed(make_plan, sweep={"methods": ["lora"]}, training__epochs=8, training__patience=8), engine)
    assert again.best is None
    assert engine.ran == []


def test_an_unfinished_hand_over_is_resumed_unless_another_is_the_best_by_now(make_plan: MakePlan) -> None:
    from emotune.pipeline import checkpoints_of
    from emotune.sweep.folder import SweepFolder

    plan = make_plan()
    folder: SweepFolder = SweepFolder(plan)
    first, second = (plan.candidates[0].trial(seed).config for seed in (0, 1))
    config = job.best_config(first, folder)
    assert not config.training.resume
    checkpoints = checkpoints_of(config)
    (checkpoints.folder / "seed-0" / "checkpoint-7").mkdir(parents=True)
    (checkpoints.folder / "run.json").write_text(json.dumps({"configuration": checkpoints._wanted}))
    assert job.best_config(first, folder).training.resume
    assert not job.best_config(second, folder).training.resume
    assert not checkpoints.folder.exists()

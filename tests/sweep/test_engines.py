"""A trial in a process of its own: what it gives, and how it ends when it fails, is killed, or its sweep is gone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.saved import read_predictions
from emotune.folder import tuned
from emotune.folder.check import check
from emotune.folder.format import PREDICTIONS, sha256
from emotune.methods.registry import METHODS
from emotune.sweep.engines import Files, LocalEngine, TrialFailed, TrialProcess, TrialStopped, task_of
from emotune.sweep.plan import with_settings
from emotune.sweep.trial import RESULT, TASK, run_trial
from emotune.system.errors import OutputError, VerificationError

from .conftest import MakePlan

if TYPE_CHECKING:
    pass


@pytest.mark.slow
def test_a_trial_is_what_the_seven_lines_give(make_plan: MakePlan, tmp_path: Path) -> None:
    """In this process: the figures are those of load, finetune and evaluate called by hand."""
    import emotune

    trial = make_plan().candidates[0].trial(1)
    heard: list[tuple[int, float]] = []
    run_trial(trial.config, tmp_path, after_epoch=lambda number, score: heard.append((number, score)))
    found = json.loads((tmp_path / RESULT).read_text())

    config = trial.config
    data = emotune.load_data(config.data.source)
    base = emotune.load_base(config.model.name, labels=data.labels, max_length=32)
    options = emotune.TrainingOptions(epochs=3, learning_rate=8e-3, batch_tokens=128, precision="fp32", device="cpu")
    tuned = emotune.finetune(base, data, emotune.LoRA(), options, seed=1)
    after = evaluate(tuned, data.test)
    scores = [epoch.validation_macro_f1 for epoch in tuned.training.epochs]
    assert found["epochs"] == scores
    assert heard == list(enumerate(scores, start=1))
    assert found["validation"]["macro_f1"] == tuned.training.best.validation_macro_f1  # of the epoch that is kept
    assert found["test"] == {"accuracy": after.metrics.accuracy, "macro_f1": after.metrics.macro_f1}
    assert found["data"] == data.fingerprint
    assert found["trainable_parameters"] == tuned.training.trainable_parameters
    assert found["total_parameters"] == tuned.training.total_parameters
    saved = tuned.save(tmp_path / "saved")
    names = ("adapter_model.safetensors", "adapter_config.json")
    assert found["size_bytes"] == sum((saved / name).stat().st_size for name in names)
    assert 0 <= found["largest_logit_difference"] < 1e-4
    assert found["predictions_sha256"] == sha256(tmp_path / PREDICTIONS)
    read = read_predictions(tmp_path / PREDICTIONS, data.labels, "read")
    assert read.split.fingerprint == data.test.fingerprint
    np.testing.assert_array_equal(read.predictions, after.predictions)
    assert {path.name for path in tmp_path.iterdir()} >= {RESULT, PREDICTIONS}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_a_trial(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr("emotune.sweep.trial.verify", check)  # in this process, which takes less time
    trial = make_plan({"methods": [method]}, training__epochs=2).candidates[0].trial(0)
    run_trial(trial.config, tmp_path)
    found = json.loads((tmp_path / RESULT).read_text())
    assert 0 < found["trainable_parameters"] <= found["total_parameters"]
    # Float32 weights, with a header and a configuration beside them.
    assert 4 * found["trainable_parameters"] <= found["size_bytes"]


@pytest.mark.slow
def test_a_folder_with_another_model_than_the_one_that_was_scored_fails_the_trial(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = tuned.write_model

    def spoil(classifier: tuned.TunedClassifier, folder: Path) -> None:
        write(classifier, folder)
        weights = load_file(folder / "adapter_model.safetensors")
        save_file({name: 0 * tensor for name, tensor in weights.items()}, folder / "adapter_model.safetensors")

    monkeypatch.setattr(tuned, "write_model", spoil)
    config = with_settings(make_plan().candidates[0].config, {"training.epochs": 1})
    with pytest.raises(VerificationError, match="its logits are not those it was saved with"):
        run_trial(config, tmp_path)
    assert not (tmp_path / RESULT).exists()


def test_while_something_is_chosen_the_test_split_is_not_scored(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotune.sweep.trial.evaluate", lambda *_, **__: pytest.fail("something was scored"))
    config = with_settings(make_plan().candidates[0].config, {"training.epochs": 1})
    run_trial(config, tmp_path, scores_test=False)
    found = json.loads((tmp_path / RESULT).read_text())
    assert found["test"] is None
    assert not (tmp_path / PREDICTIONS).exists()


@pytest.mark.slow
def test_a_process_gives_the_files_and_leaves_nothing_behind(make_plan: MakePlan, tmp_path: Path) -> None:
    trial = make_plan().candidates[1].trial(0)
    engine = LocalEngine(1, tmp_path / "work")
    epochs: list[int] = []

    def on_epoch(epoch: int, macro_f1: float) -> bool:
        assert 0 <= macro_f1 <= 1
        epochs.append(epoch)
        return True

    files = engine.run(trial, on_epoch)
    assert epochs == [1, 2, 3]
    assert set(files) == {RESULT, PREDICTIONS}
    assert json.loads(files[RESULT])["trainable_parameters"] == json.loads(files[RESULT])["total_parameters"]
    assert list((tmp_path / "work").iterdir()) == []

    # What the user can put right comes back as its message, without a traceback.
    broken = with_settings(trial.config, {"data.source": str(tmp_path / "missing.csv")})
    with pytest.raises(TrialFailed, match=r"No such file or folder") as raised:
        engine.run(type(trial)("broken", "broken", broken), on_epoch)
    assert "Traceback" not in str(raised.value)
    assert list((tmp_path / "work").iterdir()) == []


# Stands in for a trial's process: it lasts as long as its standard input, like the real one, or does what it is told.
STAND_IN = """
import json, os, signal, sys, time
from emotune.system.processes import end_with_standard_input
end_with_standard_input()
{body}
"""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have every trial's process run a script instead."""
    original = subprocess.Popen

    def replace(body: str) -> None:
        def popen(command: list[str], **options: object) -> object:
            return original([sys.executable, "-c", STAND_IN.format(body=body), command[-1]], **options)  # type: ignore[call-overload]

        monkeypatch.setattr("emotune.sweep.engines.subprocess.Popen", popen)

    return replace


def run(engine: LocalEngine, make_plan: MakePlan, *, go_on: bool = True) -> Files:
    return engine.run(make_plan().candidates[0].trial(0), lambda epoch, macro_f1: go_on)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL, as the system does when memory runs out"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("sys.exit('no such thing')", "exit code 1: no such thing"),
        ("raise ValueError('odd \\x1b[31m')", r"exit code 1: ValueError: odd \x1b[31m"),
        ("print(json.dumps({'failed': 'because'})); sys.exit(2)", "because"),
    ],
)
def test_the_reason_of_an_end_is_known(
    stand_in: Callable[[str], None], make_plan: MakePlan, tmp_path: Path, body: str, expected: str
) -> None:
    stand_in(body)
    with pytest.raises(TrialFailed) as raised:
        run(LocalEngine(1, tmp_path / "work"), make_plan)
    assert expected in str(raised.value)
    assert list((tmp_path / "work").iterdir()) == []


def test_what_is_stopped_ends_at_once(stand_in: Callable[[str], None], make_plan: MakePlan, tmp_path: Path) -> None:
    stand_in("print('noise'); print(json.dumps({'epoch': 1, 'macro_f1': 0.5}), flush=True); time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(TrialStopped):
        run(LocalEngine(1, tmp_path / "work"), make_plan, go_on=False)
    assert time.monotonic() - started < 30


def test_stopping_the_engine_ends_all_that_runs_and_starts_nothing_more(
    stand_in: Callable[[str], None], make_plan: MakePlan, tmp_path: Path
) -> None:
    stand_in("print(json.dumps({'epoch': 1, 'macro_f1': 0.5}), flush=True); time.sleep(60)")
    engine = LocalEngine(1, tmp_path / "work")
    begun = threading.Event()
    ended: list[Exception] = []

    def on_epoch(epoch: int, macro_f1: float) -> bool:
        begun.set()
        return True

    def work() -> None:
        try:
            engine.run(make_plan().candidates[0].trial(0), on_epoch)
        except TrialFailed as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    engine.stop()
    thread.join(30)
    assert len(ended) == 1
    with pytest.raises(TrialStopped):
        run(engine, make_plan)


def test_a_trial_ends_when_its_sweep_is_gone(make_plan: MakePlan, tmp_path: Path) -> None:
    """The sweep's process is killed outright; closing the pipe is all that the trial hears of it."""
    process = subprocess.Popen(
        [sys.executable, "-c", STAND_IN.format(body="print('up', flush=True); time.sleep(60)")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"up\n"
    process.stdin.close()
    assert process.wait(30) == 1
    process.stdout.close()


def test_several_share_the_cores(
    stand_in: Callable[[str], None], make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("sys.exit(os.environ.get('OMP_NUM_THREADS', 'none') + ' ' + os.environ['TMPDIR'])")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for given, workers, expected in ((None, 1, "none"), (None, 3, "2"), ("5", 3, "2"), ("1", 3, "1"), ("5", 1, "5")):
        if given is None:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", given)
        place = re.escape(str(tmp_path / "work"))
        with pytest.raises(TrialFailed, match=rf"exit code 1: {expected} {place}/.*/tmp"):
            run(LocalEngine(workers, tmp_path / "work"), make_plan)


def test_a_task_is_readable(make_plan: MakePlan, tmp_path: Path, stand_in: Callable[[str], None]) -> None:
    """The configuration survives the way through JSON, lists of names included."""
    from emotune.settings.run import RunConfig

    stand_in("pass")
    plan = make_plan({"methods": [{"name": "lora", "target_modules": ["query", "key"]}]})
    trial = plan.candidates[0].trial(0)
    process = TrialProcess(task_of(trial), tmp_path)
    task = json.loads((tmp_path / TASK).read_text())
    process.close()
    assert RunConfig.model_validate(task["configuration"]) == trial.config


def test_a_full_disk_stops_the_sweep_rather_than_fail_each_trial_late(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr("emotune.system.output.shutil.disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match="has 1 MB free"):
        run(LocalEngine(1, tmp_path / "work"), make_plan)


def test_a_process_that_leaves_no_result_has_failed(
    stand_in: Callable[[str], None], make_plan: MakePlan, tmp_path: Path
) -> None:
    stand_in("pass")
    with pytest.raises(TrialFailed, match="exit code 0"):
        run(LocalEngine(1, tmp_path / "work"), make_plan)

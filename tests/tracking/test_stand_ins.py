"""wandb and trackio by stand-ins that write down what they are told: their packages and accounts are not needed.

The stand-ins have the documented interfaces; whether the real ones take it is not tested.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emotune.evaluation.words.texts import TextTable
from emotune.settings.run import RunConfig
from emotune.system.errors import ConfigError
from emotune.tracking.tracker import Results
from emotune.tracking.tracking import tracked

from ..conftest import Recording

STAND_IN = """
import json, os

__version__ = "1.0"
run = None


class Error(Exception):
    pass


class Told(dict):
    def __init__(self, name):
        self.name = name

    def update(self, values, **_):
        say(self.name, values)

    def __setitem__(self, key, value):
        say(self.name, {key: value})


class Run:
    def __init__(self, name, id):
        self.name, self.id, self.url = name, id or f"id of {name}", "https://example.org/" + name
        self.summary = Told("summary")

    def log_artifact(self, artifact):
        say("artifact", artifact.__dict__)


class Artifact:
    def __init__(self, name, type):
        self.name, self.type, self.files = name, type, []

    def add_file(self, path):
        self.files.append(os.path.basename(path))


def Table(columns=None, data=None, dataframe=None):
    if dataframe is not None:
        columns, data = list(dataframe.columns), dataframe.values.tolist()
    return {"columns": columns, "data": data}


config = Told("config")


def say(what, values):
    with open(os.environ["STAND_IN_LOG"], "a") as file:
        file.write(json.dumps([what, values]) + "\\n")


def init(**given):
    global run
    if os.environ.get("STAND_IN_FAILS"):
        raise Error("no API key for https://me:secret@example.org")
    say("init", given)
    run = Run(given["name"], given.get("id"))
    return run


def log(values):
    if os.environ.get("STAND_IN_LOG_FAILS"):
        raise Error("gone")
    say("log", values)


def define_metric(name, **given):
    say("define_metric", [name, given])


def finish(**given):
    global run
    say("finish", given)
    run = None
"""

Told = Callable[[], list[list[Any]]]


@pytest.fixture(params=["wandb", "trackio"])
def name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a tracker, whose package is a stand-in."""
    found = str(request.param)
    (tmp_path / "packages" / found).mkdir(parents=True)
    (tmp_path / "packages" / found / "__init__.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.delitem(sys.modules, found, raising=False)
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log.jsonl"))
    for variable in ("WANDB_PROJECT", "TRACKIO_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    return found


@pytest.fixture
def told(tmp_path: Path, name: str) -> Told:
    """What the stand-in was told, in order."""
    file = tmp_path / "log.jsonl"
    return lambda: [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def config_of(name: str, **more: Any) -> RunConfig:
    return RunConfig.load(overrides={"tracking.to": [name], "tracking.name": "mine", **more})


def feed(callbacks: list[Any], logs: dict[str, Any], step: int = 7) -> None:
    """Give a log entry to the callbacks as Trainer does."""
    state = SimpleNamespace(is_world_process_zero=True, global_step=step, is_hyper_param_search=False)
    for callback in callbacks:
        callback.on_log(SimpleNamespace(), state, SimpleNamespace(), logs=logs, model=None)


RESULTS = Results(
    figures={"test/accuracy": 0.9},
    facts={"data.fingerprint": "abc"},
    verdict="It is better.",
    table=TextTable("Results", ["model", "accuracy"], [("tuned", "0.9000")]),
)


def test_curves_results_and_settings_arrive(name: str, told: Told) -> None:
    progress = Recording()
    with tracked(config_of(name), progress) as tracking:
        with tracking.training() as callbacks:
            feed(callbacks, {"loss": 1.5, "learning_rate": 0.1})
            feed(callbacks, {"eval_accuracy": 0.5})
            feed(callbacks, {"train_runtime": 3.0, "train_samples_per_second": 1e9})
        tracking.finish(RESULTS)
    heard = told()
    begun = heard[0]
    assert begun[0] == "init"
    assert (begun[1]["project"], begun[1]["name"], begun[1]["group"]) == ("emotune", "mine", "mine")
    assert begun[1]["config"]["method.r"] == "16"
    logs = [values for what, values in heard if what == "log"]
    assert {"train/loss": 1.5, "train/learning_rate": 0.1, "train/global_step": 7} in logs
    assert {"eval/accuracy": 0.5, "train/global_step": 7} in logs
    assert not any("train/train_samples_per_second" in entry for entry in logs)
    assert {"results": {"columns": ["model", "accuracy"], "data": [["tuned", "0.9000"]]}} in logs
    assert ["config", {"data.fingerprint": "abc"}] in heard
    figures = ("summary" if name == "wandb" else "log", {"test/accuracy": 0.9})
    assert list(figures) in heard
    assert heard[-1][0] == "finish"
    assert sum(what == "init" for what, _ in heard) == 1
    assert any(line.startswith(f"{name} has the results") for line in progress.lines)


def test_several_trainings_are_runs_of_one_group(name: str, told: Told) -> None:
    with tracked(config_of(name), Recording()) as tracking:
        for seed in ("seed-0", "seed-1"):
            with tracking.training(seed) as callbacks:
                feed(callbacks, {"loss": 1.0})
        tracking.finish(RESULTS)
    heard = told()
    begun = [values for what, values in heard if what == "init"]
    assert [found["name"] for found in begun] == ["mine", "mine-seed-0", "mine-seed-1", "mine"]
    assert {found["group"] for found in begun} == {"mine"}
    assert begun[-1]["resume"] == "must"
    assert begun[-1].get("id") == ("id of mine" if name == "wandb" else None)
    # One run at a time.
    open_now = 0
    for what, _ in heard:
        open_now += {"init": 1, "finish": -1}.get(what, 0)
        assert 0 <= open_now <= 1
    assert open_now == 0


def test_a_trial_belongs_to_the_group_of_its_sweep(name: str, told: Told) -> None:
    with tracked(config_of(name), Recording()) as tracking:
        group = tracking.group()
    json.dumps(group)
    with tracked(config_of(name), Recording(), name="01-lora-seed-0", group=group):
        pass
    begun = [values for what, values in told() if what == "init"]
    assert begun[1]["name"] == "mine-01-lora-seed-0"
    assert begun[1]["group"] == "mine"


def test_projects_come_from_the_setting_or_the_tracker_s_environment(
    name: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{name.upper()}_PROJECT", "theirs")
    with tracked(config_of(name), Recording()):
        pass
    with tracked(config_of(name, **{"tracking.project": "ours"}), Recording()):
        pass
    assert [values["project"] for what, values in told() if what == "init"] == ["theirs", "ours"]


def test_files_become_an_artifact_of_wandb_only(name: str, told: Told, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("<p>")
    with tracked(config_of(name, **{"tracking.texts": True}), Recording()) as tracking:
        tracking.finish(Results({"test/accuracy": 0.9}, files=(report,)))
    artifacts = [values for what, values in told() if what == "artifact"]
    expected = [{"name": "report-mine", "type": "report", "files": ["report.html"]}]
    assert artifacts == (expected if name == "wandb" else [])


def test_one_that_cannot_be_opened_is_an_error_without_passwords(
    name: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "1")
    with pytest.raises(ConfigError) as caught, tracked(config_of(name), Recording()):
        pytest.fail("the work began")
    assert str(caught.value).startswith(f"{name} cannot be used: no API key")
    assert "secret" not in str(caught.value)
    assert told() == []


def test_in_a_trial_it_is_left_out_and_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "1")
    with tracked(config_of(name), Recording(), name="trial", group={"name": "sweep", name: {}}) as tracking:
        with tracking.training() as callbacks:
            assert callbacks == []
        tracking.finish(RESULTS)
    assert list(tracking.lost) == [name]


def test_one_that_fails_in_the_middle_stops_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Recording()
    with tracked(config_of(name), progress) as tracking:
        with tracking.training() as callbacks:
            monkeypatch.setenv("STAND_IN_LOG_FAILS", "1")
            feed(callbacks, {"loss": 1.0})
            feed(callbacks, {"loss": 0.5})
        tracking.finish(RESULTS)
    said = [line for line in progress.lines if line.startswith(name)]
    assert said == [
        f"{name} failed, and the run goes on without it: gone",
        f"{name} has not received everything, since it failed: gone",
    ]


def test_a_run_that_fails_is_marked(name: str, told: Told) -> None:
    with pytest.raises(ZeroDivisionError), tracked(config_of(name), Recording()):
        raise ZeroDivisionError
    assert told()[-1] == ["finish", {"exit_code": 1} if name == "wandb" else {}]

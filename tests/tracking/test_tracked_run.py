"""A run that is tracked for real: by an MLflow server, and in TensorBoard's files."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score
from statsmodels.stats.proportion import proportion_confint

from emotune.pipeline import RunResult, run
from emotune.settings.run import RunConfig
from emotune.system.errors import ConfigError
from emotune.tracking.tracker import Results
from emotune.tracking.tracking import tracked as tracked_block

from ..conftest import EMOTIONS, Recording, described
from .conftest import Server, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

EPOCHS = 3


@contextmanager
def client(uri: str) -> Iterator[Any]:
    """MLflow's own client, whose warnings are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        yield mlflow.MlflowClient(uri)


@dataclass
class Tracked:
    """A tracked run."""

    result: RunResult
    progress: Recording
    runs: Path
    server: Server

    def runs_of(self, experiment: str) -> list[Any]:
        with client(self.server.uri) as mlflow:
            return list(mlflow.search_runs([mlflow.get_experiment_by_name(experiment).experiment_id]))


def overrides(base: Path, data: Path, output: Path) -> dict[str, Any]:
    return {
        "model.name": str(base),
        "model.max_length": 32,
        "data.source": str(data),
        "data.labels": list(EMOTIONS),
        "training.epochs": EPOCHS,
        "training.learning_rate": 8e-3,
        "training.batch_tokens": 128,
        "training.precision": "fp32",
        "training.device": "cpu",
        "output.folder": str(output),
    }


@pytest.fixture(scope="module")
def tracked(
    server: Server, tiny_bert: Path, tiny_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tracked]:
    """A run with two seeds that is asked to send everything."""
    place = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", server.uri)
        patch.setenv("TENSORBOARD_LOGGING_DIR", str(place / "runs"))
        asked = {
            "tracking.to": ["tensorboard", "mlflow"],
            "tracking.project": "everything",
            "tracking.name": "mine",
            "tracking.texts": True,
            "tracking.model": True,
            "training.seeds": 2,
        }
        config = RunConfig.load(overrides={**overrides(tiny_bert, tiny_files, place / "tuned"), **asked})
        progress = Recording()
        with warnings.catch_warnings(record=True) as heard:  # MLflow shows some whatever the filters say
            result = run(config, progress)
        assert not [str(warning.message) for warning in heard if issubclass(warning.category, UserWarning)]
        yield Tracked(result, progress, place / "runs", server)


def test_mlflow_has_the_curves_of_each_training(tracked: Tracked) -> None:
    children = {found.info.run_name: found for found in tracked.runs_of("everything")}
    assert set(children) == {"mine", "seed-0", "seed-1"}
    assert {found.info.status for found in children.values()} == {"FINISHED"}
    parent = children["mine"].info.run_id
    assert all(found.data.tags["mlflow.parentRunId"] == parent for name, found in children.items() if name != "mine")
    record = tracked.result.classifier.training
    with client(tracked.server.uri) as mlflow:
        kept = children[f"seed-{record.seed}"].info.run_id
        for name, expected in (
            ("loss", [epoch.train_loss for epoch in record.epochs]),
            ("eval_loss", [epoch.validation_loss for epoch in record.epochs]),
            ("eval_accuracy", [epoch.validation_accuracy for epoch in record.epochs]),
            ("eval_macro_f1", [epoch.validation_macro_f1 for epoch in record.epochs]),
        ):
            assert [found.value for found in mlflow.get_metric_history(kept, name)] == pytest.approx(expected), name
        assert len(mlflow.get_metric_history(kept, "learning_rate")) == EPOCHS


def test_mlflow_has_the_results_with_intervals_and_the_settings(tracked: Tracked) -> None:
    (found,) = (found for found in tracked.runs_of("everything") if found.info.run_name == "mine")
    predictions = pd.read_parquet(tracked.result.folder / "predictions.parquet")
    truth, guesses = predictions["label"], predictions["prediction"]
    figures = found.data.metrics
    assert figures["test/accuracy"] == pytest.approx(accuracy_score(truth, guesses))
    assert figures["test/macro_f1"] == pytest.approx(f1_score(truth, guesses, average="macro"))
    low, high = proportion_confint(int((truth == guesses).sum()), len(truth), method="wilson")
    assert (figures["test/accuracy_low"], figures["test/accuracy_high"]) == pytest.approx((low, high))
    saved = described(tracked.result.folder)
    assert figures["baselines/majority_class/accuracy"] == saved["metrics"]["baselines"]["majority class"]["accuracy"]
    assert figures["base/accuracy"] == saved["metrics"]["before"]["accuracy"]
    assert not any(name.startswith("base/lead") for name in figures), "a lead over chance says nothing"
    settings = found.data.params
    assert settings["method.r"] == "16"
    assert settings["training.batch_tokens"] == "128"
    assert settings["data.fingerprint"] == saved["data"]["fingerprint"]
    assert settings["data.source"] == "made-up"
    assert "per_device_train_batch_size" not in settings, "a batch size that emotune's batches do not have"
    note = found.data.tags["mlflow.note.content"]
    assert tracked.result.verdict.splitlines()[0] in note
    assert "| tuned" in note


def test_mlflow_has_the_report_and_the_table(tracked: Tracked, tmp_path: Path) -> None:
    (found,) = (found for found in tracked.runs_of("everything") if found.info.run_name == "mine")
    with client(tracked.server.uri) as mlflow:
        names = {artifact.path for artifact in mlflow.list_artifacts(found.info.run_id)}
        assert names == {
            "README.md",
            "confusion_matrix.png",
            "report.html",
            "results.json",
            "results.md",
            "training_curve.png",
        }
        fetched = mlflow.download_artifacts(found.info.run_id, "report.html", str(tmp_path))
        assert Path(fetched).read_bytes() == (tracked.result.folder / "report.html").read_bytes()
        table = json.loads(
            Path(mlflow.download_artifacts(found.info.run_id, "results.json", str(tmp_path))).read_text()
        )
    assert table["columns"][:4] == ["model", "accuracy", "95 % interval", "macro-F1"]
    assert [row[0] for row in table["data"]][1] == "majority class"


def test_mlflow_loads_the_model_and_it_predicts_what_the_folder_predicts(tracked: Tracked) -> None:
    (found,) = (found for found in tracked.runs_of("everything") if found.info.run_name == "mine")
    predictions = pd.read_parquet(tracked.result.folder / "predictions.parquet")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("MLFLOW_TRACKING_URI", tracked.server.uri)
        import mlflow

        loaded = mlflow.pyfunc.load_model(f"runs:/{found.info.run_id}/model")
        answer = loaded.predict(pd.DataFrame({"text": predictions["text"]}))
    assert list(answer["label"]) == list(predictions["prediction"])
    best = predictions[[f"p_{label}" for label in EMOTIONS]].max(axis=1)
    assert list(answer["probability"]) == pytest.approx(list(best), abs=1e-5)


def test_tensorboard_has_curves_results_and_settings(tracked: Tracked) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder: Path) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = EventAccumulator(str(folder))
            found.Reload()
        return found

    place = tracked.runs / "everything" / "mine"
    record = tracked.result.classifier.training
    curves = read(place / f"seed-{record.seed}")
    for name, expected in (
        ("train/loss", [epoch.train_loss for epoch in record.epochs]),
        ("eval/loss", [epoch.validation_loss for epoch in record.epochs]),
        ("eval/accuracy", [epoch.validation_accuracy for epoch in record.epochs]),
        ("eval/macro_f1", [epoch.validation_macro_f1 for epoch in record.epochs]),
    ):
        assert [found.value for found in curves.Scalars(name)] == pytest.approx(expected), name
    assert len(curves.Scalars("train/learning_rate")) == EPOCHS
    final = read(place)

    def text(name: str) -> str:
        (event,) = final.Tensors(f"{name}/text_summary")
        return str(event.tensor_proto.string_val[0].decode())

    assert "method.r = 16" in text("settings")
    assert tracked.result.verdict.splitlines()[0] in text("results")
    assert "95 % interval" in text("results")
    assert final.Scalars("test/accuracy")[0].value == pytest.approx(tracked.result.comparison.after.metrics.accuracy)
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = final.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["method.r"].string_value == "16"


def test_it_says_where_the_results_are(tracked: Tracked) -> None:
    lines = "\n".join(tracked.progress.lines)
    assert f"mlflow has the results: {tracked.server.uri}/#/experiments/" in lines
    assert "tensorboard has the results: tensorboard --logdir" in lines


def test_the_saved_folder_does_not_know_of_trackers(tracked: Tracked) -> None:
    """So that reproducing it reports to none."""
    assert "tracking" not in described(tracked.result.folder)["configuration"]


def test_no_text_of_the_data_is_sent_unless_asked(
    server: Server, tiny_bert: Path, tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "runs"))
    asked = {"tracking.to": ["tensorboard", "mlflow"], "tracking.project": "nothing", "tracking.model": True}
    progress = Recording()
    result = run(RunConfig.load(overrides={**overrides(tiny_bert, tiny_files, tmp_path / "tuned"), **asked}), progress)
    sent = [path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    with client(server.uri) as mlflow:
        experiment = mlflow.get_experiment_by_name("nothing").experiment_id
        (found,) = mlflow.search_runs([experiment])
        sent.append(json.dumps(found.to_dictionary()).encode())
        (tmp_path / "run").mkdir()
        here = mlflow.download_artifacts(found.info.run_id, "", str(tmp_path / "run"))
        sent += [path.read_bytes() for path in Path(here).rglob("*") if path.is_file()]
        (model,) = mlflow.search_logged_models([experiment])
        import mlflow as library

        stored = library.artifacts.download_artifacts(model.model_uri, dst_path=str(tmp_path / "model"))
        files = [path for path in Path(stored).rglob("*") if path.is_file()]
        sent += [path.read_bytes() for path in files]
    assert {"emotune.json", "adapter_model.safetensors", "mlflow_model.py"} <= {path.name for path in files}
    texts = [text for split in ("train", "validation", "test") for text in csv_texts(tiny_files / f"{split}.csv")]
    assert len(texts) == 192
    assert len(sent) > 20
    assert not [text for text in texts if any(text.encode() in blob for blob in sent)]
    assert any("report.html" in line and "--track-texts" in line for line in progress.lines)
    assert (result.folder / "report.html").is_file()


def test_trials_are_children_of_the_sweep_and_killed_ones_are_ended(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    config = RunConfig.load(
        overrides={"tracking.to": ["mlflow"], "tracking.project": "sweeps", "tracking.name": "my sweep"}
    )
    with tracked_block(config, Recording()) as sweep:
        group = json.loads(json.dumps(sweep.group()))
        with tracked_block(config, Recording(), name="01-lora-seed-0", label="LoRA, seed 0", group=group) as trial:
            trial.finish(Results({"test/accuracy": 0.5}))
        with client(server.uri) as mlflow:
            # The process of a trial that is stopped early ends no run.
            mlflow.create_run(group["mlflow"]["experiment"], tags={"mlflow.parentRunId": group["mlflow"]["run"]})
    with client(server.uri) as mlflow:
        found = mlflow.search_runs([group["mlflow"]["experiment"]])
    parent = [run for run in found if run.info.run_id == group["mlflow"]["run"]]
    children = [run for run in found if run.data.tags.get("mlflow.parentRunId") == group["mlflow"]["run"]]
    assert [run.info.run_name for run in parent] == ["my sweep"]
    assert sorted(run.info.status for run in children) == ["FINISHED", "KILLED"]
    (finished,) = (run for run in children if run.info.status == "FINISHED")
    assert finished.info.run_name == "01-lora-seed-0"
    assert finished.data.params["label"] == "LoRA, seed 0"
    assert finished.data.metrics == {"test/accuracy": 0.5}


def csv_texts(file: Path) -> list[str]:
    return [line.rpartition(",")[0] for line in file.read_text().splitlines()[1:]]


def test_a_server_that_is_not_there_is_an_error_before_any_work(
    tiny_bert: Path, tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"http://user:secret@127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "runs"))
    config = RunConfig.load(
        overrides={**overrides(tiny_bert, tiny_files, tmp_path / "tuned"), "tracking.to": ["mlflow"]}
    )
    progress = Recording()
    with pytest.raises(ConfigError) as caught:
        run(config, progress)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "mlflow cannot be used" in message
    assert "MLFLOW_TRACKING_URI" in message
    assert "secret" not in message
    assert progress.steps == []
    assert not (tmp_path / "tuned").exists()


@dataclass
class Ending(Recording):
    """A front end that ends the server after the first epoch."""

    end: Callable[[], None] = lambda: None
    told: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        super().say(text)
        if text.startswith("epoch 1:"):
            self.end()


def test_a_server_that_goes_away_costs_no_training(
    server: Server, tiny_bert: Path, tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of the module, since it ends the server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "runs"))
    asked = {"tracking.to": ["mlflow", "tensorboard"], "tracking.model": True}
    progress = Ending(end=server.end)
    result = run(RunConfig.load(overrides={**overrides(tiny_bert, tiny_files, tmp_path / "tuned"), **asked}), progress)
    assert (result.folder / "emotune.json").is_file()
    assert sum(line.startswith("epoch ") for line in progress.lines) == EPOCHS
    lost = [line for line in progress.lines if line.startswith("mlflow")]
    assert len(lost) == 2, lost
    assert "the run goes on without it" in lost[0]
    assert "not received everything" in lost[1]
    assert any(line.startswith("tensorboard has the results") for line in progress.lines)
    assert os.environ["MLFLOW_TRACKING_URI"] == server.uri

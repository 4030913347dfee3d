"""`emotune run --from-folder`: the settings of a saved folder on new data, and its model against the new one on the same rows."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emotune.evaluation.saved import read_evaluation
from emotune.folder.fingerprints import FINGERPRINTS
from emotune.folder.format import read_description
from emotune.folder.load import load
from emotune.settings.run import RunConfig
from emotune.settings.stored import left_note, start_from

from ..conftest import EMOTIONS, described
from ..facts import facts
from .conftest import Invoke

if TYPE_CHECKING:
    from ..conftest import Run


@pytest.fixture
def new_data(tiny_files: Path, tmp_path: Path) -> Path:
    """The tiny data of another month: the training rows in reverse, and four of the old ones among the test rows."""
    folder = tmp_path / "new"
    folder.mkdir()
    rows = {path.stem: path.read_text().splitlines()[1:] for path in tiny_files.glob("*.csv")}
    old = [rows["train"][0].upper().replace(",SADNESS", "!,sadness"), *rows["train"][1:3], rows["validation"][5]]
    parts = {"train": rows["train"][60:][::-1], "validation": rows["validation"], "test": rows["test"] + old}
    for split, lines in parts.items():
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *lines, ""]))
    return folder


@pytest.mark.slow
def test_what_it_starts_from(tiny_run: Run) -> None:
    folder = tiny_run.result.folder
    start = start_from(read_description(folder), folder)
    given = {"data.source": "this_month.csv", "model.name": "somewhere", "training.seed": 3}
    config = RunConfig.load(overrides=given, start=start)
    assert config.data.source == "this_month.csv"
    assert config.data.labels == EMOTIONS
    assert config.training.epochs == tiny_run.settings["training.epochs"]
    assert config.training.learning_rate == tiny_run.settings["training.learning_rate"]
    assert config.training.seed == 3
    assert config.model.max_length == 32
    assert config.model.name == "somewhere"
    assert config.output.folder == RunConfig().output.folder


def test_how_files_were_read_is_not_taken_over(tiny_run: Run) -> None:
    description = read_description(tiny_run.result.folder)
    assert description.configuration is not None
    data = {**description.configuration["data"], "encoding": "windows-1252", "columns": ["text", "label"]}
    read = description.model_copy(update={"configuration": {**description.configuration, "data": data}})
    start = start_from(read, tiny_run.result.folder)
    given = {"data.source": "new.db", "model.name": "m"}
    config = RunConfig.load(overrides=given, start=start)
    assert config.data.encoding is None
    assert config.data.columns is None
    assert re.search(
        facts("--encoding windows-1252 --columns text,label", "'new.db' is read without", "Give them again"),
        left_note(start, config),
    )
    again = RunConfig.load(overrides={**given, "data.encoding": "latin-1"}, start=start)
    assert "--encoding" not in left_note(start, again)


def test_another_method_drops_the_options_of_the_first(tiny_run: Run) -> None:
    folder = tiny_run.result.folder
    start = start_from(read_description(folder), folder)
    config = RunConfig.load(overrides={"data.source": "x.csv", "model.name": "m", "method.name": "bitfit"}, start=start)
    assert config.method.name == "bitfit"


def test_a_commit_goes_with_its_model(tiny_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(tiny_run.result.folder, folder)
    values = described(folder)
    values["base_model"] = {"name": "owner/model", "source": "owner/model", "revision": "abc"}
    values["configuration"]["model"]["name"] = "owner/model"
    (folder / "emotune.json").write_text(json.dumps(values))
    start = start_from(read_description(folder), folder)
    same = RunConfig.load(overrides={"data.source": "x.csv"}, start=start)
    assert (same.model.name, same.model.revision) == ("owner/model", "abc")
    other = RunConfig.load(overrides={"data.source": "x.csv", "model.name": "owner/other"}, start=start)
    assert (other.model.name, other.model.revision) == ("owner/other", None)


@pytest.mark.slow
def test_data_and_a_local_base_must_be_given(invoke: Invoke, tiny_run: Run) -> None:
    result = invoke("run", "--from-folder", tiny_run.result.folder)
    assert result.exit_code == 2
    assert "Say where the new data is with --data." in result.stderr
    assert "Say where it is with --model FOLDER." in result.stderr


@pytest.mark.slow
def test_a_preset_beside_it_is_refused(invoke: Invoke, tiny_run: Run) -> None:
    result = invoke("run", "--preset", "quickstart", "--from-folder", tiny_run.result.folder)
    assert result.exit_code == 2
    assert "--preset and --from-folder" in result.stderr


@pytest.mark.slow
def test_a_folder_saved_from_python_is_refused(invoke: Invoke, tiny_saved: Path) -> None:
    result = invoke("run", "--from-folder", tiny_saved, "--data", "x.csv")
    assert result.exit_code == 2
    assert "does not say how it was made" in result.stderr


@pytest.mark.slow
def test_other_labels_are_refused(
    invoke: Invoke,
    tiny_run: Run,
    new_data: Path,
    hub_named_bert: Path,
    tmp_path: Path,
) -> None:
    for path in new_data.glob("*.csv"):
        path.write_text(path.read_text().replace(",love", ",disgust"))
    result = invoke(
        "run", "--from-folder", tiny_run.result.folder, "--data", new_data, "--model", hub_named_bert,
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 2
    shown = " ".join(result.stderr.split())
    assert "lack 'love'; they also have 'disgust'" in shown
    assert "--show-config" in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_old_folder_is_not_overwritten(
    invoke: Invoke,
    tiny_run: Run,
    new_data: Path,
    hub_named_bert: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "old"
    shutil.copytree(tiny_run.result.folder, folder)
    result = invoke(
        "run", "--from-folder", folder, "--data", new_data, "--model", hub_named_bert, "--output", folder, "--overwrite",
    )  # fmt: skip
    assert result.exit_code == 2
    assert facts_in("which this run reads", result.stderr)


def facts_in(said: str, shown: str) -> bool:
    return said in " ".join(shown.split())


@pytest.mark.slow
def test_the_new_model_is_compared_with_the_old_one(
    invoke: Invoke,
    tiny_run: Run,
    new_data: Path,
    hub_named_bert: Path,
    tmp_path: Path,
) -> None:
    old = tmp_path / "last_month"
    shutil.copytree(tiny_run.result.folder, old)
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    out = tmp_path / "this_month"
    result = invoke(
        "run", "--from-folder", old, "--data", new_data, "--model", hub_named_bert, "--output", out, "--epochs", "3",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "Before: last_month" in shown
    assert "'last_month' was trained on 3 rows and was chosen on 1 row of this test" in shown
    assert "On the other 36 rows: " in shown
    for baseline in ("majority class", "TF-IDF", "frozen", "base (untrained head)"):
        assert baseline in shown
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    # The saved figures are those of the old model on the new rows, by an independent way.
    description = read_description(out)
    after = read_evaluation(out)
    from emotune.evaluation.evaluate import evaluate

    again = evaluate(load(old, base=hub_named_bert), after.split)
    assert description.metrics is not None
    assert description.metrics["before"]["accuracy"] == pytest.approx(again.metrics.accuracy)
    assert description.previous == {
        "name": "last_month",
        "data": described(old)["data"]["fingerprint"],
        "trained_on": 3,
        "chosen_on": 1,
    }
    assert "last_month" in (description.verdict or "")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "before: last_month" in page
    assert "was trained on 3 rows" in page
    assert r"before: last\_month" in (out / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_is_not_known_is_said(tiny_run: Run, tmp_path: Path) -> None:
    from emotune.evaluation.previous import Previous
    from emotune.settings.stored import seen_by

    old = tmp_path / "tuned"
    shutil.copytree(tiny_run.result.folder, old)
    (old / FINGERPRINTS).unlink()
    description = read_description(old)
    previous = Previous(old, description, *seen_by(description, old))
    assert previous.name == "tuned (before)"
    seen = previous.seen(tiny_run.result.comparison.after.split)
    assert "no fingerprints of its training texts, and its data was the file or folder 'made-up'" in seen.unknown


@pytest.mark.slow
def test_another_base_of_the_same_shape_is_noticed(tiny_run: Run, hub_named_bert: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    from emotune.evaluation.previous import Previous
    from emotune.settings.stored import seen_by
    from emotune.system.errors import ArtifactError
    from emotune.system.progress import SILENT

    other = tmp_path / "tiny-bert"
    shutil.copytree(hub_named_bert, other)
    weights = load_file(other / "model.safetensors")
    name = next(name for name in weights if name.endswith("layer.0.output.dense.weight"))
    weights[name] = np.ascontiguousarray(-weights[name])
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    folder = tiny_run.result.folder
    description = read_description(folder)
    previous = Previous(folder, description, *seen_by(description, folder))
    with pytest.raises(ArtifactError, match=facts("logits", "base model is another one than --model names")):
        previous.score(tiny_run.result.comparison.after.split, base=str(other), device="cpu", progress=SILENT)

"""Whole exports of a tiny run: each is checked, runs by its own script without emotune, and is written whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emotune
import emotune.exports.export as module
from emotune.exports.export import Exported, export
from emotune.folder.format import sha256
from emotune.system.errors import ArtifactError, ConfigError, MethodError, OutputError, VerificationError

from ..conftest import Recording, Run

# A folder with predictions whose data was local.
LORA = Path(__file__).parents[1] / "fixtures" / "v0_1_0" / "lora"
KINDS = ("merged", "onnx", "onnx_int8", "openvino", "openvino_int8")
FILES = {
    "merged": {"model.safetensors"},
    "onnx": {"model.onnx"},
    "openvino": {"openvino_model.xml", "openvino_model.bin"},
}
BESIDE = {
    "README.md",
    "config.json",
    "emotune_export.json",
    "run.py",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
# Runs a script as a program in a process in which emotune and PEFT cannot be imported.
WITHOUT_EMOTUNE = """
import runpy, sys
for hidden in ("emotune", "peft", "openvino_telemetry"):
    sys.modules[hidden] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

Make = Callable[[str], tuple[Exported, Recording]]


@pytest.fixture(scope="module")
def made(tiny_run: Run, tiny_files: Path, tmp_path_factory: pytest.TempPathFactory, hub_named_bert: Path) -> Make:
    """Exports of the tiny run, each made when it is first asked for."""
    found: dict[str, tuple[Exported, Recording]] = {}
    folder = tmp_path_factory.mktemp("exports")

    def make(kind: str) -> tuple[Exported, Recording]:
        if kind not in found:
            to, _, precision = kind.partition("_")
            progress = Recording()
            exported = export(
                tiny_run.settings["output.folder"],
                to=to,
                precision=precision or "fp32",
                output=folder / kind,
                calibration=tiny_files if kind == "openvino_int8" else None,
                margin=20,
                base=hub_named_bert,
                progress=progress,
            )
            found[kind] = exported, progress
        return found[kind]

    return make


def labels_of(folder: Path, texts: list[str]) -> list[tuple[str, float]]:
    """The labels and probabilities that an export's script prints, run as a user runs it, without emotune."""
    command = [sys.executable, "-W", "error::UserWarning", "-P", "-c", WITHOUT_EMOTUNE, str(folder / "run.py"), *texts]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[2] for row in rows] == texts
    return [(row[0], float(row[1])) for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_export(kind: str, made: Make, tiny_run: Run) -> None:
    exported, progress = made(kind)
    to, _, precision = kind.partition("_")
    # It is complete, and described.
    assert {path.name for path in exported.folder.iterdir()} == BESIDE | FILES[to]
    described = json.loads((exported.folder / "emotune_export.json").read_text(encoding="utf-8"))
    assert (described["to"], described["precision"]) == (to, precision or "fp32")
    assert described["files"] == {
        name: sha256(exported.folder / name) for name in (BESIDE | FILES[to]) - {"emotune_export.json"}
    }
    assert progress.steps == progress.finished
    assert len(progress.steps) == module.STEPS
    # What the check says is so.
    check = described["check"]
    assert check["rows"] == len(tiny_run.result.comparison.after.split)
    assert check["accuracy_before"] == pytest.approx(tiny_run.result.comparison.after.metrics.accuracy)
    if precision != "int8":
        assert check["changed_labels"] == 0
        assert check["largest_logit_difference"] < 1e-4
    else:
        assert 1e-6 < check["largest_logit_difference"] < 2
        assert exported.size < made(to)[0].size
    assert ("training texts of made-up" in described["calibration"]) == (kind == "openvino_int8")
    # The script gives the labels of the original, for texts beyond the limit too, in any batch.
    texts = [*tiny_run.result.comparison.after.split.texts[:6], "bada bade " * 40]
    tuned = emotune.load(tiny_run.settings["output.folder"], base=tiny_run.settings["model.name"])
    expected = emotune.predict(tuned, texts, precision="fp32")
    assert expected.truncated == 1
    found = labels_of(exported.folder, texts)
    if precision != "int8":
        assert [label for label, _ in found] == list(expected.labels)
        np.testing.assert_allclose([share for _, share in found], expected.probabilities.max(axis=1), atol=1e-3)
    else:
        assert sum(one[0] == label for one, label in zip(found, expected.labels, strict=True)) >= len(texts) - 1


@pytest.mark.slow
def test_a_plain_pipeline_loads_merged(made: Make, tiny_run: Run) -> None:
    from transformers import pipeline

    exported, _ = made("merged")
    classify = pipeline("text-classification", str(exported.folder))
    after = tiny_run.result.comparison.after
    found = classify(list(after.split.texts[:8]))
    assert [one["label"] for one in found] == [after.split.labels[label] for label in after.predictions[:8]]
    # It has no adapters, and nothing that only emotune reads.
    assert not hasattr(classify.model, "peft_config")


@pytest.mark.slow
def test_it_is_a_base_model_with_its_head(made: Make, tiny_run: Run) -> None:
    """What `emotune run --model` would start from: the head is kept."""
    labels = tiny_run.result.comparison.after.split.labels
    base = emotune.load_base(made("merged")[0].folder, labels=labels, max_length=32)
    assert base.checkpoint_head is not None
    assert base.checkpoint_head.kept


@pytest.mark.slow
def test_an_export_that_differs_leaves_nothing(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emotune.exports.folder import write_merged

    def spoilt(model: Any, folder: Path) -> None:
        model.classifier.weight.data.neg_()
        write_merged(model, folder)

    monkeypatch.setattr(module, "write_merged", spoilt)
    with pytest.raises(VerificationError, match="differs from the original too much"):
        export(
            tiny_run.settings["output.folder"],
            to="merged",
            output=tmp_path / "out",
            base=tiny_run.settings["model.name"],
        )
    assert list(tmp_path.iterdir()) == []


def untouched(*_: object, **__: object) -> None:
    raise AssertionError("a model was loaded")


class TestRefusalsBeforeAnythingIsLoaded:
    @pytest.fixture(autouse=True)
    def _no_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "load_saved", untouched)

    def test_an_output_that_exists(self, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
        with pytest.raises(OutputError, match=r"not empty.*--overwrite"):
            export(LORA, to="onnx", output=tmp_path)
        with pytest.raises(OutputError, match=r"has no emotune_export\.json"):
            export(LORA, to="onnx", output=tmp_path, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    def test_the_folder_itself_is_no_output(self) -> None:
        with pytest.raises(OutputError, match="which this run reads"):
            export(LORA, to="onnx", output=LORA, overwrite=True)

    def test_a_folder_that_keeps_no_test_rows(self, tiny_saved: Path, tmp_path: Path) -> None:
        with pytest.raises(ArtifactError, match=r"keeps no test rows.*--data FILE"):
            export(tiny_saved, to="onnx", output=tmp_path / "out")

    def test_int8_of_openvino_without_training_texts(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"keeps none.*--calibration FILE"):
            export(LORA, to="openvino", precision="int8", output=tmp_path / "out")

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ArtifactError, match="no folder"):
            export(tmp_path / "missing", to="onnx")


def test_a_method_that_cannot_be_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own refusal is what is said."""

    class Unmergeable:
        @staticmethod
        def merged() -> None:
            raise MethodError("Prompt tuning cannot be merged.")

    monkeypatch.setattr(module, "load_saved", lambda *_, **__: Unmergeable)
    with pytest.raises(MethodError, match="cannot be merged"):
        export(LORA, to="merged", output=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_public_name_is_a_function() -> None:
    code = "import emotune.exports.export, emotune; assert callable(emotune.export), emotune.export"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)

"""Folders that other programs saved, given to the commands that read emotune's: what they are is said, and what to do with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Invoke


def fine_tuned(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"weights")


def adapter(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "roberta-base"}))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")


def trainer_output(folder: Path) -> None:
    for step in (90, 100):
        fine_tuned(folder / f"checkpoint-{step}")
    (folder / "runs").mkdir()


def adapter_checkpoints(folder: Path) -> None:
    for step in (90, 100):
        adapter(folder / f"checkpoint-{step}")


def holder(folder: Path) -> None:
    for name in ("best", "other"):
        (folder / name).mkdir(parents=True)
        (folder / name / "emotune.json").write_text("{}")


FOLDERS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a fine-tuned model": (
        fine_tuned,
        (
            "It is a plain transformers BertForSequenceClassification.",
            "emotune run --model {folder}; its head is kept, and scored as 'before', where it has the data's labels.",
            "In Python: emotune.load_base('{folder}', labels=data.labels)",
        ),
    ),
    "an adapter": (adapter, ("It is a plain PEFT adapter for roberta-base. Load it with PEFT; or merge it",)),
    "a Trainer's output": (
        trainer_output,
        ("Its newest checkpoint, checkpoint-100, is a plain transformers Bert", "run --model {folder}/checkpoint-100;"),
    ),
    "a Trainer's output of adapters": (
        adapter_checkpoints,
        ("Its newest checkpoint, checkpoint-100, is a plain PEFT adapter for roberta-base.",),
    ),
    "a folder of saved ones": (holder, ("It holds folders that emotune saved: best, other. Give one of them.",)),
    "an empty folder": (Path.mkdir, ()),
}


@pytest.mark.parametrize(
    "command", ["predict", *(pytest.param(name, marks=pytest.mark.slow) for name in ("evaluate", "compare", "verify"))]
)
@pytest.mark.parametrize("what", FOLDERS)
def test_is_said_to_be_what_it_is(what: str, command: str, invoke: Invoke, tmp_path: Path) -> None:
    make, said = FOLDERS[what]
    folder = tmp_path / "given"
    make(folder)
    more: dict[str, list[str | Path]] = {
        "evaluate": ["--data", "bundled:sample"],
        "predict": ["a text"],
        "compare": [tmp_path, "--output", tmp_path / "page.html"],
        "verify": [],
    }
    result = invoke(command, folder, *more[command])
    assert result.exit_code == 2
    shown = " ".join(result.stderr.split())
    assert f"'{folder}' has no emotune.json, so it is not a folder that emotune saved, or it is incomplete." in shown
    for part in said:
        assert " ".join(part.format(folder=folder).split()) in shown
    assert not (tmp_path / "page.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["predict", "verify"])
def test_a_file_is_said_to_be_one(command: str, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    result = invoke(command, tmp_path / "model.safetensors", *(["a text"] if command == "predict" else []))
    assert result.exit_code == 2
    assert "is a file. Give the folder that emotune run saved." in result.stderr

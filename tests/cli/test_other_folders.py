"""Folders that other programs saved, given to the commands that read emotune's: what they are is said, and what to do with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..conftest import EMOTIONS
from ..facts import states
from ..models.test_heads import make_checkpoint
from .conftest import Invoke

if TYPE_CHECKING:
    from transformers import BertTokenizer


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


def best_checkpoint(folder: Path) -> None:
    trainer_output(folder)
    state = {"best_model_checkpoint": "C:\\elsewhere\\out\\checkpoint-90"}
    (folder / "checkpoint-100" / "trainer_state.json").write_text(json.dumps(state))


FOLDERS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a Trainer's output": (
        trainer_output,
        ("It is the output folder of a Trainer", "for example the newest: {folder}/checkpoint-100"),
    ),
    "a Trainer's output whose best is known": (
        best_checkpoint,
        ("the best by the Trainer's own metric: {folder}/checkpoint-90 or the newest: {folder}/checkpoint-100",),
    ),
    "a Trainer's output of adapters": (adapter_checkpoints, ("for example the newest: {folder}/checkpoint-100",)),
    "a folder of saved ones": (holder, ("It holds folders that emotune saved: best, other. Give one of them.",)),
    "an empty folder": (Path.mkdir, ()),
}
# What some commands cannot use.
PLAIN: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a fine-tuned model": (
        fine_tuned,
        (
            "It is a plain transformers BertForSequenceClassification, which emotune evaluate, predict, compare and verify read.",
            "To train it: emotune run --model {folder}",
        ),
    ),
    "an adapter": (adapter, ("It is a plain PEFT adapter for roberta-base, which emotune evaluate, predict",)),
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("evaluate", "compare", "verify")]


@pytest.mark.parametrize("command", ["predict", *SLOW])
@pytest.mark.parametrize("what", FOLDERS)
def test_is_said_to_be_what_it_is(what: str, command: str, invoke: Invoke, tmp_path: Path) -> None:
    check(*FOLDERS[what], command, invoke, tmp_path)


@pytest.mark.parametrize("what", PLAIN)
def test_a_plain_one_is_said_to_be_one(what: str, invoke: Invoke, tmp_path: Path) -> None:
    check(*PLAIN[what], "export", invoke, tmp_path)


def check(make: Callable[[Path], None], said: tuple[str, ...], command: str, invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    make(folder)
    more: dict[str, list[str | Path]] = {
        "evaluate": ["--data", "bundled:sample"],
        "predict": ["a text"],
        "compare": [tmp_path, "--output", tmp_path / "page.html"],
        "export": ["--to", "merged"],
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


@pytest.mark.slow
def test_a_plain_one_is_evaluated_compared_predicted_and_verified(
    invoke: Invoke, tmp_path: Path, tiny_tokenizer: BertTokenizer, tiny_files: Path
) -> None:
    for name, seed in (("one", 0), ("two", 1)):
        folder = make_checkpoint(tmp_path / name, tiny_tokenizer, EMOTIONS, seed=seed)
        scored = invoke("evaluate", folder, "--data", tiny_files, "--output", tmp_path / f"{name}.parquet")
        assert scored.exit_code == 0, scored.stderr
        assert states(
            scored.stderr, "is a plain transformers BertForSequenceClassification", "'sadness'", "at 40 tokens"
        )
        assert states(scored.stdout, f"{name} [1], scored on 36 rows", "The head is the checkpoint's own")
    compared = invoke("compare", tmp_path / "one.parquet", tmp_path / "two.parquet", "--output", tmp_path / "page.html")
    assert compared.exit_code == 0, compared.stderr
    labelled = invoke("predict", tmp_path / "one", tiny_files / "test.csv", "-o", tmp_path / "labelled.csv")
    assert labelled.exit_code == 0, labelled.stderr
    assert len((tmp_path / "labelled.csv").read_text().splitlines()) == 37
    verified = invoke("verify", tmp_path / "one")
    assert states(
        verified.stdout, "8 texts in two fresh processes", "there are no results or checksums to compare with"
    )
    refused = invoke("evaluate", tmp_path / "one", "--data", tiny_files, "--base", "bundled:minilm")
    assert refused.exit_code == 2
    assert "is a whole model and needs no base model" in refused.stderr

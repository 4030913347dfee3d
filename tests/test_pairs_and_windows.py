"""The main job over pairs of texts and with windows over long texts: seeds, folds, cards, sweeps and clusters."""

from __future__ import annotations

import ast
import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import emotune
from emotune.folder.format import read_description
from emotune.folder.load import load
from emotune.folder.verify import verify
from emotune.inference.predictor import Predictor
from emotune.pipeline import run
from emotune.settings.run import RunConfig

from .conftest import Recording

if TYPE_CHECKING:
    from emotune.data.dataset import Split, TextDataset

pytestmark = pytest.mark.slow

KINDS = ("pairs", "windows")
LIMIT = {"pairs": 32, "windows": 8}
# What each kind of model is asked in the model card.
ASKED = {
    "pairs": '[("A man plays the guitar.", "Somebody makes music.")]',
    "windows": '["What a day. I could hug the whole world."]',
}
READ = {
    "pairs": "the first 32 tokens of each pair of texts; of longer pairs, the longer text was cut, token by token.",
    "windows": "every text whole: one longer than 8 tokens in overlapping windows, whose logits are averaged",
}


def rows_of(split: Split, kind: str) -> list[tuple[str, ...]]:
    """The tiny data's rows, as pairs of their halves or as they are: of 8 tokens and more, with the special ones."""
    found = []
    for text, label in zip(split.texts, split.label_ids, strict=True):
        words = text.split()
        texts = (" ".join(words[:3]), " ".join(words[3:])) if kind == "pairs" else (f"{text} {words[0]}",)
        found.append((*texts, split.labels[label]))
    return found


@pytest.fixture(scope="module")
def settings(
    hub_named_bert: Path, tiny_data: TextDataset, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Any]]:
    def make(kind: str) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp(kind)
        for split in tiny_data.splits:
            with (folder / f"{split.name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(("premise", "hypothesis", "label") if kind == "pairs" else ("text", "label"))
                writer.writerows(rows_of(split, kind))
        return {
            "model.name": str(hub_named_bert),
            "model.max_length": LIMIT[kind],
            "model.long_texts": "windows" if kind == "windows" else "cut",
            "data.source": str(folder),
            "data.labels": list(tiny_data.labels),
            "training.epochs": 3,
            "training.learning_rate": 8e-3,
            "training.batch_tokens": 128,
            "training.precision": "fp32",
            "training.device": "cpu",
        }

    return make


@pytest.fixture(scope="module", params=KINDS)
def done(
    request: pytest.FixtureRequest, settings: Callable[[str], dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Recording]:
    """A run with two seeds of each kind."""
    kind: str = request.param
    progress = Recording()
    output = tmp_path_factory.mktemp("runs") / kind
    found = run(
        RunConfig.load(overrides=settings(kind) | {"training.seeds": 2, "output.folder": str(output)}), progress
    )
    return kind, found.folder, progress


def test_a_run_with_seeds_is_saved_and_verified(done: tuple[str, Path, Recording], hub_named_bert: Path) -> None:
    kind, folder, progress = done
    description = read_description(folder)
    assert (description.pairs, description.windows) == (kind == "pairs", kind == "windows")
    assert verify(folder, base=hub_named_bert).ok
    assert "2 seeds" in " ".join(progress.lines)


def test_the_card_says_what_is_read_and_its_example_runs(
    done: tuple[str, Path, Recording], hub_named_bert: Path
) -> None:
    kind, folder, _ = done
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert READ[kind] in " ".join(card.split())
    (call,) = re.findall(r"^predictions = emotune\.predict\(classifier, (.*)\)$", card, re.M)
    assert call == ASKED[kind]
    asked: list[Any] = ast.literal_eval(call)
    assert len(emotune.predict(load(folder, base=hub_named_bert), asked).labels) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_folds_count_the_cut_texts_of_all_of_them(
    kind: str, settings: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    """Every pair has 9 tokens, and so has every text; windows cut none."""
    own = settings(kind) | {"model.max_length": 8, "training.epochs": 1}
    source = str(Path(own["data.source"]) / "train.csv")
    folds = {"data.source": source, "data.folds": 2, "data.fold_repeats": 1, "output.folder": str(tmp_path / "tuned")}
    found = run(RunConfig.load(overrides=own | folds))
    assert found.verification.ok
    assert ("100.00 % of the pairs are longer" in found.verdict) == (kind == "pairs")
    assert "--long-texts" not in found.verdict


def test_a_sweep(settings: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    """The best model takes pairs, and the command that is suggested gives it one."""
    given = [f"{key}={value}" for key, value in settings("pairs").items() if key.startswith(("model.max", "training."))]
    own = settings("pairs")
    options = [option for value in given for option in ("--set", value)]
    where = ["--data", own["data.source"], "--models", own["model.name"], "--output", "sweep"]
    command = [sys.executable, "-m", "emotune", "sweep", "--methods", "lora", *where, *options]
    done = subprocess.run(
        [*command, "--set", "training.seeds=1"], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith('"the first text" "the second text"')
    assert read_description(tmp_path / "sweep" / "best").pairs


def test_a_cluster_gives_the_predictions_of_this_machine(
    done: tuple[str, Path, Recording], hub_named_bert: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="ray is not installed: the extra emotune[ray]")
    kind, folder, _ = done
    columns = ("premise", "hypothesis") if kind == "pairs" else ("text",)
    texts: list[Any] = [tuple(f"{word} {row}" for word in ("badi " * 9, "bedo")[: len(columns)]) for row in range(5)]
    lines = "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in texts)
    (tmp_path / "in.jsonl").write_text(lines, encoding="utf-8")
    given = ["--engine", "ray", "--workers", "1", "--precision", "fp32", "--base", str(hub_named_bert)]
    command = [sys.executable, "-m", "emotune", "predict", str(folder), "in.jsonl", "--output", "out", *given]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (part,) = (tmp_path / "out").glob("part-*")
    found = [json.loads(line) for line in part.read_text(encoding="utf-8").splitlines()]
    with Predictor(load(folder, base=hub_named_bert), precision="fp32") as predictor:
        expected = predictor.predict(list(texts) if kind == "pairs" else [row[0] for row in texts])
    assert [row["label"] for row in found] == list(expected.labels)
    assert [row["probability"] for row in found] == pytest.approx(expected.probabilities.max(axis=1), abs=1e-5)

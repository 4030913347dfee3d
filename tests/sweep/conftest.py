"""A small plan on the tiny model and data, and an engine that makes up what trials leave, in no time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotune.evaluation.saved import write_evaluation
from emotune.evaluation.scores import Evaluation, score
from emotune.folder.format import PREDICTIONS, sha256
from emotune.settings.layers import Override
from emotune.sweep.engines import Files, OnEpoch, TrialFailed, TrialStopped
from emotune.sweep.plan import Plan, Trial
from emotune.sweep.settings import load_plan
from emotune.sweep.trial import RESULT
from emotune.training.options import usual_epochs

if TYPE_CHECKING:
    from emotune.data.dataset import Split, TextDataset

MakePlan = Callable[..., Plan]

# What the tiny model needs to learn the tiny data in a second.
SHARED = {
    "model.max_length": 32,
    "training.epochs": 3,
    "training.learning_rate": 8e-3,
    "training.batch_tokens": 128,
    "training.precision": "fp32",
    "training.device": "cpu",
}


@pytest.fixture
def make_plan(tiny_files: Path, tiny_bert: Path, tmp_path: Path) -> MakePlan:
    """A plan on the tiny model and data, in the folder "sweep" of the test."""

    def make(sweep: Mapping[str, Any] | None = None, **settings: Any) -> Plan:
        shared = {
            **SHARED,
            "data.source": str(tiny_files),
            "training.seeds": 2,
            "output.folder": str(tmp_path / "sweep"),
            **{key.replace("__", "."): value for key, value in settings.items()},
        }
        table = {"methods": ["lora", "full"], "models": [str(tiny_bert)], **(sweep or {})}
        return load_plan(
            overrides=[Override(key, value, "test") for key, value in shared.items()],
            sweep=[Override(key, value, "test") for key, value in table.items()],
        )

    return make


def made_up(trial: Trial, data: TextDataset, quality: float, folder: Path) -> Files:
    """What a trial leaves whose model gets about this share of rows right."""
    rng = np.random.default_rng(trial.config.training.seed)
    validation = quality + 0.01 * rng.standard_normal()
    files: Files = {}
    digest, test = None, None
    if trial.scores_test:
        found = guesses(data.test, quality, rng)
        write_evaluation(found, folder / PREDICTIONS)
        files[PREDICTIONS] = (folder / PREDICTIONS).read_bytes()
        digest = sha256(folder / PREDICTIONS)
        test = {"accuracy": found.metrics.accuracy, "macro_f1": found.metrics.macro_f1}
    full = trial.config.method.name == "full"
    files[RESULT] = json.dumps(
        {
            "data": data.fingerprint,
            "labels": list(data.labels),
            "validation": {"accuracy": validation, "macro_f1": validation},
            "test": test,
            "trainable_parameters": 1000 if full else 10,
            "total_parameters": 1000,
            "seconds": 8.0 if full else 2.0,
            "peak_memory_bytes": 2_000_000 if full else 1_000_000,
            "size_bytes": 4000 if full else 40,
            "largest_logit_difference": 1e-6 if trial.scores_test else None,
            "predictions_sha256": digest,
            "warnings": [],
            "device": "cpu",
            "precision": "fp32",
            "revision": None,
        }
    ).encode()
    return files


def guesses(split: Split, quality: float, rng: np.random.Generator) -> Evaluation:
    """Predictions of which about this share is right."""
    wrong = (split.label_ids + 1) % len(split.labels)
    predictions = np.where(rng.random(len(split)) < quality, split.label_ids, wrong)
    probabilities = np.full((len(split), len(split.labels)), 0.1 / (len(split.labels) - 1))
    probabilities[np.arange(len(split)), predictions] = 0.9
    return Evaluation("made up", split, probabilities, None, predictions, score(split, predictions, probabilities), 0.0)


class FakeEngine:
    """Makes up what trials leave, at once.

    Args:
        data: The data that they would see.
        folder: For files on the way.
        quality: Share of rows that a trial gets right; full fine-tuning is the worse one if not given.
    """

    workers = 1
    description = "nowhere"

    def __init__(self, data: TextDataset, folder: Path, quality: Callable[[Trial], float] | None = None) -> None:
        self.data = data
        self.folder = folder
        self.quality = quality or (lambda trial: 0.6 if trial.config.method.name == "full" else 0.9)
        self.ran: list[str] = []
        self.fail: dict[str, str] = {}
        self.interrupt_at: str | None = None
        self.interrupted = threading.Event()

    def run(self, trial: Trial, on_epoch: OnEpoch) -> Files:
        """Make it up; fails where `fail` has a reason for the trial's label."""
        self.ran.append(trial.label)
        if trial.label == self.interrupt_at:
            self.interrupted.set()
            raise KeyboardInterrupt
        if trial.label in self.fail:
            raise TrialFailed(self.fail[trial.label])
        quality = self.quality(trial)
        epochs = trial.config.training.epochs or usual_epochs(len(self.data.train))
        for epoch in range(1, epochs + 1):
            if not on_epoch(epoch, quality * epoch / epochs):
                raise TrialStopped
        return made_up(trial, self.data, quality, self.folder)

    def stop(self) -> None:
        """Nothing is running."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def engine(tmp_path: Path, tiny_files: Path) -> FakeEngine:
    """A fake engine on the tiny data as the plan's files have it."""
    from emotune.data.load import load_data

    return FakeEngine(load_data(tiny_files), tmp_path)


@pytest.fixture
def plan() -> Plan:
    return load_plan(overrides=["training.seeds=2"], sweep=[Override("methods", ["lora", "full"], "test")])

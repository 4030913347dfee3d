"""Fakes of what the command calls: a saved model that needs no files, and a way to run the command in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from emotune.cli import app
from emotune.inference.predictor import Predictions
from emotune.models.classifier import Classifier
from emotune.tasks.single_label import SINGLE_LABEL

LABELS = ("sadness", "joy")

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the command; unlike in a terminal, its output is plain and as wide as it needs to be."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)

    return run


class FakeModel:
    """Remembers the device it was moved to."""

    device = "cpu"

    def to(self, device: str) -> None:
        self.device = device


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> Classifier:
    """The classifier that loading the folder "tuned" gives: joyful texts are those with a "y" in them."""
    classifier = Classifier(
        name="fake",
        source="fake",
        revision=None,
        model=cast(Any, FakeModel()),
        tokenizer=cast(Any, None),
        labels=LABELS,
        max_length=16,
    )

    def load(folder: Path, *, base: str | None = None) -> Classifier:
        assert folder == Path("tuned")
        return classifier

    class FakePredictor:
        """Labels texts without a model."""

        max_length = 16
        precision = "fp32"
        task = SINGLE_LABEL

        def __init__(self, loaded: Classifier, **_: object) -> None:
            assert loaded is classifier

        def predict_each(self, lists: Iterable[Sequence[str]], **_: object) -> Iterator[Predictions]:
            for texts in lists:
                joy = np.array([0.75 if "y" in text else 0.25 for text in texts])
                yield Predictions(
                    texts=tuple(texts),
                    labels=tuple(LABELS[int(share > 0.5)] for share in joy),
                    probabilities=np.column_stack([1 - joy, joy]),
                    label_names=LABELS,
                    truncated=sum(len(text) > 100 for text in texts),
                )

    def facts_of(folder: Path, base: str | None) -> SimpleNamespace:
        assert folder == Path("tuned")
        return SimpleNamespace(labels=LABELS, max_length=16, task=SINGLE_LABEL, description=None, notes=())

    monkeypatch.setattr("emotune.folder.load.load", load)
    monkeypatch.setattr("emotune.folder.facts.facts_of", facts_of)
    monkeypatch.setattr("emotune.inference.predictor.Predictor", FakePredictor)
    monkeypatch.setattr("emotune.system.precision.choose_device", lambda asked: asked)
    monkeypatch.setattr("emotune.folder.facts.identity_of", lambda path: "0")
    return classifier

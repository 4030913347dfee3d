"""Small evaluations, comparisons and training records with known numbers, made without any model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from emotune.data.dataset import Split, TextDataset
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.scores import Evaluation, score
from emotune.folder.record import Epoch, TrainingRecord

EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")
UNTRAINED = "The head is random numbers: this is chance."

# Names that would break out of a table, a picture or a page if they were not escaped.
HOSTILE = (
    "[bold red]joy[/]",
    "a|b",
    "<script>alert(1)</script>",
    '"x": y',
    "esc\x1b[2Jape",
    "two\nlines",
    "$\\frac{$",
    "`code` *star* _under_ # [link](http://example.org) ![](x)",
    "\u202egnihton",
    "\ud800",
    "喜び",
    ":smile:",
)


def make_split(labels: Sequence[str] = EMOTIONS, rows: int = 240, name: str = "test", seed: int = 0) -> Split:
    """Rows with random labels, each label at least once."""
    generator = np.random.default_rng(seed)
    ids = generator.permuted(
        np.concatenate([np.arange(len(labels)), generator.integers(len(labels), size=rows)])[:rows]
    )
    return Split(name, tuple(f"text {row}" for row in range(rows)), ids.astype(np.int64), tuple(labels))


def make_evaluation(
    split: Split, *, right: float = 0.9, name: str = "tuned", note: str = "", probabilities: bool = True, seed: int = 1
) -> Evaluation:
    """An evaluation in which about a share `right` of the rows is right; without probabilities, the loss is None."""
    generator = np.random.default_rng(seed)
    rows, classes = len(split), len(split.labels)
    predictions = np.where(
        generator.random(rows) < right, split.label_ids, generator.integers(classes, size=rows)
    ).astype(np.int64)
    given: NDArray[np.float64] | None = None
    if probabilities:
        given = np.full((rows, classes), 0.1 / (classes - 1))
        given[np.arange(rows), predictions] = 0.9
    return Evaluation(name, split, given, None, predictions, score(split, predictions, given), seconds=1.5, note=note)


def make_comparison(labels: Sequence[str] = EMOTIONS, rows: int = 240) -> Comparison:
    """An untrained base, a model tuned with one seed, and two baselines, one of them without probabilities."""
    split = make_split(labels, rows)
    untrained = make_evaluation(split, right=0.05, name="base (untrained head)", note=UNTRAINED, seed=2)
    majority = make_evaluation(split, right=0.0, name="majority class", probabilities=False, seed=3)
    words = make_evaluation(split, right=0.5, name="logistic regression on words", seed=4)
    return Comparison(
        before=replace(untrained, is_chance=True),
        after=replace(make_evaluation(split, right=0.9), has_seed=True),
        baselines=(replace(majority, validation_macro_f1=0.05), replace(words, validation_macro_f1=0.4)),
    )


def make_comparison_without(absent: str, labels: Sequence[str] = EMOTIONS) -> Comparison:
    """A comparison on rows of which none has one of the labels."""
    full = make_split(labels)
    split = full.take(np.flatnonzero(full.label_ids != labels.index(absent)))
    return Comparison(
        make_evaluation(split, right=0.3, name="first", seed=2),
        make_evaluation(split, name="second"),
        (make_evaluation(split, right=0.1, name="baseline", seed=3),),
    )


def make_record(epochs: int = 4, *, stopped_early: bool = False) -> TrainingRecord:
    """A training run whose last epoch but one is the best."""
    best = max(1, epochs - 1)
    return TrainingRecord(
        epochs=tuple(
            Epoch(
                number=number,
                train_loss=1.2 / number,
                validation={
                    "loss": 0.9 / number + 0.05 * max(0, number - best),
                    "scaled_loss": 0.8 / number + 0.6 * max(0, number - best),
                    "accuracy": 0.94 - 0.05 * abs(best - number),
                    "macro_f1": 0.91 - 0.06 * abs(best - number),
                },
                seconds=61.5,
            )
            for number in range(1, epochs + 1)
        ),
        best_epoch=best,
        stopped_early=stopped_early,
        trainable_parameters=690_438,
        total_parameters=23_406_348,
        target_modules=tuple(
            f"bert.encoder.layer.{layer}.{part}"
            for layer in range(6)
            for part in ("attention.self.query", "output.dense")
        ),
        examples=16_000,
        seconds=271.4,
        train_examples_per_second=253.17,
        peak_memory_bytes=1_524_713_390,
        device="cpu",
        precision="bf16",
        precision_reason="the processor multiplies bf16 natively",
        seed=7,
    )


@pytest.fixture
def comparison() -> Comparison:
    return make_comparison()


@pytest.fixture
def record() -> TrainingRecord:
    return make_record()


def make_dataset() -> TextDataset:
    """Three splits with random labels."""
    train, validation, test = (
        make_split(rows=rows, name=name, seed=rows)
        for name, rows in (("train", 1200), ("validation", 60), ("test", 60))
    )
    return TextDataset("owner/emotions", EMOTIONS, train, validation, test, notes=("No test split was given.",))


@pytest.fixture
def dataset() -> TextDataset:
    return make_dataset()

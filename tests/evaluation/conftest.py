"""Splits and evaluations without a model behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from emotune.data.dataset import Split
from emotune.evaluation.scores import Evaluation, score

LABELS = ("sadness", "joy", "love")

MakeSplit = Callable[..., Split]
MakeEvaluation = Callable[..., Evaluation]


@pytest.fixture
def make_split() -> MakeSplit:
    """A split with the given label ids; its texts are numbers."""

    def make(label_ids: Sequence[int], *, labels: tuple[str, ...] = LABELS, name: str = "test") -> Split:
        texts = tuple(f"text {row}" for row in range(len(label_ids)))
        return Split(name=name, texts=texts, label_ids=np.array(label_ids, dtype=np.int64), labels=labels)

    return make


@pytest.fixture
def make_evaluation() -> MakeEvaluation:
    """An evaluation with the given predictions."""

    def make(split: Split, predictions: Sequence[int], name: str = "model") -> Evaluation:
        ids = np.array(predictions, dtype=np.int64)
        return Evaluation(
            name=name,
            split=split,
            probabilities=None,
            logits=None,
            predictions=ids,
            metrics=score(split, ids, None),
            seconds=0.0,
        )

    return make

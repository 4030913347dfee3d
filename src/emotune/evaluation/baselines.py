"""Baselines without BERT: the majority class, and a bag of words; the frozen encoder has its own module."""

from __future__ import annotations

import time

from emotune.data.dataset import Split, TextDataset
from emotune.evaluation.frozen import frozen_features
from emotune.evaluation.scores import Evaluation, score
from emotune.tasks.base import Simple

__all__ = ["bag_of_words", "frozen_features", "majority_class"]


def majority_class(train: Split, split: Split, validation: Split | None = None) -> Evaluation:
    """Score the commonest training label as the prediction for every row, with training frequencies as probabilities.

    Args:
        train: The training rows.
        split: The rows to score.
        validation: The rows on which baselines are compared.
    """
    started = time.perf_counter()
    return _scored("majority class", split, train.task.commonest(train, len(split), validation), started)


def bag_of_words(data: TextDataset) -> Evaluation:
    """Score a linear classifier on TF-IDF weights of words, without BERT; the test split is scored once.

    Args:
        data: The data.
    """
    started = time.perf_counter()
    return _scored("TF-IDF", data.test, data.task.words(data.train, data.validation, data.test), started)


def _scored(name: str, split: Split, found: Simple, started: float) -> Evaluation:
    return Evaluation(
        name=name,
        split=split,
        probabilities=found.probabilities,
        logits=None,
        predictions=found.predictions,
        metrics=score(split, found.predictions, found.probabilities),
        seconds=time.perf_counter() - started,
        note=found.note,
        parameters=found.parameters,
        validation_macro_f1=found.validated,
    )

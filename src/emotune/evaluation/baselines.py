"""What something simpler would have scored. Here the majority class; words and the frozen encoder have modules of their own."""

from __future__ import annotations

import time

import numpy as np

from emotune.data.dataset import Split
from emotune.evaluation.choosing import macro_f1
from emotune.evaluation.frozen import frozen_features
from emotune.evaluation.scores import Evaluation, score
from emotune.evaluation.words import bag_of_words

__all__ = ["bag_of_words", "frozen_features", "majority_class"]


def majority_class(train: Split, split: Split, validation: Split | None = None) -> Evaluation:
    """Score the prediction of the commonest training label for every row, with the training frequencies as probabilities.

    Args:
        train: The training rows.
        split: The rows to score.
        validation: The rows by which baselines are compared.
    """
    started = time.perf_counter()
    frequencies = np.bincount(train.label_ids, minlength=len(train.labels)) / len(train)
    probabilities = np.tile(frequencies, (len(split), 1))
    predictions = np.full(len(split), int(frequencies.argmax()), dtype=np.int64)
    return Evaluation(
        name="majority class",
        split=split,
        probabilities=probabilities,
        logits=None,
        predictions=predictions,
        metrics=score(split, predictions, probabilities),
        seconds=time.perf_counter() - started,
        parameters=len(train.labels),
        validation_macro_f1=None
        if validation is None
        else macro_f1(validation.label_ids, np.full(len(validation), predictions[0]), len(train.labels)),
        note=f"Always says '{train.labels[int(frequencies.argmax())]}', the commonest training label.",
    )

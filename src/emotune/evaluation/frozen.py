"""Baseline without fine-tuning: logistic regression on hidden states of the frozen encoder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Fold, Split, TextDataset
from emotune.evaluation.scores import Evaluation, score
from emotune.inference.features import layer_features
from emotune.models.classifier import Classifier
from emotune.models.encoding import encode_split
from emotune.system.progress import SILENT, Progress
from emotune.tasks.probe import side_by_side

if TYPE_CHECKING:
    import torch


# Limit of numbers in the features of the training rows, 0.8 GB: 74,000 rows of MiniLM (6 layers), 20,000 of BERT-base.
MOST_NUMBERS = 200_000_000
# Number of test rows whose features are in memory at a time.
ROWS_AT_A_TIME = 4096


@dataclass(frozen=True, eq=False)
class KnownFeatures:
    """Features of all rows of a cross-validation, of which every fold takes its own.

    Attributes:
        fitting: Shape (states, rows, hidden size), computed as in training.
        scoring: The same in float32, as models are scored.
    """

    fitting: NDArray[np.float32]
    scoring: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FoldFeatures:
    """The features of one fold's rows.

    Attributes:
        known: Those of all rows.
        fold: The rows of the fold.
    """

    known: KnownFeatures
    fold: Fold


def known_features(
    base: Classifier,
    rows: Split,
    *,
    dtype: torch.dtype | None = None,
    most_numbers: int = MOST_NUMBERS,
    progress: Progress = SILENT,
) -> KnownFeatures | None:
    """Return the features of all rows; None if they are more numbers than the limit, and folds compute their own.

    Args:
        base: The base model.
        rows: All rows.
        dtype: As for `frozen_features`.
        most_numbers: Limit of numbers in the features.
        progress: Show a progress bar.
    """
    if len(_fitting(base, rows, most_numbers)) < len(rows):
        return None
    fitting = _features(base, rows, dtype, progress)
    return KnownFeatures(fitting, fitting if dtype is None else _features(base, rows, None, progress))


def frozen_features(
    base: Classifier,
    data: TextDataset,
    *,
    dtype: torch.dtype | None = None,
    most_numbers: int = MOST_NUMBERS,
    known: FoldFeatures | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Score logistic regression on the frozen encoder's features, to show what the base model knows before tuning.

    Features are the means of hidden states over a text's tokens, standardized: of the embeddings, of each layer, or of
    all of them concatenated. The features are chosen by macro-F1 on validation, and on out-of-fold training rows too if
    validation has fewer than a thousand rows. The strength of regularization is chosen by the loss of the same rows at
    its best temperature, which separates neighbouring strengths where macro-F1 does not. The test split is scored once,
    in float32.

    Args:
        base: The base model; its head is not used.
        data: The data.
        dtype: The dtype of matrix products on training and validation rows, as in training; None for float32. Test rows
            are always encoded in float32, as models are scored.
        most_numbers: Limit of numbers in the features of the training rows. If they would be more, the classifier
            learns from a part of the rows, with each class in its share, and the note says so.
        known: The features of the rows, if they have been computed for all folds.
        progress: Show a progress bar.
    """
    started = time.perf_counter()
    train, validation = _fitting(base, data.train, most_numbers), _fitting(base, data.validation, most_numbers // 4)
    if known is not None and not (train is data.train and validation is data.validation):
        known = None  # only parts of the rows are learned from
    if known is None:
        features, judging = _features(base, train, dtype, progress), _features(base, validation, dtype, progress)
    else:
        # Copies, since the probe overwrites them.
        features, judging = (_rows_of(known.known.fitting, rows) for rows in (known.fold.train, known.fold.validation))
    states = len(features)
    probe = data.task.probe(train, validation, features, judging)
    del features, judging
    if known is None:
        logits = _logits(base, data.test, probe, None, progress)
    else:
        scored = _rows_of(known.known.scoring[list(probe.states)], known.fold.scored)
        logits = probe.linear.logits(side_by_side(scored))
    task = data.task.deciding(probe.thresholds)
    predictions, probabilities = task.decide(logits), task.probabilities(logits)
    validated = probe.validated
    if len(validation) < len(data.validation):
        validated = task.decide(_logits(base, data.validation, probe, dtype, progress))
    encoder = sum(parameter.numel() for parameter in base.model.base_model.parameters())
    parts = [
        f"{len(part):,} of {len(whole):,} {name} rows"
        for part, whole, name in ((train, data.train, "training"), (validation, data.validation, "validation"))
        if len(part) < len(whole)
    ]
    few = f" Learned and chosen with {' and '.join(parts)}, to bound the memory." if parts else ""
    return Evaluation(
        name="frozen features",
        split=data.test,
        probabilities=probabilities,
        logits=None,
        predictions=predictions,
        metrics=score(data.test, predictions, probabilities),
        seconds=time.perf_counter() - started,
        note=(
            f"What the encoder knows before tuning: logistic regression (C={probe.strength:g}) on {_said(probe.states, states)}, "
            f"chosen {probe.said}.{few}"
        ),
        parameters=encoder + probe.parameters,
        validation_macro_f1=score(data.validation, validated, None).macro_f1,
    )


def _fitting(base: Classifier, split: Split, most_numbers: int) -> Split:
    """Return all rows if their features fit in that many numbers, else a stratified part, at least two per class."""
    config = base.model.config
    most = most_numbers // ((getattr(config, "num_hidden_layers", 0) + 1) * config.hidden_size)
    if len(split) <= most:
        return split
    shuffled = np.random.default_rng(0).permutation(len(split))
    kept, strata = [], split.task.strata(split.label_ids)
    for label in range(len(split.labels)):
        rows = shuffled[strata[shuffled] == label]
        kept.append(rows[: max(2, len(rows) * most // len(split))])
    return split.take(np.sort(np.concatenate(kept)))


def _rows_of(features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the features of some rows, in which a text's states are adjacent in memory."""
    return np.ascontiguousarray(features.swapaxes(0, 1)[rows]).swapaxes(0, 1)


def _features(base: Classifier, split: Split, dtype: torch.dtype | None, progress: Progress) -> NDArray[np.float32]:
    encoded = encode_split(base.tokenizer, split, base.max_length, base.windows)
    return layer_features(base, encoded, dtype=dtype, progress=progress, description=f"features of {split.name}")


def _logits(
    base: Classifier, split: Split, probe: Any, dtype: torch.dtype | None, progress: Progress
) -> NDArray[np.float32]:
    """Return logits, shape (rows, classes), with the features of only a part of the rows in memory at a time."""
    encoded = encode_split(base.tokenizer, split, base.max_length, base.windows)
    description = f"features of {split.name}"
    parts = []
    for start in range(0, len(split), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        part = encoded.take(range(*rows.indices(len(encoded))))
        features = layer_features(
            base, part, dtype=dtype, layers=probe.states, progress=progress, description=description
        )
        parts.append(probe.linear.logits(side_by_side(features)))
    return np.concatenate(parts)


def _said(states: tuple[int, ...], count: int) -> str:
    """Return the name of hidden states in words."""
    if len(states) > 1:
        return f"the means of all {len(states)} hidden states over a text's tokens"
    of = {0: "the embeddings", count - 1: "the last layer"}.get(states[0], f"layer {states[0]} of {count - 1}")
    return f"the mean of {of} over a text's tokens"

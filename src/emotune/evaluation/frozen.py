"""The baseline without fine-tuning: logistic regression on what the frozen encoder's layers make of a text."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split, TextDataset
from emotune.evaluation.calibration import scaled_loss
from emotune.evaluation.choosing import Judges, macro_f1
from emotune.evaluation.scores import Evaluation, score, softmax
from emotune.evaluation.softmax_regression import Linear, SoftmaxRegression
from emotune.inference.features import layer_features, side_by_side
from emotune.models.encoding import encode_split
from emotune.system.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

    from emotune.models.classifier import Classifier

# Inverse strengths of the regularization, half a decade apart. The search begins in the middle and goes on while it gets better.
STRENGTHS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
MIDDLE = STRENGTHS.index(0.01)
# Numbers that the features of the training rows may hold, 0.8 GB: 74,000 rows of MiniLM with 6 layers, 20,000 of BERT-base.
MOST_NUMBERS = 200_000_000
# Numbers from which on the threads of matrix products share the fits.
WORTH_SHARING = 16_000_000
# Test rows whose features are in memory at a time.
ROWS_AT_A_TIME = 4096


@dataclass(frozen=True, eq=False)
class _Probe:
    """A classifier on some of the hidden states, with how good it is.

    Attributes:
        states: Which hidden states, counted from 0.
        strength: The inverse strength of its regularization.
        loss: Mean cross-entropy of the judging rows at the best temperature.
        macro_f1: Their macro-F1.
        linear: The classifier that has learned from all rows.
        validated: The labels that it gives the validation rows.
    """

    states: tuple[int, ...]
    strength: float
    loss: float
    macro_f1: float
    linear: Linear
    validated: NDArray[np.int64]


def frozen_features(
    base: Classifier,
    data: TextDataset,
    *,
    dtype: torch.dtype | None = None,
    most_numbers: int = MOST_NUMBERS,
    progress: Progress = SILENT,
) -> Evaluation:
    """Score logistic regression on the frozen encoder's features: what the base model knows before tuning.

    Features are the means of hidden states over a text's tokens, standardized: of the embeddings, of each layer, or of all of them side
    by side. Which of them is chosen by macro-F1, on validation and, where that has fewer than a thousand rows, on training rows out of
    fold; the strength of the regularization by the loss of the same rows at its best temperature, which tells neighbouring strengths
    apart where macro-F1 does not. The test split is scored once, in float32.

    Args:
        base: The base model; its head plays no part.
        data: The data.
        dtype: The dtype of matrix products on the rows that are learned and chosen from, as in training; None for float32. Test rows are
            encoded in float32 whatever it is, as models are scored.
        most_numbers: How many numbers the features of the training rows may hold. Where they would be more, the classifier learns from
            a part of the rows, each class with its share, and the note says so.
        progress: Shows a bar.
    """
    from threadpoolctl import threadpool_limits

    started = time.perf_counter()
    train, validation = _fitting(base, data.train, most_numbers), _fitting(base, data.validation, most_numbers // 4)
    judges = Judges.of(train, validation)
    features = _features(base, train, dtype, progress)
    states = len(features)
    validation_features = _features(base, validation, dtype, progress)
    # Small products are not worth sharing: threads that wait for each other take several times as long where cores are busy.
    with threadpool_limits(1 if features.size < WORTH_SHARING else None):
        probe = _choose(features, validation_features, judges)
    del features, validation_features
    logits = _logits(base, data.test, probe, None, progress)
    predictions = logits.argmax(axis=1)
    probabilities = softmax(logits)
    classes = len(data.labels)
    validated = probe.validated
    if len(validation) < len(data.validation):
        validated = _logits(base, data.validation, probe, dtype, progress).argmax(axis=1)
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
            f"chosen {judges.said}.{few}"
        ),
        parameters=encoder + probe.linear.weights.size + classes,
        validation_macro_f1=macro_f1(data.validation.label_ids, validated, classes),
    )


def _fitting(base: Classifier, split: Split, most_numbers: int) -> Split:
    """The rows whose features fit in that many numbers: all, or a part of them with each class's share, two rows or more."""
    config = base.model.config
    most = most_numbers // ((getattr(config, "num_hidden_layers", 0) + 1) * config.hidden_size)
    if len(split) <= most:
        return split
    shuffled = np.random.default_rng(0).permutation(len(split))
    kept = []
    for label in range(len(split.labels)):
        rows = shuffled[split.label_ids[shuffled] == label]
        kept.append(rows[: max(2, len(rows) * most // len(split))])
    return split.take(np.sort(np.concatenate(kept)))


def _features(base: Classifier, split: Split, dtype: torch.dtype | None, progress: Progress) -> NDArray[np.float32]:
    encoded = encode_split(base.tokenizer, split, base.max_length)
    return layer_features(base, encoded, dtype=dtype, progress=progress, description=f"features of {split.name}")


class _Candidate:
    """Some of the hidden states, side by side, and classifiers on them.

    Args:
        states: Which, counted from 0.
        train: Shape (training rows, features).
        validation: Shape (validation rows, features).
        judges: What chooses.
        overwrite: Let the features of the training rows be standardized in place.
    """

    def __init__(
        self,
        states: tuple[int, ...],
        train: NDArray[np.float32],
        validation: NDArray[np.float32],
        judges: Judges,
        *,
        overwrite: bool = False,
    ) -> None:
        self._states, self._validation, self._judges = states, validation, judges
        # Rows that are held out are judged as they come, so they are kept before anything is overwritten.
        self._held_out = [train[part] for part in judges.parts]
        labels = judges.train.labels
        self._regression = SoftmaxRegression(train, judges.train.label_ids, len(labels), overwrite=overwrite)

    def probe(self, place: int) -> _Probe:
        """Fit and judge at one of `STRENGTHS`."""
        fits = self._regression.fit(STRENGTHS[place], self._judges.learners)
        judged = [self._validation, *self._held_out]
        logits = np.concatenate([fit.logits(part) for fit, part in zip(fits, judged, strict=True)])
        return _Probe(
            self._states,
            STRENGTHS[place],
            scaled_loss(self._judges.truth, logits),
            self._judges.macro_f1(logits.argmax(axis=1)),
            fits[0],
            logits[: len(self._validation)].argmax(axis=1),
        )

    def climb(self, middle: _Probe) -> _Probe:
        """Go from the middle strength to neighbouring ones while the loss falls, on one side or the other."""
        for step in (1, -1):
            best, place = middle, MIDDLE + step
            while 0 <= place < len(STRENGTHS) and (found := self.probe(place)).loss < best.loss:
                best, place = found, place + step
            if best is not middle:
                return best
        return middle


def _choose(train: NDArray[np.float32], validation: NDArray[np.float32], judges: Judges) -> _Probe:
    """The best classifier on one hidden state or on all of them; the simpler one where they are level.

    Args:
        train: Shape (states, training rows, hidden size); overwritten.
        validation: Shape (states, validation rows, hidden size).
        judges: What chooses.
    """
    best: tuple[_Candidate, _Probe] | None = None
    for state in range(len(train)):
        candidate = _Candidate((state,), train[state], validation[state], judges)
        probe = candidate.probe(MIDDLE)
        if best is None or probe.macro_f1 > best[1].macro_f1:
            best = candidate, probe
    assert best is not None  # a model has at least one hidden state
    single = best[0].climb(best[1])
    if len(train) == 1:
        return single
    states = tuple(range(len(train)))
    candidate = _Candidate(states, side_by_side(train), side_by_side(validation), judges, overwrite=True)
    together = candidate.climb(candidate.probe(MIDDLE))
    return together if together.macro_f1 > single.macro_f1 else single


def _logits(
    base: Classifier, split: Split, probe: _Probe, dtype: torch.dtype | None, progress: Progress
) -> NDArray[np.float32]:
    """Logits of any number of rows, shape (rows, classes), without the features of all of them in memory at a time."""
    encoded = encode_split(base.tokenizer, split, base.max_length)
    description = f"features of {split.name}"
    parts = []
    for start in range(0, len(split), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        part = replace(encoded, ids=encoded.ids[rows], lengths=encoded.lengths[rows])
        features = layer_features(
            base, part, dtype=dtype, layers=probe.states, progress=progress, description=description
        )
        parts.append(probe.linear.logits(side_by_side(features)))
    return np.concatenate(parts)


def _said(states: tuple[int, ...], count: int) -> str:
    """Which hidden states, in words."""
    if len(states) > 1:
        return f"the means of all {len(states)} hidden states over a text's tokens"
    of = {0: "the embeddings", count - 1: "the last layer"}.get(states[0], f"layer {states[0]} of {count - 1}")
    return f"the mean of {of} over a text's tokens"

"""Probe: logistic regression on the hidden states of a frozen encoder, chosen on validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emotune.tasks.base import LabelledTexts
from emotune.tasks.calibration import scaled_loss
from emotune.tasks.choosing import Judges
from emotune.tasks.softmax_regression import Linear, SoftmaxRegression

# Inverse strengths of the regularization, half a decade apart. The search begins in the middle, and continues while it
# improves.
STRENGTHS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
MIDDLE = STRENGTHS.index(0.01)
# Number of values from which on several threads compute the matrix products.
WORTH_SHARING = 16_000_000


@dataclass(frozen=True, eq=False)
class Probe:
    """Classifier on some of the hidden states, with its scores.

    Attributes:
        states: Numbers of the hidden states, from 0.
        strength: The inverse strength of its regularization.
        loss: Mean cross-entropy of the judging rows at the best temperature.
        macro_f1: Their macro-F1.
        linear: The classifier trained on all rows.
        validated: Its predicted label ids of the validation rows.
        said: The rows used for choosing, in words.
    """

    states: tuple[int, ...]
    strength: float
    loss: float
    macro_f1: float
    linear: Linear
    validated: NDArray[np.int64]
    said: str
    thresholds: ClassVar[None] = None

    @property
    def parameters(self) -> int:
        """Number of its parameters."""
        return int(self.linear.weights.size) + self.linear.weights.shape[-1]


def choose_probe(
    train: LabelledTexts,
    validation: LabelledTexts,
    features: NDArray[np.float32],
    validation_features: NDArray[np.float32],
) -> Probe:
    """Return the best classifier on one hidden state or on all of them; the simpler one if they are equal.

    States are chosen by macro-F1, the strength of the regularization by the loss at the best temperature, which
    distinguishes neighbouring strengths better than macro-F1.

    Args:
        train: The training rows.
        validation: The validation rows.
        features: Shape (states, training rows, hidden size); overwritten.
        validation_features: Shape (states, validation rows, hidden size).
    """
    from threadpoolctl import threadpool_limits

    judges = Judges.of(train, validation)
    # Small products use one thread: threads that wait for each other take several times as long on busy cores.
    with threadpool_limits(1 if features.size < WORTH_SHARING else None):
        return _choose(features, validation_features, judges)


def side_by_side(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return all states of each text as one vector.

    Args:
        features: Shape (states, texts, hidden size), as `layer_features` returns them.

    Returns:
        Shape (texts, states * hidden size).
    """
    return features.swapaxes(0, 1).reshape(features.shape[1], -1)


class _Candidate:
    """Some of the hidden states, side by side, and classifiers on them.

    Args:
        states: Numbers of the states, from 0.
        train: Shape (training rows, features).
        validation: Shape (validation rows, features).
        judges: Rows for choosing.
        overwrite: Standardize the features of the training rows in place.
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
        # Held-out rows are judged without standardization, so they are copied before anything is overwritten.
        self._held_out = [train[part] for part in judges.parts]
        labels = judges.train.labels
        self._regression = SoftmaxRegression(train, judges.train.label_ids, len(labels), overwrite=overwrite)

    def probe(self, place: int) -> Probe:
        """Fit and judge with one of `STRENGTHS`."""
        fits = self._regression.fit(STRENGTHS[place], self._judges.learners)
        judged = [self._validation, *self._held_out]
        logits = np.concatenate([fit.logits(part) for fit, part in zip(fits, judged, strict=True)])
        return Probe(
            self._states,
            STRENGTHS[place],
            scaled_loss(self._judges.truth, logits),
            self._judges.macro_f1(logits.argmax(axis=1)),
            fits[0],
            logits[: len(self._validation)].argmax(axis=1),
            self._judges.said,
        )

    def climb(self, middle: Probe) -> Probe:
        """Move from the middle strength to neighbouring ones while the loss falls, in one direction or the other."""
        for step in (1, -1):
            best, place = middle, MIDDLE + step
            while 0 <= place < len(STRENGTHS) and (found := self.probe(place)).loss < best.loss:
                best, place = found, place + step
            if best is not middle:
                return best
        return middle


def _choose(train: NDArray[np.float32], validation: NDArray[np.float32], judges: Judges) -> Probe:
    """Return the best classifier on one hidden state or on all of them; the simpler one if they are equal.

    Args:
        train: Shape (states, training rows, hidden size); overwritten.
        validation: Shape (states, validation rows, hidden size).
        judges: Rows for choosing.
    """
    best: tuple[_Candidate, Probe] | None = None
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

"""Baselines for several labels per row: the commonest labels, and linear classifiers, one per label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.system.wording import listed
from emotune.tasks.base import LabelledTexts, Simple
from emotune.tasks.multi_scores import macro_f1_of
from emotune.tasks.scores import sigmoid
from emotune.tasks.softmax_regression import Linear
from emotune.tasks.thresholds import decided, one_threshold
from emotune.tasks.words import WORD

# Settings of the classifier on words: inverse strength of regularization, and balanced weights or not.
_WORDS = tuple((strength, balanced) for strength in (1.0, 10.0) for balanced in (False, True))
_STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def commonest_labels(train: LabelledTexts, rows: int, validation: LabelledTexts | None) -> Simple:
    """Return the prediction of the same labels for every row: the commonest ones, as many as give the best macro-F1.

    On training rows, the macro-F1 of a constant grows with every label, so it is all labels that have rows.

    Args:
        train: The training rows.
        rows: Number of scored rows.
        validation: The validation rows, on which the baseline is scored.
    """
    shares = train.label_ids.mean(axis=0)
    constant = (shares > 0).astype(np.int8)
    named = [label for label, chosen in zip(train.labels, constant, strict=True) if chosen]
    said = "all labels" if len(named) == len(train.labels) else listed(named)
    return Simple(
        predictions=np.tile(constant, (rows, 1)),
        probabilities=np.tile(shares.astype(np.float64), (rows, 1)),
        validated=None
        if validation is None
        else macro_f1_of(validation.label_ids, np.tile(constant, (len(validation), 1))),
        parameters=len(train.labels),
        note=f"Predicts {said} for every text: of all constant answers, it has the best macro-F1.",
    )


def several_words(
    train: LabelledTexts, validation: LabelledTexts, test: LabelledTexts, *, at_least_one: bool = False
) -> Simple:
    """Return the predictions of logistic regression on TF-IDF weights of words, one classifier per label.

    The inverse strength of regularization, the class weights, and one threshold for all labels are chosen by macro-F1
    on validation.

    Args:
        train: The training rows.
        validation: The rows for choosing.
        test: The rows to score, once.
        at_least_one: Every text gets a label, as for `decided`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        weighting = TfidfVectorizer(
            ngram_range=(1, 2), token_pattern=WORD, min_df=1, sublinear_tf=True, dtype=np.float32
        )
        features = weighting.fit_transform(_plain(train.texts))
        on_validation = weighting.transform(_plain(validation.texts))
        found = []
        for strength, balanced in _WORDS:
            model = _OneVsRest.fit(features, train.label_ids, strength, balanced)
            probabilities = model.probabilities(on_validation)
            threshold = one_threshold(validation.label_ids, probabilities, at_least_one=at_least_one)
            score = macro_f1_of(validation.label_ids, decided(probabilities, threshold, at_least_one=at_least_one))
            found.append((score, model, threshold, strength, balanced))
        score, model, threshold, strength, balanced = max(found, key=lambda tried: tried[0])
        probabilities = model.probabilities(weighting.transform(_plain(test.texts)))
    return Simple(
        predictions=decided(probabilities, threshold, at_least_one=at_least_one),
        probabilities=probabilities,
        validated=score,
        parameters=int(model.weights.size + model.bias.size),
        note=f"No BERT at all: logistic regression per label (C={strength:g}{', both sides weighted alike' if balanced else ''}) "
        f"on words and pairs of words; setting and threshold ({threshold:g}) chosen by macro-F1 on validation among "
        f"{len(_WORDS)} settings.",
    )


def _plain(texts: tuple[str, ...]) -> list[str]:
    """Return texts for counting words; the two texts of a pair are joined."""
    from emotune.system.pairs import sides_of

    firsts, seconds = sides_of(texts)
    return list(firsts) if seconds is None else [f"{one} {two}" for one, two in zip(firsts, seconds, strict=True)]


@dataclass(frozen=True, eq=False)
class _OneVsRest:
    """Logistic regressions, one per label.

    Attributes:
        weights: Shape (labels, features).
        bias: Shape (labels,).
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def fit(cls, features: Any, targets: NDArray[np.int8], strength: float, balanced: bool) -> _OneVsRest:
        """Fit every label; one that all training rows have, or none, gets a constant."""
        from sklearn.linear_model import LogisticRegression

        weights = np.zeros((targets.shape[1], features.shape[1]))
        bias = np.zeros(targets.shape[1])
        for at in range(targets.shape[1]):
            own = targets[:, at]
            if own.min() == own.max():
                bias[at] = 20.0 if own.max() else -20.0
                continue
            model = LogisticRegression(
                C=strength, class_weight="balanced" if balanced else None, max_iter=300, tol=1e-3, solver="liblinear"
            ).fit(features, own)
            weights[at], bias[at] = model.coef_[0], model.intercept_[0]
        return cls(weights, bias)

    def logits(self, features: Any) -> NDArray[np.float64]:
        """Return logits, shape (rows, labels)."""
        return np.asarray(features @ self.weights.T) + self.bias

    def probabilities(self, features: Any) -> NDArray[np.float64]:
        """Return probabilities, shape (rows, labels)."""
        return sigmoid(self.logits(features))


@dataclass(frozen=True, eq=False)
class SeveralProbe:
    """Logistic regressions on some of the hidden states, one per label.

    Attributes:
        states: Numbers of the hidden states, from 0.
        strength: The inverse strength of the regularization.
        linear: The classifiers.
        threshold: The threshold of all labels.
        validated: The predictions of the validation rows, shape (rows, labels).
        said: The rows used for choosing, in words.
    """

    states: tuple[int, ...]
    strength: float
    linear: Linear
    threshold: float
    validated: NDArray[np.int8]
    said: str = "with its threshold by macro-F1 on validation"

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The threshold of each label."""
        return (self.threshold,) * self.linear.weights.shape[-1]

    @property
    def parameters(self) -> int:
        """Number of its parameters."""
        return int(self.linear.weights.size) + self.linear.weights.shape[-1]


def several_probe(
    train: LabelledTexts,
    validation: LabelledTexts,
    features: NDArray[np.float32],
    validation_features: NDArray[np.float32],
    *,
    at_least_one: bool = False,
) -> SeveralProbe:
    """Return the best logistic regressions, one per label, on one hidden state.

    The state, and then the strength of the regularization, are chosen by macro-F1 on validation with the best threshold
    for all labels.

    Args:
        train: The training rows.
        validation: The validation rows.
        features: Shape (states, training rows, hidden size).
        validation_features: Shape (states, validation rows, hidden size).
        at_least_one: Every text gets a label, as for `decided`.
    """
    truth = validation.label_ids

    def tried(state: int, strength: float) -> tuple[float, SeveralProbe]:
        linear = _fit_sigmoids(features[state], train.label_ids, strength)
        probabilities = sigmoid(linear.logits(validation_features[state]))
        threshold = one_threshold(truth, probabilities, at_least_one=at_least_one)
        predictions = decided(probabilities, threshold, at_least_one=at_least_one)
        return macro_f1_of(truth, predictions), SeveralProbe((state,), strength, linear, threshold, predictions)

    best = max((tried(state, _STRENGTHS[1]) for state in range(len(features))), key=lambda found: found[0])
    others = (tried(best[1].states[0], strength) for strength in _STRENGTHS if strength != _STRENGTHS[1])
    return max((best, *others), key=lambda found: found[0])[1]


def _fit_sigmoids(features: NDArray[np.float32], targets: NDArray[np.int8], strength: float) -> Linear:
    """Fit a logistic regression per label on standardized features, with scikit-learn's C, all of them at once."""
    from scipy.optimize import minimize
    from scipy.special import expit

    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < 1e-6 * np.maximum(1, np.abs(mean))] = 1  # constant dimensions
    table = ((features - mean) / scale).astype(np.float64)
    signs = 2.0 * targets - 1
    shape = (table.shape[1], targets.shape[1])
    inner = shape[0] * shape[1]

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, bias = values[:inner].reshape(shape), values[inner:]
        margins = signs * (table @ weights + bias)
        slope = -signs * expit(-margins) * strength
        total = strength * np.logaddexp(0.0, -margins).sum() + 0.5 * (weights**2).sum()
        return float(total), np.concatenate([(table.T @ slope + weights).ravel(), slope.sum(axis=0)])

    shares = np.clip(targets.mean(axis=0), 1e-6, 1 - 1e-6)
    start = np.concatenate([np.zeros(inner), np.log(shares / (1 - shares))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    weights, bias = found.x[:inner].reshape(shape), found.x[inner:]
    return Linear(mean, scale, weights.astype(np.float32), bias.astype(np.float32))

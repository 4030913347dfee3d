"""Estimates of the share of wrong labels, and of each label's probability, from the scores of an imperfect classifier.

The model: the true label of a text has the probabilities softmax(a s + b), where s are the scores of a classifier that
has not seen the text. The given label is drawn from the row of the noise matrix that belongs to the true label. So
where the classifier is surest, it agrees with no more labels than are right, and its uncertainty cannot explain the
rest: this separates noise from difficulty.

All parameters are estimated by maximum likelihood from the given labels (class-conditional noise as in D. Angluin, P.
Laird, Machine Learning 2, 1988; its matrix by likelihood as in S. Sukhbaatar et al., arXiv 1406.2080). Mistakes of all
kinds are taken to be equally frequent unless the labels clearly show otherwise: by the Bayesian information criterion
(G. Schwarz, Annals of Statistics 6, 1978), and by a minimum gain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The parameters are few, so they are fitted to about this many rows, drawn at random, with at least this many per
# label.
_MOST_ROWS = 20_000
_LEAST_OF_LABEL = 50
# A rate for every pair of labels is tried if there are this many rows per entry of the matrix.
_ROWS_PER_PAIR = 30
# Its least gain in log-likelihood per row. In the emotion data a tenth of the love texts is labelled joy by convention,
# which gains 0.012: two labels that share some words are no reason to call one of them wrong.
_PAIRS_GAIN = 0.02
# Largest distance of the log-likelihood from its maximum: half the 90 % quantile of chi-square with one degree of
# freedom, for a one-sided interval of 95 %.
_WITHIN = 1.353
_STEPS = 300
_HALVINGS = 7
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Noise:
    """Estimated noise of labels, and recall of the classifier by true labels.

    Attributes:
        rate: Estimated share of wrong labels.
        least_rate: Lower end of a one-sided interval of 95 % for that share.
        recall: Estimated mean recall of the classifier over classes, by true labels.
        least_recall: The same if the share of wrong labels is `least_rate`, so that a weak classifier's mistakes are
            not attributed to the labels.
        true: Shape (rows, labels), the probability that each label is the true one, given the row's own label.
    """

    rate: float
    least_rate: float
    recall: float
    least_recall: float
    true: NDArray[np.float64]


def estimate_noise(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> Noise:
    """Estimate the noise of labels.

    Args:
        scores: Shape (rows, labels), scores or logits of a classifier that has not seen the row.
        labels: Shape (rows,), the given labels; each label occurs.
    """
    scores = scores - scores.mean(axis=1, keepdims=True)
    scores = scores / max(float(scores.std()), _TINY)
    few = _draw(scores, labels)
    best = _fit(few)
    classes = scores.shape[1]
    pairs = classes * (classes - 1)
    if classes > 2 and pairs * _ROWS_PER_PAIR <= len(few.labels):
        other = _fit_pairs(few, best)
        needed = max((pairs - 1) / 2 * np.log(len(few.labels)), _PAIRS_GAIN * len(few.labels))
        if best.loss - other.loss > needed:
            best = other
    least = _least(few, best)
    true, least_true = (found.true(scores, labels) for found in (best, least))
    return Noise(
        rate=_wrong(true, labels),
        least_rate=_wrong(least_true, labels),
        recall=_recall(scores, true),
        least_recall=_recall(scores, least_true),
        true=true,
    )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Rows for fitting the parameters.

    Attributes:
        scores: Shape (rows, labels).
        labels: Shape (rows,), the given labels.
        weights: Shape (rows,), sampling weights with a mean of 1, since a larger share of rare labels is drawn.
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]


def _draw(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> _Drawn:
    """Draw rows of each label in proportion, but a minimum of each: a label without rows would have no likelihood."""
    if len(labels) <= _MOST_ROWS:
        return _Drawn(scores, labels, np.ones(len(labels)))
    random = np.random.default_rng(0)
    counts = np.bincount(labels)
    sizes = np.minimum(counts, np.maximum(np.round(counts * (_MOST_ROWS / len(labels))), _LEAST_OF_LABEL)).astype(int)
    drawn = [
        random.choice(np.flatnonzero(labels == label), size=size, replace=False) for label, size in enumerate(sizes)
    ]
    rows = np.sort(np.concatenate(drawn))
    weights = (counts / np.maximum(sizes, 1))[labels[rows]]
    return _Drawn(scores[rows], labels[rows], weights / weights.mean())


@dataclass(frozen=True, eq=False)
class _Fit:
    """Fitted parameters, and their loss.

    Attributes:
        slope: Factor of the scores.
        offsets: Shape (labels,), added to them.
        noise: Shape (labels, labels), the probability of a given label (column) for each true label (row).
        loss: The negative log-likelihood.
    """

    slope: float
    offsets: NDArray[np.float64]
    noise: NDArray[np.float64]
    loss: float

    def true(self, scores: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the probability of each label, given scores and own label, by Bayes' rule, shape (rows, labels)."""
        from scipy.special import softmax

        found: NDArray[np.float64] = softmax(self.slope * scores + self.offsets, axis=1) * self.noise.T[labels]
        return found / np.maximum(found.sum(axis=1, keepdims=True), 1e-300)


_Matrix = Callable[
    [NDArray[np.float64]], tuple[NDArray[np.float64], Callable[[NDArray[np.float64]], NDArray[np.float64]]]
]
"""Function from parameters to a noise matrix, and to a function that maps its gradients to those of the parameters."""


def _minimize(drawn: _Drawn, matrix: _Matrix, start: NDArray[np.float64]) -> _Fit:
    """Fit slope, offsets and the parameters of a noise matrix, in this order in `start`."""
    from scipy.optimize import minimize
    from scipy.special import softmax

    scores, labels, weights = drawn.scores, drawn.labels, drawn.weights[:, None]
    number, classes = scores.shape

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        noise, back = matrix(parameters[1 + classes :])
        true = softmax(parameters[0] * scores + parameters[1 : 1 + classes], axis=1)
        of_label = noise.T[labels]  # the probability of the given label, for each possible true label
        seen = np.maximum((true * of_label).sum(axis=1, keepdims=True), _TINY)
        by_score = weights * true * (of_label / seen - 1)
        by_entry = np.zeros((classes, classes))
        np.add.at(by_entry, labels, weights * true / seen)
        slopes = np.concatenate([[(by_score * scores).sum()], by_score.sum(axis=0), back(by_entry.T)])
        return float(-(weights * np.log(seen)).mean()), -slopes / number

    found: Any = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    noise, _ = matrix(found.x[1 + classes :])
    return _Fit(float(found.x[0]), found.x[1 : 1 + classes], noise, float(found.fun) * number)


def _fit(drawn: _Drawn) -> _Fit:
    """Fit with equally frequent mistakes of all kinds; the parameter is the logit of their rate."""
    from scipy.special import expit

    classes = drawn.scores.shape[1]
    change = np.full((classes, classes), 1 / (classes - 1))
    np.fill_diagonal(change, -1)

    def matrix(parameters: NDArray[np.float64]) -> Any:
        rate = float(expit(parameters[0]))
        return np.eye(classes) + rate * change, lambda slopes: np.array([(slopes * change).sum() * rate * (1 - rate)])

    return _minimize(drawn, matrix, np.concatenate([[1.0], np.zeros(classes), [-3.0]]))


def _fit_pairs(drawn: _Drawn, start: _Fit) -> _Fit:
    """Fit with a rate per pair of labels; the parameters are the logits of the matrix's rows, 0 for the true label."""
    from scipy.special import softmax

    classes = drawn.scores.shape[1]
    off = ~np.eye(classes, dtype=bool)

    def matrix(parameters: NDArray[np.float64]) -> Any:
        logits = np.zeros((classes, classes))
        logits[off] = parameters
        noise = softmax(logits, axis=1)
        return noise, lambda slopes: (noise * (slopes - (noise * slopes).sum(axis=1, keepdims=True)))[off]

    logits = np.log(np.maximum(start.noise, 1e-4)) - np.log(np.diag(start.noise))[:, None]
    return _minimize(drawn, matrix, np.concatenate([[start.slope], start.offsets, logits[off]]))


def _least(drawn: _Drawn, best: _Fit) -> _Fit:
    """Return the fit with the least noise that the labels allow: the rates of `best`, scaled down by one factor."""
    classes = drawn.scores.shape[1]
    start = np.concatenate([[best.slope], best.offsets])

    def fit(share: float) -> _Fit:
        noise = np.eye(classes) + share * (best.noise - np.eye(classes))
        return _minimize(drawn, lambda _: (noise, lambda _: np.empty(0)), start)

    found = fit(0.0)
    if found.loss <= best.loss + _WITHIN:
        return found
    low, high, found = 0.0, 1.0, best
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        tried = fit(middle)
        if tried.loss <= best.loss + _WITHIN:
            high, found = middle, tried
        else:
            low = middle
    return found


def _wrong(true: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the share of wrong labels."""
    return float(1 - true[np.arange(len(labels)), labels].mean())


def _recall(scores: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Return the classifier's mean recall over classes, by the probabilities of the true labels."""
    best = scores.argmax(axis=1)
    right = np.bincount(best, weights=true[np.arange(len(best)), best], minlength=true.shape[1])
    return float((right / np.maximum(true.sum(axis=0), 1e-300)).mean())


def likeliest_others(
    true: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the probability of each row's own label, the likeliest other label, and the probability of that one.

    Args:
        true: Shape (rows, labels), probabilities of the true label.
        labels: Shape (rows,), the given labels.
    """
    rows = np.arange(len(labels))
    own = true[rows, labels]
    others = true.copy()
    others[rows, labels] = -1
    best = others.argmax(axis=1)
    return own, best, others[rows, best]

"""Out-of-fold scores of classifiers that judge labels: each row is scored by a classifier trained on other rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Inverse strengths of regularization of support vector machines and of logistic regression on words.
_MACHINES, _REGRESSIONS = (0.1, 0.3), (3.0,)
# Strengths of regularization of ridge regression on standardized features, per row.
_RIDGES = (0.1, 1.0, 3.0)

Folds = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True, eq=False)
class Features:
    """A model's features of texts.

    Attributes:
        model: The model's name.
        values: Shape (texts, features).
    """

    model: str
    values: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Judge:
    """Scores of rows by classifiers that have not seen them.

    Attributes:
        name: Kind of classifier, in words.
        scores: Shape (rows, labels).
        recall: Mean recall over classes, by the given labels.
    """

    name: str
    scores: NDArray[np.float64]
    recall: float


def best_judge(
    texts: Sequence[str], labels: NDArray[np.int64], folds: Folds, features: Features | None = None
) -> Judge:
    """Return the judge with the highest mean recall over classes.

    Args:
        texts: The texts.
        labels: Shape (texts,), label ids from 0, each of which occurs in the training part of every fold.
        folds: Numbers of the rows to train on and of those to score, by fold; every row is scored once.
        features: A model's features of the texts, for a judge that uses more than words.
    """
    from sklearn.metrics import recall_score

    judges = [*_by_words(texts, labels, folds), *(() if features is None else _by_features(features, labels, folds))]
    return max(
        (
            Judge(name, scores, float(recall_score(labels, scores.argmax(axis=1), average="macro")))
            for name, scores in judges
        ),
        key=lambda judge: judge.recall,
    )


def _by_words(
    texts: Sequence[str], labels: NDArray[np.int64], folds: Folds
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield linear classifiers on single words, with balanced class weights."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    def weigh(least: int) -> Any:
        return TfidfVectorizer(
            min_df=least, sublinear_tf=True, token_pattern=r"(?u)\w+|[^\w\s]+", dtype=np.float32
        ).fit_transform(texts)

    try:
        words = weigh(2)
    except ValueError:  # no word occurs in two texts
        words = weigh(1)
    for strength in _MACHINES:
        machine = LinearSVC(C=strength, class_weight="balanced", random_state=0)
        yield "a support vector machine on words", _scores(machine, words, labels, folds)
    for strength in _REGRESSIONS:
        regression = LogisticRegression(C=strength, max_iter=200, tol=1e-3, class_weight="balanced")
        yield "logistic regression on words", _scores(regression, words, labels, folds)


def _scores(classifier: Any, words: Any, labels: NDArray[np.int64], folds: Folds) -> NDArray[np.float64]:
    scores = np.empty((len(labels), int(labels.max()) + 1))
    for learn, judge in folds:
        found = classifier.fit(words[learn], labels[learn]).decision_function(words[judge])
        scores[judge] = found if found.ndim == 2 else np.stack([-found, found], axis=1) / 2
    return scores


def _by_features(
    features: Features, labels: NDArray[np.int64], folds: Folds
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield ridge regressions of the labels on standardized features, with balanced class weights.

    The products of features of a fold's rows are subtracted from those of all rows, so the latter are computed once.
    """
    from scipy.linalg import cho_factor, cho_solve

    values = features.values - features.values.mean(axis=0)
    values /= values.std(axis=0) + 1e-6
    rows, width = values.shape
    if rows < width:  # an equivalent problem with as many dimensions as rows
        left, singular, _ = np.linalg.svd(values, full_matrices=False)
        values = left * singular
        width = rows
    classes = int(labels.max()) + 1
    weights = (rows / (classes * np.bincount(labels, minlength=classes)))[labels].astype(np.float32)[:, None]
    targets = np.eye(classes, dtype=np.float32)[labels] - np.float32(1 / classes)
    products = [(values[part] * weights[part]).T @ values[part] for _, part in folds]
    sums = [(values[part] * weights[part]).T @ targets[part] for _, part in folds]
    all_products, all_sums = np.sum(products, axis=0), np.sum(sums, axis=0)
    scores = {strength: np.empty((rows, classes)) for strength in _RIDGES}
    for (_, part), own_products, own_sums in zip(folds, products, sums, strict=True):
        others = (all_products - own_products).astype(np.float64)
        for strength in _RIDGES:
            matrix = others.copy()
            matrix[np.diag_indices(width)] += strength * rows
            scores[strength][part] = values[part] @ cho_solve(cho_factor(matrix, overwrite_a=True), all_sums - own_sums)
    for found in scores.values():
        yield f"a linear model on features of {features.model}", found

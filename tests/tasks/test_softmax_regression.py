"""Logistic regression against scikit-learn's, on standardized features."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from emotune.tasks.softmax_regression import SoftmaxRegression, root_of_products


def make(rows: int, width: int, classes: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Correlated features far from zero, one of them constant, and labels of unequal frequency that depend on them."""
    generator = np.random.default_rng(seed)
    hidden = generator.normal(size=(rows, 6))
    features = hidden @ generator.normal(size=(6, width)) + 0.3 * generator.normal(size=(rows, width)) + 5
    features[:, 1] = 0.1
    logits = hidden[:, :classes] * 2 + np.arange(classes) * 0.5 + generator.gumbel(size=(rows, classes))
    return features.astype(np.float32), logits.argmax(axis=1)


@pytest.mark.parametrize("strength", [0.001, 0.03, 1.0])
@pytest.mark.parametrize(
    ("rows", "width", "classes"), [(400, 20, 4), (60, 200, 4), (60, 61, 3), (300, 20, 2), (50, 90, 2)]
)
def test_equals_scikit_learn(rows: int, width: int, classes: int, strength: float) -> None:
    features, label_ids = make(rows, width, classes)
    every = np.arange(rows)
    some = np.flatnonzero(every % 3)
    fits = SoftmaxRegression(features.copy(), label_ids, classes).fit(strength, [every, some])
    scaled = StandardScaler().fit_transform(features.astype(np.float64))
    for learner, fit in zip([every, some], fits, strict=True):
        model = LogisticRegression(C=strength, tol=1e-8, max_iter=5000).fit(scaled[learner], label_ids[learner])
        expected = model.predict_proba(scaled)
        np.testing.assert_allclose(softmax(fit.logits(features), axis=1), expected, atol=5e-3)


def test_standardizes_in_place_when_asked() -> None:
    features, label_ids = make(100, 10, 3)
    kept = features.copy()
    expected = SoftmaxRegression(features, label_ids, 3).fit(0.1, [np.arange(100)])[0]
    np.testing.assert_array_equal(features, kept)
    found = SoftmaxRegression(features, label_ids, 3, overwrite=True).fit(0.1, [np.arange(100)])[0]
    np.testing.assert_allclose(features[:, [0, 2]].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_array_equal(found.logits(kept), expected.logits(kept))


def test_a_label_that_no_row_has_becomes_unlikely() -> None:
    features, label_ids = make(100, 10, 3)
    learner = np.flatnonzero(label_ids != 2)
    fit = SoftmaxRegression(features, label_ids, 3).fit(0.1, [learner])[0]
    assert softmax(fit.logits(features), axis=1)[:, 2].max() < 0.05


@pytest.mark.parametrize("rounding", [0.0, 5e-7, 3e-6, 4e-5])
def test_products_that_rounding_made_negative_still_have_a_root(rounding: float) -> None:
    """Equal rows have equal products; in single precision the least eigenvalue of 3,000 rows was -5e-7 times the width."""
    rows = np.random.default_rng(0).normal(size=(8, 50))
    products = np.vstack([rows, rows]) @ np.vstack([rows, rows]).T - rounding * 50 * np.eye(16)
    root = root_of_products(products.copy(), 50)
    np.testing.assert_allclose(root @ root.T, products, atol=1.2e-4 * 50)


def test_what_are_no_products_has_no_root() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="no Cholesky factor"):
        root_of_products(-np.eye(3), 4)

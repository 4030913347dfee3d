"""Multinomial logistic regression on dense features, fast for many strengths and many sets of rows.

The optimum is that of scikit-learn's `LogisticRegression` on standardized features. L-BFGS reaches it sooner in
preconditioned coordinates, in which the loss has about the same curvature in all directions, by the Cholesky factor of
the features' covariance. It needs about 15 passes over the features instead of 100 to 300, since hidden states of
neighbouring layers are so correlated that plain coordinates are slow (benchmarks/LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Limit of the gradient in preconditioned coordinates, in which the loss, summed over rows, has a curvature of about 1.
# It is multiplied by the square root of the rows, since a step changes each row's logits less if there are more rows.
# Probabilities are then within 0.005 of the optimum's.
TOLERANCE = 0.0001
MOST_STEPS = 200


@dataclass(frozen=True, eq=False)
class Linear:
    """Fitted classifier on features that are not standardized.

    Attributes:
        mean: Shape (features,), subtracted first.
        scale: Shape (features,), the divisor after that.
        weights: Shape (features, classes).
        bias: Shape (classes,).
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits, shape (rows, classes), from features of shape (rows, features)."""
        weights = self.weights / self.scale[:, None]
        return features @ weights + (self.bias - self.mean @ weights)


class SoftmaxRegression:
    """Fits on one table of features.

    Args:
        features: Shape (rows, features), float32. They are standardized by mean and deviation over all these rows,
            whichever of them a fit uses; labels have no influence on it.
        label_ids: Shape (rows,).
        classes: Number of labels.
        overwrite: Standardize in place, to save the memory of a copy.
    """

    def __init__(
        self, features: NDArray[np.float32], label_ids: NDArray[np.int64], classes: int, *, overwrite: bool = False
    ) -> None:
        self.mean = features.mean(axis=0)
        self.scale = features.std(axis=0)
        self.scale[self.scale < 1e-6 * np.maximum(1, np.abs(self.mean))] = 1  # constant dimensions
        self._features = np.subtract(features, self.mean, out=features if overwrite else None)
        self._features /= self.scale
        rows, width = features.shape
        self._root: NDArray[np.float64] | None = None
        self._table = self._features
        if rows < width:
            # Weights are sums of rows, so as many coordinates as rows suffice: X = L Q with orthonormal rows in Q, for
            # X X' = L L'.
            self._root = root_of_products((self._features @ self._features.T).astype(np.float64), width)
            self._table = self._root.astype(np.float32)
        self._covariance = self._table.T @ self._table
        self._label_ids, self._classes = label_ids, classes

    def fit(self, strength: float, learners: Sequence[NDArray[np.int64]]) -> list[Linear]:
        """Fit once for each set of rows.

        Args:
            strength: The inverse strength of the regularization, scikit-learn's C.
            learners: Row numbers to learn from, in ascending order.
        """
        from scipy.linalg import cholesky
        from scipy.linalg.lapack import strtri

        width = self._table.shape[1]
        shares = np.bincount(self._label_ids, minlength=self._classes) / len(self._label_ids)
        curvature = np.float32((shares * (1 - shares)).mean())
        hessian = self._covariance * curvature
        # For two labels, scikit-learn penalizes one vector: the difference of the two vectors here, which has twice
        # their length.
        penalty = np.float32((2 if self._classes == 2 else 1) / strength)
        hessian[np.diag_indices(width)] += penalty
        factor = cholesky(hessian, overwrite_a=True, check_finite=False)
        inverse, failed = strtri(factor, overwrite_c=1)
        if failed:
            raise RuntimeError("the features' covariance has no Cholesky factor")
        inverse = np.triu(inverse)
        return [self._fit(penalty, inverse, float(curvature), rows) for rows in learners]

    def _fit(
        self, penalty: np.float32, inverse: NDArray[np.float32], curvature: float, learner: NDArray[np.int64]
    ) -> Linear:
        from scipy.linalg import solve_triangular
        from scipy.optimize import minimize

        every = len(learner) == len(self._table)
        table = self._table if every else self._table[learner]  # without a copy of all rows
        label_ids = self._label_ids[learner]
        rows, width = table.shape
        bias_scale = np.float32(1 / np.sqrt(rows * curvature))
        places = np.arange(rows)

        def parameters(point: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            own = point.astype(np.float32).reshape(width + 1, self._classes)
            return inverse @ own[:width], own[width] * bias_scale

        def loss_and_gradient(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weights, bias = parameters(point)
            logits = table @ weights + bias
            logits -= logits.max(axis=1, keepdims=True)
            of_truth = logits[places, label_ids].sum(dtype=np.float64)
            errors = np.exp(logits, out=logits)
            sums = errors.sum(axis=1, keepdims=True)
            loss = (
                np.log(sums).sum(dtype=np.float64) - of_truth + np.square(weights, dtype=np.float64).sum() * penalty / 2
            )
            errors /= sums
            errors[places, label_ids] -= 1
            gradient = np.vstack([inverse.T @ (table.T @ errors + weights * penalty), errors.sum(axis=0) * bias_scale])
            return float(loss), gradient.astype(np.float64).ravel()

        start = np.zeros((width + 1) * self._classes)
        found = minimize(
            loss_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": MOST_STEPS, "gtol": TOLERANCE * float(np.sqrt(rows)), "ftol": 1e-10},
        )
        weights, bias = parameters(found.x)
        if self._root is not None:
            back = solve_triangular(self._root, weights, lower=True, trans="T", check_finite=False)
            weights = self._features.T @ back.astype(np.float32)
        return Linear(self.mean, self.scale, weights, bias)


def root_of_products(products: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the lower Cholesky factor of the Gram matrix of all rows.

    The matrix is singular, since centred rows add up to zero and rows may be equal. Rounding in single precision then
    makes the least eigenvalues negative: -5e-7 times the width with 3,000 rows, further below zero with more. A term on
    the diagonal keeps the factor defined. It is the smallest of three that suffices, and far below any penalty.

    Args:
        products: Shape (rows, rows); overwritten.
        width: Number of features per row.

    Raises:
        LinAlgError: They are not the products of rows with each other.
    """
    from scipy.linalg import LinAlgError, cholesky

    diagonal, added = np.diag_indices(len(products)), 0.0
    for share in (1e-6, 1e-5, 1e-4):
        products[diagonal] += share * width - added
        added = share * width
        try:
            return np.asarray(cholesky(products, lower=True, check_finite=False))
        except LinAlgError:
            continue
    raise LinAlgError("the products of the rows have no Cholesky factor")

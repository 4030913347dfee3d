"""Multinomial logistic regression on dense features, for many strengths and many sets of rows at the price of few.

The optimum is that of scikit-learn's `LogisticRegression` on standardized features. The way there is shorter: L-BFGS runs in coordinates
in which the loss curves alike in all directions, by the Cholesky factor of the features' covariance. It needs about 15 passes over the
features instead of 100 to 300: hidden states of neighbouring layers are so correlated that plain coordinates are slow (benchmarks/LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# On the gradient in the coordinates of the search, where the loss, summed over rows, curves by about 1; times the root of the rows, since
# a step there moves each row's logits the less the more rows there are. Probabilities are then within 0.005 of the optimum's.
TOLERANCE = 0.0001
MOST_STEPS = 200


@dataclass(frozen=True, eq=False)
class Linear:
    """A fitted classifier on features as they come.

    Attributes:
        mean: Shape (features,), taken off first.
        scale: Shape (features,), divided by next.
        weights: Shape (features, classes).
        bias: Shape (classes,).
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape (rows, classes), from features of shape (rows, features)."""
        weights = self.weights / self.scale[:, None]
        return features @ weights + (self.bias - self.mean @ weights)


class SoftmaxRegression:
    """Fits on one table of features.

    Args:
        features: Shape (rows, features), float32. Standardized by their own mean and deviation over all these rows, whichever of them a
            fit learns from: labels play no part in it.
        label_ids: Shape (rows,).
        classes: How many labels there are.
        overwrite: Standardize in place, to save the memory of a copy.
    """

    def __init__(
        self, features: NDArray[np.float32], label_ids: NDArray[np.int64], classes: int, *, overwrite: bool = False
    ) -> None:
        self.mean = features.mean(axis=0)
        self.scale = features.std(axis=0)
        self.scale[self.scale < 1e-6 * np.maximum(1, np.abs(self.mean))] = 1  # constant, as dead dimensions are
        self._features = np.subtract(features, self.mean, out=features if overwrite else None)
        self._features /= self.scale
        rows, width = features.shape
        self._root: NDArray[np.float64] | None = None
        self._table = self._features
        if rows < width:
            # Weights are sums of rows, so as many coordinates as rows say it all: X = L Q with orthonormal rows in Q, for X X' = L L'.
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
        # Of two labels scikit-learn penalizes one vector, the difference of the two that are here, which has twice their length.
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
    """The lower Cholesky factor of the products of all rows with each other.

    Centred rows add up to zero, equal rows have equal products, and in single precision rounding makes the least eigenvalues negative: 5e-7
    times the width with 3,000 rows, more with more. What is added to the diagonal keeps the factor defined. It is far below any penalty, so
    no more is added than it takes.

    Args:
        products: Shape (rows, rows); overwritten.
        width: How many features the rows have.

    Raises:
        LinAlgError: They are no products of rows with each other.
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

"""Calibration where rows have several labels: a temperature per label, and how right each label's probabilities are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.tasks.calibration import COOLEST, HOTTEST, Calibration, calibration_of
from emotune.tasks.scores import sigmoid
from emotune.tasks.thresholds import FEW_ROWS


@dataclass(frozen=True, eq=False)
class LabelCalibration:
    """Calibration of the probability of one label, over all rows of a split.

    The Brier score is the mean squared distance of the probability from 0 or 1, from 0 to 1; bins hold rows of similar
    probability of the label, and their accuracy is the share of rows that have it.

    Attributes:
        temperature: Divisor of the label's logits, fitted on validation; None if none was fitted.
        plain: Calibration of the plain probabilities.
        scaled: Calibration after division by the temperature; None without one.
    """

    temperature: float | None
    plain: Calibration
    scaled: Calibration | None


def label_calibrations(
    truth: NDArray[np.int8],
    logits: NDArray[np.floating],
    temperatures: Sequence[float] | None,
    labels: Sequence[str],
) -> dict[str, LabelCalibration]:
    """Measure the calibration of every label's probabilities, before and after scaling.

    Args:
        truth: Shape (rows, labels), 0 and 1.
        logits: Shape (rows, labels), without scaling.
        temperatures: One per label, fitted on other rows; None if none were.
        labels: Label names.
    """
    exact = logits.astype(np.float64)
    found = {}
    for at, label in enumerate(labels):
        own, temperature = truth[:, at], None if temperatures is None else temperatures[at]
        after = None if temperature is None else _calibration(own, exact[:, at] / temperature)
        found[label] = LabelCalibration(temperature, _calibration(own, exact[:, at]), after)
    return found


def _calibration(truth: NDArray[np.int8], logits: NDArray[np.float64]) -> Calibration:
    probabilities = sigmoid(logits)
    return calibration_of(
        probabilities,
        truth == 1,
        brier=float(np.mean((probabilities - truth) ** 2)),
        loss=_loss(truth, logits),
    )


def fit_temperatures(truth: NDArray[np.int8], logits: NDArray[np.floating]) -> tuple[float, ...] | None:
    """Return the divisor of each label's logits with the least binary cross-entropy; fit it on validation, never on test.

    A label with too few rows, or whose rows cannot determine a temperature, gets the one that fits all labels together;
    if there is none either, it gets 1 and stays as it is.

    Args:
        truth: Shape (rows, labels), 0 and 1.
        logits: Shape (rows, labels).

    Returns:
        One temperature per label; None if no rows could determine any.
    """
    common = _fitted(truth, logits)
    found = []
    for at in range(truth.shape[1]):
        positives = int(truth[:, at].sum())
        enough = min(positives, len(truth) - positives) >= FEW_ROWS
        found.append((_fitted(truth[:, at], logits[:, at]) if enough else None) or common)
    return tuple(value or 1.0 for value in found) if any(found) else None


def _fitted(truth: NDArray[np.int8], logits: NDArray[np.floating]) -> float | None:
    """Return the best temperature; None if the loss falls without limit towards either end, as without mistakes."""
    if ((logits > 0) == (truth == 1)).all():
        return None
    temperature, _ = scaled(truth, logits)
    return temperature if 1.01 * COOLEST < temperature < 0.99 * HOTTEST else None


def scaled(truth: NDArray[np.int8], logits: NDArray[np.floating]) -> tuple[float, float]:
    """Return the temperature with the least binary cross-entropy, and that loss in nats.

    Args:
        truth: 0 and 1, of any shape.
        logits: The logits, of the same shape.
    """
    from scipy.optimize import minimize_scalar

    exact = logits.astype(np.float64)
    found = minimize_scalar(
        lambda log_temperature: _loss(truth, exact / np.exp(log_temperature)),
        bounds=(np.log(COOLEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(np.exp(found.x)), float(found.fun)


def _loss(truth: NDArray[np.int8], logits: NDArray[np.float64]) -> float:
    return float(np.logaddexp(0.0, np.where(truth == 1, -logits, logits)).mean())

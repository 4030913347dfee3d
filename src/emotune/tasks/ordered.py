"""The task of one label per text where the labels have an order, such as stars from 1 to 5.

Training and the decision are those of single-label classification: cross-entropy, and the likeliest label. What is added
are scores that count how far a wrong label is from the true one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.ordered import (
    OrderedDifference,
    mean_absolute_error,
    ordered_difference,
    quadratic_weighted_kappa,
)
from emotune.statistics.paired import PairedStatistics
from emotune.tasks.base import Targets, Task
from emotune.tasks.scores import Metrics
from emotune.tasks.single_label import SingleLabel

MEAN_ABSOLUTE_ERROR, KAPPA = "mean absolute error", "quadratic weighted kappa"


@dataclass(frozen=True)
class OrderedMetrics(Metrics):
    """Scores of labels that have an order.

    Attributes:
        mean_absolute_error: Mean number of steps between predicted and true label; lower is better.
        quadratic_weighted_kappa: Agreement beyond chance, wrong labels weighted by their squared distance: 1 if all are
            right, 0 by chance; None if only one label occurs.
        off_by: Share of the rows that are off by each number of steps, from 0.
    """

    mean_absolute_error: float
    quadratic_weighted_kappa: float | None
    off_by: tuple[float, ...]


@dataclass(frozen=True)
class OrderedStatistics(PairedStatistics):
    """Statistics of two models on labels that have an order.

    Attributes:
        ordered: Differences of the scores that count steps.
    """

    ordered: OrderedDifference


class Ordered(SingleLabel):
    """Single-label classification into labels that have an order."""

    name: ClassVar[str] = "ordered"

    def score(
        self,
        targets: Targets,
        predictions: Targets,
        probabilities: NDArray[np.float64] | None,
        labels: Sequence[str],
    ) -> OrderedMetrics:
        """Return the scores of single-label classification, and those that count steps of the order."""
        steps = np.bincount(np.abs(targets - predictions), minlength=len(labels)) / len(targets)
        return OrderedMetrics(
            **_fields(super().score(targets, predictions, probabilities, labels)),
            mean_absolute_error=mean_absolute_error(targets, predictions),
            quadratic_weighted_kappa=quadratic_weighted_kappa(targets, predictions),
            off_by=tuple(float(share) for share in steps),
        )

    def reordered(self, places: Sequence[int]) -> Task | None:
        """Return None: labels in another order are other labels."""
        return None

    def further_scores(self, metrics: Metrics) -> dict[str, float]:
        """Return the scores that count steps of the order."""
        assert isinstance(metrics, OrderedMetrics)
        kappa = metrics.quadratic_weighted_kappa
        return {MEAN_ABSOLUTE_ERROR: metrics.mean_absolute_error, KAPPA: math.nan if kappa is None else kappa}

    def compare(self, targets: Targets, first: Targets, second: Targets, labels: tuple[str, ...]) -> OrderedStatistics:
        """Compare as single-label classification does, and the scores that count steps by a paired bootstrap."""
        return OrderedStatistics(
            **_fields(super().compare(targets, first, second, labels)),
            ordered=ordered_difference(targets, first, second),
        )

    def columns(
        self, targets: Targets, predictions: Targets, probabilities: NDArray[np.float64], labels: Sequence[str]
    ) -> dict[str, Any]:
        """Return the columns of single-label classification, and `steps_off`: above 0 if the prediction is too high."""
        found = super().columns(targets, predictions, probabilities, labels)
        return {**found, "steps_off": (predictions - targets).tolist()}


def _fields(found: Metrics | PairedStatistics) -> dict[str, Any]:
    return {field.name: getattr(found, field.name) for field in fields(found)}


ORDERED = Ordered()

"""Whether a model's probabilities mean what they say, and what to do where they don't.

Sources: expected calibration error and temperature scaling: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, ICML 2017; the Brier score:
G. Brier, Monthly Weather Review 78 (1950), summed over classes; risk and coverage: R. El-Yaniv, Y. Wiener, JMLR 11 (2010). What a
calibrated model would show: the consistency resampling of J. Broecker, L. A. Smith, Weather and Forecasting 22 (2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.paired import LEVEL, Interval

BINS = 15
DRAWS = 1000
# In a bin with more rows than this, rows of nearly the same confidence are drawn together, for time.
_MOST_GROUPS = 200
# Temperatures that are looked at. A loss that still falls at either end says that the rows cannot decide, as where none is wrong. A model
# that has hardly been trained has small logits and needs a temperature of some hundredths.
COOLEST, HOTTEST = 0.002, 20.0


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of like confidence.

    Attributes:
        low: Least confidence of the bin.
        high: Most.
        rows: How many rows.
        confidence: Their mean confidence.
        accuracy: The share of them that is right.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How well probabilities are calibrated on one split.

    Attributes:
        loss: Mean negative log-likelihood, in nats.
        brier: Brier score, summed over classes: 0 is best, 2 is worst.
        ece: Expected calibration error: the mean distance of confidence from accuracy, over 15 bins of equal width. It is never negative,
            so chance raises it: on few rows it is well above 0 however good the probabilities are.
        expected_ece: What it would be on average on so many rows if these very probabilities were right.
        expected_ece_range: From where to where it would then be in 95 of 100 cases.
        gap: Mean confidence less accuracy, positive for a model that is too sure of itself, with a 95 % interval for rows like these.
        bins: The bins that hold rows, from low confidence to high.
    """

    loss: float
    brier: float
    ece: float
    expected_ece: float
    expected_ece_range: tuple[float, float]
    gap: Interval
    bins: tuple[ReliabilityBin, ...]

    @property
    def is_as_expected(self) -> bool:
        """Whether the calibration error is one that a perfectly calibrated model might show on so many rows."""
        return self.ece <= self.expected_ece_range[1]


def calibration(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Calibration:
    """Measure calibration.

    Args:
        truth: Shape (rows,), label ids.
        probabilities: Shape (rows, classes), rows sum to 1.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    of_truth = probabilities[np.arange(len(truth)), truth]
    brier = float(np.mean((probabilities**2).sum(axis=1) - 2 * of_truth + 1))
    edges = np.linspace(0, 1, BINS + 1)
    # A confidence on an edge belongs to the bin below it, as Guo et al. have it.
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)
    bins = []
    for number in np.unique(place):
        rows = place == number
        bins.append(
            ReliabilityBin(
                low=float(edges[number]),
                high=float(edges[number + 1]),
                rows=int(rows.sum()),
                confidence=float(confidence[rows].mean()),
                accuracy=float(right[rows].mean()),
            )
        )
    ece = sum(part.rows * abs(part.confidence - part.accuracy) for part in bins) / len(truth)
    loss = float(-np.log(np.clip(of_truth, np.finfo(np.float64).tiny, None)).mean())
    drawn = _ece_if_calibrated(confidence, place)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Calibration(
        loss=loss,
        brier=brier,
        ece=float(ece),
        expected_ece=float(drawn.mean()),
        expected_ece_range=(float(low), float(high)),
        gap=confidence_gap(confidence, right),
        bins=tuple(bins),
    )


def _ece_if_calibrated(
    confidence: NDArray[np.float64], place: NDArray[np.int64], draws: int = DRAWS, seed: int = 0
) -> NDArray[np.float64]:
    """Calibration errors on these rows if each were right with a chance of its confidence.

    To draw labels from the probabilities comes to the same, since only whether the likeliest label is drawn counts.

    Args:
        confidence: Shape (rows,).
        place: Shape (rows,), the number of each row's bin.
        draws: How often to draw.
        seed: Seed of the draws; the same rows give the same errors.

    Returns:
        Shape (draws,).
    """
    rng = np.random.default_rng(seed)
    distance = np.zeros(draws)
    for number in np.unique(place):
        inside = np.sort(confidence[place == number])
        groups = np.array_split(inside, min(len(inside), _MOST_GROUPS))
        sizes, chances = np.array([len(group) for group in groups]), np.array([group.mean() for group in groups])
        chances = np.clip(chances, 0.0, 1.0)
        if len(inside) <= _MOST_GROUPS:
            right = (rng.random((draws, len(inside))) < chances).sum(axis=1)
        else:
            right = rng.binomial(sizes, chances, size=(draws, len(sizes))).sum(axis=1)
        distance += np.abs(right - (sizes * chances).sum())
    return distance / len(confidence)


def confidence_gap(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Interval:
    """Mean confidence less accuracy, with an interval for rows like these.

    The interval is Wilson's (JASA 22, 1927) for the accuracy, of a number of rows that counts how much confidence says of which rows are
    right (as E. L. Korn, B. I. Graubard, Survey Methodology 24, 1998, count the rows of a survey). So it has a width where every row is
    right, too.

    Args:
        confidence: Shape (rows,).
        right: Shape (rows,).
    """
    from scipy import stats

    rows, accuracy = len(right), float(right.mean())
    spread = float(np.var(confidence - right))
    # The variance of right and wrong over that of what confidence leaves open; equal where one of them is unknown.
    worth = accuracy * (1 - accuracy) / spread if 0 < accuracy < 1 and spread > 0 else 1.0
    effective = rows * worth
    # The quantile is Student's, since the spread is an estimate.
    z = float(stats.t.ppf((1 + LEVEL) / 2, max(rows - 1, 1)))
    centre = (accuracy + z**2 / (2 * effective)) / (1 + z**2 / effective)
    reach = z * np.sqrt(accuracy * (1 - accuracy) / effective + z**2 / (4 * effective**2)) / (1 + z**2 / effective)
    mean = float(confidence.mean())
    return Interval(mean - accuracy, float(mean - min(1.0, centre + reach)), float(mean - max(0.0, centre - reach)))


def fit_temperature(truth: NDArray[np.int64], logits: NDArray[np.floating]) -> float | None:
    """The temperature that logits are divided by for the least loss; fit it on validation rows, never on test.

    It changes probabilities, and no predicted label.

    Args:
        truth: Shape (rows,), label ids.
        logits: Shape (rows, classes).

    Returns:
        The temperature; None where the rows cannot choose one: with no mistake among them the loss falls forever as the temperature
        does, and where the logits say nothing it falls as the temperature rises.
    """
    if (logits.argmax(axis=1) == truth).all():
        return None
    temperature, _ = _scaled(truth, logits)
    return temperature if 1.01 * COOLEST < temperature < 0.99 * HOTTEST else None


def scaled_loss(truth: NDArray[np.int64], logits: NDArray[np.floating]) -> float:
    """The least mean cross-entropy, in nats, that dividing the logits by a temperature gives.

    How well the logits tell labels apart, without how sure they are: a model that grows too sure of itself is not worse for it. It changes
    less from draw to draw of the rows than accuracy or macro-F1, in which each row counts as right or wrong (Berta et al., 2025, arXiv
    2501.19195, choose epochs by it).

    Args:
        truth: Shape (rows,), label ids.
        logits: Shape (rows, classes).
    """
    return _scaled(truth, logits)[1]


def _scaled(truth: NDArray[np.int64], logits: NDArray[np.floating]) -> tuple[float, float]:
    """The temperature with the least loss, and that loss; at one of the ends where it still falls there."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    exact = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(exact / np.exp(log_temperature), axis=1)
        return float(-scaled[np.arange(len(truth)), truth].mean())

    found = minimize_scalar(loss, bounds=(np.log(COOLEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x)), float(found.fun)


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """What answering only when sure enough would bring: one point for each threshold that makes a difference.

    Attributes:
        thresholds: Shape (points,), falling: the least confidence that is answered.
        coverage: Shape (points,), rising: the share of rows answered.
        risk: Shape (points,): the share of wrong ones among the answered.
    """

    thresholds: NDArray[np.float64]
    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]

    @property
    def area(self) -> float:
        """The area under the curve (AURC): the mean risk over all coverages; lower is better."""
        widths = np.diff(self.coverage, prepend=0.0)
        return float((self.risk * widths).sum())


def risk_coverage(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> RiskCoverage:
    """The risk-coverage curve of answering only where the largest probability reaches a threshold."""
    confidence = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != truth
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    last = np.flatnonzero(np.diff(sorted_confidence, append=-1.0))  # equal confidences are answered together
    answered = last + 1
    return RiskCoverage(
        thresholds=sorted_confidence[last],
        coverage=answered / len(truth),
        risk=np.cumsum(wrong[order])[last] / answered,
    )


def scale(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities of the logits divided by a temperature; the labels stay the same.

    Args:
        probabilities: Shape (rows, classes); their logarithms are logits but for a constant per row.
        temperature: Above 1 makes them less sure, below 1 surer.
    """
    from scipy.special import softmax

    logits = np.log(np.clip(probabilities, np.finfo(np.float64).tiny, None))
    return np.asarray(softmax(logits / temperature, axis=1))


@dataclass(frozen=True, eq=False)
class Trust:
    """How far a model's probabilities can be trusted on one split.

    Attributes:
        plain: As they come.
        scaled: After temperature scaling; None where no temperature was fitted.
        temperature: What logits are divided by, fitted on validation.
        curve: What answering only when sure enough brings, by the scaled probabilities where there are any.
    """

    plain: Calibration
    scaled: Calibration | None
    temperature: float | None
    curve: RiskCoverage


def assess(truth: NDArray[np.int64], probabilities: NDArray[np.float64], temperature: float | None = None) -> Trust:
    """Measure calibration before and after scaling, and what abstaining would bring.

    Args:
        truth: Shape (rows,), label ids.
        probabilities: Shape (rows, classes), as they come.
        temperature: Fitted on other rows.
    """
    scaled = None if temperature is None else scale(probabilities, temperature)
    return Trust(
        plain=calibration(truth, probabilities),
        scaled=None if scaled is None else calibration(truth, scaled),
        temperature=temperature,
        curve=risk_coverage(truth, probabilities if scaled is None else scaled),
    )

"""Calibration of a model's probabilities: measures, temperature scaling, and abstaining when unsure.

Sources: expected calibration error and temperature scaling: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, ICML 2017; the
Brier score: G. Brier, Monthly Weather Review 78 (1950), summed over classes; risk and coverage: R. El-Yaniv, Y. Wiener,
JMLR 11 (2010); the error expected of a calibrated model: consistency resampling, J. Broecker, L. A. Smith, Weather and
Forecasting 22 (2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.statistics.paired import LEVEL, Interval

BINS = 15
DRAWS = 1000
# In a bin with more rows than this, rows of nearly the same confidence are drawn together, to save time.
_MOST_GROUPS = 200
# Range of temperatures. If the loss still falls at either end, the rows cannot determine one, for example if none is
# wrong. A model with little training has small logits, and needs a temperature of some hundredths.
COOLEST, HOTTEST = 0.002, 20.0
Temperature = float | tuple[float, ...]
"""Divisor of the logits: one number, or one per label where rows have several."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of similar confidence.

    Attributes:
        low: Lower limit of the bin's confidence.
        high: Upper limit.
        rows: Number of rows.
        confidence: Their mean confidence.
        accuracy: Their accuracy.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Calibration of probabilities on one split.

    Attributes:
        loss: Mean negative log-likelihood, in nats.
        brier: Brier score, summed over classes: 0 is best, 2 is worst.
        ece: Expected calibration error: the mean distance of confidence from accuracy, over 15 bins of equal width. It
            is never negative, so chance raises it: on few rows it is well above 0 even for perfect probabilities.
        expected_ece: Its mean on the same number of rows if these probabilities were right.
        expected_ece_range: The range that would then hold it in 95 of 100 cases.
        gap: Mean confidence minus accuracy, positive for overconfidence, with a 95 % interval for rows like these.
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
        """True if a perfectly calibrated model might have this calibration error on the same number of rows."""
        return self.ece <= self.expected_ece_range[1]


def calibration(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Calibration:
    """Measure calibration.

    Args:
        truth: Shape (rows,), label ids.
        probabilities: Shape (rows, classes), rows sum to 1.
    """
    of_truth = probabilities[np.arange(len(truth)), truth]
    return calibration_of(
        probabilities.max(axis=1),
        probabilities.argmax(axis=1) == truth,
        brier=float(np.mean((probabilities**2).sum(axis=1) - 2 * of_truth + 1)),
        loss=float(-np.log(np.clip(of_truth, np.finfo(np.float64).tiny, None)).mean()),
    )


def calibration_of(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], *, brier: float, loss: float
) -> Calibration:
    """Measure the calibration of a probability per row.

    Args:
        confidence: Shape (rows,), the probability that the row is right.
        right: Shape (rows,), whether it is.
        brier: The Brier score of the whole prediction.
        loss: Its mean loss.
    """
    edges = np.linspace(0, 1, BINS + 1)
    # A confidence on an edge belongs to the bin below it, as in Guo et al.
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
    ece = sum(part.rows * abs(part.confidence - part.accuracy) for part in bins) / len(confidence)
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


def calibration_figures(calibration: Calibration | None) -> dict[str, Any] | None:
    """Return the figures of a calibration for a file, without its bins."""
    if calibration is None:
        return None
    return {name: value for name, value in asdict(calibration).items() if name != "bins"}


def _ece_if_calibrated(
    confidence: NDArray[np.float64], place: NDArray[np.int64], draws: int = DRAWS, seed: int = 0
) -> NDArray[np.float64]:
    """Draw calibration errors on these rows, each row being right with a probability equal to its confidence.

    Drawing labels from the probabilities is equivalent, since it only matters whether the likeliest label is drawn.

    Args:
        confidence: Shape (rows,).
        place: Shape (rows,), the number of each row's bin.
        draws: Number of draws.
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
    """Return mean confidence minus accuracy, with an interval for rows like these.

    The interval is Wilson's (JASA 22, 1927) for the accuracy, with an effective number of rows that accounts for how
    well confidence predicts which rows are right (as E. L. Korn, B. I. Graubard, Survey Methodology 24, 1998, count the
    rows of a survey). So it has a width even if every row is right.

    Args:
        confidence: Shape (rows,).
        right: Shape (rows,).
    """
    from scipy import stats

    rows, accuracy = len(right), float(right.mean())
    spread = float(np.var(confidence - right))
    # Ratio of the variance of being right to the variance that confidence leaves unexplained; 1 if either is unknown.
    worth = accuracy * (1 - accuracy) / spread if 0 < accuracy < 1 and spread > 0 else 1.0
    effective = rows * worth
    # The quantile is Student's, since the spread is an estimate.
    z = float(stats.t.ppf((1 + LEVEL) / 2, max(rows - 1, 1)))
    centre = (accuracy + z**2 / (2 * effective)) / (1 + z**2 / effective)
    reach = z * np.sqrt(accuracy * (1 - accuracy) / effective + z**2 / (4 * effective**2)) / (1 + z**2 / effective)
    mean = float(confidence.mean())
    return Interval(mean - accuracy, float(mean - min(1.0, centre + reach)), float(mean - max(0.0, centre - reach)))


def fit_temperature(truth: NDArray[np.int64], logits: NDArray[np.floating]) -> float | None:
    """Return the divisor of the logits with the least loss; fit it on validation rows, never on test.

    It changes probabilities, but no predicted label.

    Args:
        truth: Shape (rows,), label ids.
        logits: Shape (rows, classes).

    Returns:
        The temperature, or None if the rows cannot determine one: without mistakes, the loss falls with the temperature
        without limit; with uninformative logits, it falls as the temperature rises.
    """
    if (logits.argmax(axis=1) == truth).all():
        return None
    temperature, _ = _scaled(truth, logits)
    return temperature if 1.01 * COOLEST < temperature < 0.99 * HOTTEST else None


def one_temperature(temperature: Temperature | None) -> float | None:
    """Return the temperature of a model of one label per row.

    Raises:
        ValueError: There is one per label.
    """
    if isinstance(temperature, tuple):
        raise ValueError("a temperature per label is for rows with several labels")
    return temperature


def median_temperature(found: Sequence[Temperature | None]) -> Temperature | None:
    """Return the median of several fits, per label if they are; None if there is none."""
    known = [value for value in found if value is not None]
    if not known:
        return None
    middle = np.median(np.array(known, np.float64), axis=0)
    return tuple(middle.tolist()) if middle.ndim else float(middle)


def scaled_loss(truth: NDArray[np.int64], logits: NDArray[np.floating]) -> float:
    """Return the least mean cross-entropy, in nats, after dividing the logits by a temperature.

    It measures how well the logits separate labels, without their confidence: overconfidence does not increase it. It
    varies less with the sample of rows than accuracy or macro-F1, in which each row counts as right or wrong. Berta et
    al., 2025, arXiv 2501.19195, choose epochs by it.

    Args:
        truth: Shape (rows,), label ids.
        logits: Shape (rows, classes).
    """
    return _scaled(truth, logits)[1]


def _scaled(truth: NDArray[np.int64], logits: NDArray[np.floating]) -> tuple[float, float]:
    """Return the temperature with the least loss, and that loss; an end of the range if the loss still falls there."""
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
    """Risk-coverage curve of answering only above a threshold of confidence: one point per distinct confidence.

    Attributes:
        thresholds: Shape (points,), falling: the least confidence of an answered row.
        coverage: Shape (points,), rising: the share of answered rows.
        risk: Shape (points,): the share of wrong rows among the answered.
    """

    thresholds: NDArray[np.float64]
    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Area under the curve (AURC): the mean risk over all coverages; lower is better."""
        widths = np.diff(self.coverage, prepend=0.0)
        return float((self.risk * widths).sum())


def risk_coverage(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> RiskCoverage:
    """Return the risk-coverage curve of answering only if the largest probability reaches a threshold."""
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
    """Return the probabilities after dividing the logits by a temperature; the labels stay the same.

    Args:
        probabilities: Shape (rows, classes); their logarithms are logits up to a constant per row.
        temperature: Above 1 lowers the confidence, below 1 raises it.
    """
    from scipy.special import softmax

    logits = np.log(np.clip(probabilities, np.finfo(np.float64).tiny, None))
    return np.asarray(softmax(logits / temperature, axis=1))


@dataclass(frozen=True, eq=False)
class Trust:
    """Calibration and risk-coverage curve of a model's probabilities on one split.

    Attributes:
        plain: Calibration of the plain probabilities.
        scaled: Calibration after temperature scaling; None if no temperature was fitted.
        temperature: Divisor of the logits, fitted on validation.
        curve: Risk-coverage curve, of the scaled probabilities if there are any.
    """

    plain: Calibration
    scaled: Calibration | None
    temperature: float | None
    curve: RiskCoverage


def assess(truth: NDArray[np.int64], probabilities: NDArray[np.float64], temperature: float | None = None) -> Trust:
    """Measure calibration before and after scaling, and risk and coverage of abstaining.

    Args:
        truth: Shape (rows,), label ids.
        probabilities: Shape (rows, classes), without scaling.
        temperature: Temperature fitted on other rows.
    """
    scaled = None if temperature is None else scale(probabilities, temperature)
    return Trust(
        plain=calibration(truth, probabilities),
        scaled=None if scaled is None else calibration(truth, scaled),
        temperature=temperature,
        curve=risk_coverage(truth, probabilities if scaled is None else scaled),
    )

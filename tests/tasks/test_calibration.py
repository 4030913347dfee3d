"""Calibration against scikit-learn, definitions written out, and data whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, log_loss

from emotune.tasks.calibration import (
    assess,
    calibration,
    confidence_gap,
    fit_temperature,
    risk_coverage,
    scale,
    scaled_loss,
)


def known(rows: int, temperature: float, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels drawn from the softmax of logits, and these logits times a temperature: how overconfident they are."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(rows, 4))
    truth = np.array([rng.choice(4, p=row) for row in softmax(logits, axis=1)])
    return truth, logits * temperature


def test_loss_and_brier_are_those_of_scikit_learn() -> None:
    truth, logits = known(500, 1.5)
    probabilities = softmax(logits, axis=1)
    found = calibration(truth, probabilities)
    assert found.loss == pytest.approx(log_loss(truth, probabilities, labels=range(4)))
    assert found.brier == pytest.approx(brier_score_loss(truth, probabilities, labels=range(4), scale_by_half=False))


def test_ece_by_its_definition() -> None:
    truth, logits = known(700, 2.0)
    probabilities = softmax(logits, axis=1)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    total = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    found = calibration(truth, probabilities)
    assert found.ece == pytest.approx(total)
    assert sum(part.rows for part in found.bins) == 700
    assert all(part.low <= part.confidence <= part.high for part in found.bins)


def test_a_calibrated_model_has_nearly_no_error_and_an_overconfident_one_has() -> None:
    truth, logits = known(20_000, 1.0)
    assert calibration(truth, softmax(logits, axis=1)).ece < 0.015
    assert calibration(truth, softmax(3 * logits, axis=1)).ece > 0.1


@pytest.mark.parametrize("rows", [60, 2_000])
def test_expected_ece_is_that_of_labels_drawn_from_the_probabilities(rows: int) -> None:
    """Labels are drawn from the whole distribution, row by row, and scored by the definition."""
    truth, logits = known(rows, 1.5)
    probabilities = softmax(logits, axis=1)
    found = calibration(truth, probabilities)
    rng = np.random.default_rng(1)
    confidence, predicted = probabilities.max(1), probabilities.argmax(1)
    place = np.ceil(15 * confidence)
    expected = []
    for _ in range(400):
        right = (probabilities.cumsum(1) > rng.random((rows, 1))).argmax(1) == predicted
        gaps = [abs((confidence - right)[place == number].sum()) for number in range(1, 16)]
        expected.append(sum(gaps) / rows)
    assert found.expected_ece == pytest.approx(np.mean(expected), rel=0.06)
    np.testing.assert_allclose(found.expected_ece_range, np.quantile(expected, [0.025, 0.975]), rtol=0.15)


def test_a_calibrated_model_shows_the_expected_ece_and_an_overconfident_one_more() -> None:
    """On 225 rows the calibration error of a perfect model is about seven points."""
    calibrated = [
        calibration(truth, softmax(logits, axis=1)) for truth, logits in (known(225, 1.0, seed) for seed in range(40))
    ]
    assert sum(found.is_as_expected for found in calibrated) >= 36
    assert all(0.03 < found.expected_ece < 0.1 for found in calibrated)
    truth, logits = known(225, 4.0)
    assert not calibration(truth, softmax(logits, axis=1)).is_as_expected


class TestConfidenceGap:
    def test_is_signed(self) -> None:
        too_sure = confidence_gap(np.full(100, 0.9), np.arange(100) < 60)
        assert too_sure.estimate == pytest.approx(0.3)
        assert 0 < too_sure.low < 0.3 < too_sure.high
        assert confidence_gap(np.full(100, 0.6), np.arange(100) < 90).estimate == pytest.approx(-0.3)

    def test_of_equal_confidences_is_wilsons_interval_shifted(self) -> None:
        found = confidence_gap(np.full(2000, 0.8), np.arange(2000) < 1500)
        reference = binomtest(1500, 2000).proportion_ci(0.95, method="wilson")
        assert found.low == pytest.approx(0.8 - reference.high, abs=1e-4)
        assert found.high == pytest.approx(0.8 - reference.low, abs=1e-4)

    def test_has_a_width_where_every_row_is_right(self) -> None:
        found = confidence_gap(np.full(50, 0.97), np.ones(50, dtype=bool))
        assert found.low == pytest.approx(-0.03, abs=0.001)
        assert found.high > 0.03

    @pytest.mark.parametrize(("rows", "spread", "temperature"), [(60, 3.0, 1.0), (225, 3.0, 2.0), (225, 8.0, 1.0)])
    def test_holds_the_truth_95_times_out_of_100(self, rows: int, spread: float, temperature: float) -> None:
        rng = np.random.default_rng(0)
        logits = rng.normal(scale=spread, size=(200_000, 4))
        labels = (softmax(logits, axis=1).cumsum(1) > rng.random((200_000, 1))).argmax(1)
        confidence, right = softmax(logits * temperature, axis=1).max(1), labels == logits.argmax(1)
        expected = confidence.mean() - right.mean()
        covered = 0
        for _ in range(600):
            drawn = rng.integers(0, 200_000, rows)
            found = confidence_gap(confidence[drawn], right[drawn])
            covered += found.low <= expected <= found.high
        assert 0.93 < covered / 600 < 0.98


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_found_again(temperature: float) -> None:
    truth, logits = known(20_000, temperature)
    assert fit_temperature(truth, logits) == pytest.approx(temperature, rel=0.03)


def test_temperature_has_the_least_loss() -> None:
    truth, logits = known(300, 1.7)
    best = fit_temperature(truth, logits)
    assert best is not None

    def loss(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[np.arange(300), truth].mean())

    assert all(loss(best) <= loss(other) + 1e-9 for other in np.geomspace(0.1, 10, 400))


@pytest.mark.slow
def test_scaled_loss_is_the_least_over_temperatures_and_no_worse_for_overconfidence() -> None:
    truth, logits = known(300, 1.7)
    losses = [log_loss(truth, softmax(logits / one, axis=1), labels=range(4)) for one in np.geomspace(0.05, 20, 2_000)]
    assert scaled_loss(truth, logits) == pytest.approx(min(losses), rel=1e-5)
    assert scaled_loss(truth, 5 * logits) == pytest.approx(scaled_loss(truth, logits), rel=1e-5)


def test_scaled_loss_without_a_mistake_is_none_and_without_knowledge_that_of_guessing() -> None:
    truth = np.array([0, 1, 2, 0])
    assert scaled_loss(truth, 5.0 * np.eye(3)[truth]) == pytest.approx(0, abs=1e-9)
    assert scaled_loss(truth, np.zeros((4, 3))) == pytest.approx(np.log(3))


@pytest.mark.parametrize("right", [True, False])
def test_rows_that_cannot_decide_give_no_temperature(right: bool) -> None:
    truth = np.array([0, 1, 0])
    logits = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]]) * (1 if right else -1)
    assert fit_temperature(truth, logits) is None


def test_small_logits_of_a_model_that_has_hardly_been_trained_get_their_temperature() -> None:
    truth, logits = known(2_000, 2.0)
    usual = fit_temperature(truth, logits)
    assert usual is not None
    assert fit_temperature(truth, logits / 200) == pytest.approx(usual / 200, rel=1e-3)


def test_scaling_is_dividing_the_logits() -> None:
    _, logits = known(50, 2.0)
    np.testing.assert_allclose(scale(softmax(logits, axis=1), 2.0), softmax(logits / 2, axis=1))
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert scale(certain, 3.0).argmax(1).tolist() == [0, 1]
    assert np.isfinite(scale(certain, 3.0)).all()


def test_certain_and_wrong_is_a_large_but_finite_loss() -> None:
    found = calibration(np.array([0]), np.array([[0.0, 1.0]]))
    assert 100 < found.loss < 1000
    assert found.brier == pytest.approx(2.0)
    assert found.ece == pytest.approx(1.0)


class TestRiskCoverage:
    def test_by_hand(self) -> None:
        probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.4, 0.6]])
        found = risk_coverage(np.array([0, 1, 0, 0]), probabilities)
        assert found.thresholds.tolist() == [0.9, 0.8, 0.6]
        assert found.coverage.tolist() == [0.25, 0.75, 1.0]
        np.testing.assert_allclose(found.risk, [0, 1 / 3, 1 / 2])
        assert found.area == pytest.approx(0 * 0.25 + 0.5 * (1 / 3) + 0.25 * 0.5)

    def test_the_last_point_is_the_error_rate(self) -> None:
        truth, logits = known(400, 1.0)
        found = risk_coverage(truth, softmax(logits, axis=1))
        assert found.coverage[-1] == 1.0
        assert found.risk[-1] == pytest.approx((logits.argmax(1) != truth).mean())


def test_assess_scales_for_the_curve() -> None:
    truth, logits = known(500, 3.0)
    probabilities = softmax(logits, axis=1)
    found = assess(truth, probabilities, 3.0)
    assert found.scaled is not None
    assert found.scaled.ece < found.plain.ece
    assert found.curve.thresholds.max() == pytest.approx(scale(probabilities, 3.0).max())
    assert assess(truth, probabilities).scaled is None

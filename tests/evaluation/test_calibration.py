"""Calibration against scikit-learn, definitions written out, and data whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss, log_loss

from emotune.evaluation.calibration import assess, calibration, fit_temperature, risk_coverage, scale, scaled_loss


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

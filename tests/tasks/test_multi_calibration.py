"""Temperatures per label against SciPy's and Platt's own fits, calibration errors against plain loops, and answers after scaling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import brier_score_loss, log_loss

from emotune.tasks.losses import summed_sigmoid_loss
from emotune.tasks.multi_calibration import fit_temperatures, label_calibrations
from emotune.tasks.multi_label import MULTI_LABEL

LABELS = ("sure", "unsure", "rare")
SCALES = np.array([3.0, 0.25, 2.0])


def drawn(rows: int = 4000, seed: int = 0) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return targets drawn from calibrated probabilities, and the logits of these times a factor per label."""
    rng = np.random.default_rng(seed)
    logits = rng.normal([0.0, -1.0, -8.0], [2.0, 1.0, 0.5], size=(rows, 3))
    truth = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    return truth, (logits * SCALES).astype(np.float32)


def test_temperatures_are_those_with_the_least_loss() -> None:
    truth, logits = drawn()
    found = fit_temperatures(truth, logits)
    assert found is not None
    for at in range(2):

        def loss(temperature: float, at: int = at) -> float:
            return float(log_loss(truth[:, at], 1 / (1 + np.exp(-logits[:, at].astype(float) / temperature))))

        assert found[at] == pytest.approx(minimize_scalar(loss, bounds=(0.01, 20), method="bounded").x, rel=1e-3)
        assert found[at] == pytest.approx(SCALES[at], rel=0.1)


def test_a_label_with_few_rows_gets_the_temperature_of_all() -> None:
    truth, logits = drawn()
    assert truth[:, 2].sum() < 10
    found = fit_temperatures(truth, logits)
    everything = fit_temperatures(truth.reshape(-1, 1), logits.reshape(-1, 1))
    assert found is not None
    assert everything is not None
    assert found[2] == pytest.approx(everything[0])


def test_rows_without_mistakes_determine_none() -> None:
    truth, logits = drawn()
    assert fit_temperatures(truth, np.where(truth == 1, np.abs(logits), -np.abs(logits))) is None


def test_calibration_by_label() -> None:
    truth, logits = drawn()
    temperatures = fit_temperatures(truth, logits)
    found = label_calibrations(truth, logits, temperatures, LABELS)
    for at, label in enumerate(LABELS):
        own = found[label]
        assert own.scaled is not None
        assert own.temperature is not None
        for calibration, divisor in ((own.plain, 1.0), (own.scaled, own.temperature)):
            probabilities = 1 / (1 + np.exp(-logits[:, at].astype(float) / divisor))
            assert calibration.brier == pytest.approx(brier_score_loss(truth[:, at], probabilities))
            assert calibration.loss == pytest.approx(log_loss(truth[:, at], probabilities), rel=1e-9)
            distance = 0.0
            for low in np.arange(15) / 15:
                inside = (probabilities > low) & (probabilities <= low + 1 / 15)
                if inside.any():
                    distance += inside.sum() * abs(probabilities[inside].mean() - truth[inside, at].mean())
            assert calibration.ece == pytest.approx(distance / len(truth), abs=1e-12)
    for label in LABELS[:2]:
        own = found[label]
        assert own.scaled is not None
        assert own.scaled.ece < own.plain.ece / 2
        assert own.scaled.is_as_expected
        assert not own.plain.is_as_expected
    assert all(own.scaled is None for own in label_calibrations(truth, logits, None, LABELS).values())


def test_scaling_changes_no_answer() -> None:
    _, logits = drawn(200)
    temperatures = (3.0, 0.002, 2.0)  # the second one rounds probabilities to 0 and 1
    task = MULTI_LABEL.deciding([0.7, 0.6, 0.2]).answering(at_least_one=True)
    scaled = task.probabilities(logits, temperatures)
    np.testing.assert_allclose(
        scaled,
        torch.from_numpy(logits).double().div(torch.tensor(temperatures, dtype=torch.float64)).sigmoid().numpy(),
        atol=1e-12,
    )
    decisions = task.decide(logits)
    plain, _ = task.answers(task.probabilities(logits), LABELS)
    answers, confidence = task.answers(scaled, LABELS, decisions=decisions)
    assert answers == plain
    assert answers != task.answers(scaled, LABELS)[0]
    np.testing.assert_allclose(confidence, np.where(decisions == 1, scaled, 1 - scaled).prod(axis=1))
    assert task.nested_answers(scaled, LABELS, 0.0, decisions) == task.written(decisions, LABELS)


def test_the_focal_loss_is_its_formula() -> None:
    truth, logits = drawn(64)
    weights = torch.tensor([1.0, 2.0, 5.0])
    right = torch.where(torch.from_numpy(truth) == 1, torch.from_numpy(logits), -torch.from_numpy(logits)).sigmoid()
    factors = torch.where(torch.from_numpy(truth) == 1, weights, torch.ones(3))
    expected = -(factors * (1 - right) ** 1.5 * right.log()).sum() / 3
    found = summed_sigmoid_loss(torch.from_numpy(logits), torch.from_numpy(truth), positives=weights, gamma=1.5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    extreme = torch.tensor([[200.0, -200.0]], requires_grad=True)
    summed_sigmoid_loss(extreme, torch.tensor([[1, 0]]), gamma=0.5).backward()
    assert extreme.grad is not None
    assert torch.isfinite(extreme.grad).all()

"""The loss and the class weights, against PyTorch, scikit-learn, and the formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from emotune.tasks.losses import class_weights, logit_offsets, summed_loss


@pytest.fixture
def logits() -> torch.Tensor:
    """Seven rows of four classes."""
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0)) * 3


LABELS = torch.tensor([0, 1, 2, 3, 3, 0, 2])
WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 4.0])


class TestClassWeights:
    @pytest.fixture
    def labels(self) -> np.ndarray:
        return np.repeat(np.arange(4), [100, 40, 9, 1])

    def test_balanced_is_that_of_scikit_learn(self, labels: np.ndarray) -> None:
        weights = class_weights("balanced", np.bincount(labels))
        assert weights is not None
        np.testing.assert_allclose(
            weights, compute_class_weight("balanced", classes=np.arange(4), y=labels), rtol=1e-12
        )

    @pytest.mark.parametrize(("kind", "power"), [("balanced", 1.0), ("sqrt", 0.5)])
    def test_rows_have_the_mean_weight_1_and_classes_the_ratio_of_a_power(
        self, labels: np.ndarray, kind: str, power: float
    ) -> None:
        weights = class_weights(kind, np.bincount(labels))
        assert weights is not None
        assert weights[labels].mean() == pytest.approx(1)
        assert weights[3] / weights[0] == pytest.approx(100**power)
        assert weights[2] / weights[1] == pytest.approx((40 / 9) ** power)

    @pytest.mark.parametrize("kind", ["balanced", "sqrt"])
    def test_equal_classes_weigh_1(self, kind: str) -> None:
        weights = class_weights(kind, np.array([7, 7, 7]))
        assert weights is not None
        np.testing.assert_allclose(weights, 1)

    @pytest.mark.parametrize("kind", ["balanced", "sqrt"])
    def test_a_class_without_rows_changes_nothing(self, kind: str) -> None:
        weights, without = class_weights(kind, np.array([8, 0, 2])), class_weights(kind, np.array([8, 2]))
        assert weights is not None
        assert without is not None
        assert weights.tolist() == [without[0], 1.0, without[1]]

    def test_none_is_none(self) -> None:
        assert class_weights("none", np.array([8, 2])) is None


class TestLogitOffsets:
    @pytest.mark.parametrize("strength", [0.2, 1.0])
    def test_the_best_logits_are_the_posterior_s_less_the_prior_s_share(self, strength: float) -> None:
        """Two texts, three classes, so many rows of each: where the loss is least is known."""
        joint = np.array([[70, 20, 10], [10, 50, 1]])
        prior = joint.sum(axis=0) / joint.sum()
        best = np.log(joint / joint.sum(axis=1, keepdims=True)) - strength * np.log(prior)
        offsets = logit_offsets(strength, joint.sum(axis=0))
        assert offsets is not None
        text, label = (np.repeat(places, joint.ravel()) for places in np.indices(joint.shape).reshape(2, -1))
        logits = torch.tensor(best, requires_grad=True)
        summed_loss(logits[text], torch.tensor(label), offsets=torch.tensor(offsets)).backward()
        assert logits.grad is not None
        torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-9)

    def test_none_for_no_strength(self) -> None:
        assert logit_offsets(0.0, np.array([8, 2])) is None

    def test_a_class_without_rows_counts_as_one_with_one(self) -> None:
        offsets = logit_offsets(1.0, np.array([8, 0, 2]))
        assert offsets is not None
        np.testing.assert_allclose(offsets, np.log([0.8, 0.1, 0.2]))


class TestSummedLoss:
    @pytest.mark.parametrize("weights", [None, WEIGHTS])
    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    def test_is_torch_s_cross_entropy_without_gamma(
        self, logits: torch.Tensor, weights: torch.Tensor | None, smoothing: float
    ) -> None:
        found = summed_loss(logits, LABELS, weights=weights, smoothing=smoothing)
        expected = functional.cross_entropy(logits, LABELS, weights, reduction="sum", label_smoothing=smoothing)
        assert torch.equal(found, expected)

    @pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    @pytest.mark.parametrize("weights", [None, WEIGHTS])
    def test_is_the_sum_of_its_formula(
        self, logits: torch.Tensor, gamma: float, smoothing: float, weights: torch.Tensor | None
    ) -> None:
        expected = 0.0
        for row, label in zip(logits.tolist(), LABELS.tolist(), strict=True):
            total = sum(math.exp(value) for value in row)
            for place, value in enumerate(row):
                p = math.exp(value) / total
                target = smoothing / 4 + (1 - smoothing) * (place == label)
                weight = 1.0 if weights is None else weights[place].item()
                expected -= target * weight * (1 - p) ** gamma * math.log(p)
        found = summed_loss(logits, LABELS, weights=weights, smoothing=smoothing, gamma=gamma)
        assert found.item() == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    def test_a_gamma_near_0_is_near_cross_entropy(self, logits: torch.Tensor, smoothing: float) -> None:
        near = summed_loss(logits, LABELS, weights=WEIGHTS, smoothing=smoothing, gamma=1e-6)
        torch.testing.assert_close(near, summed_loss(logits, LABELS, weights=WEIGHTS, smoothing=smoothing))

    @pytest.mark.parametrize("gamma", [0.3, 1.0, 2.5])
    def test_gradients_are_those_of_finite_differences(self, logits: torch.Tensor, gamma: float) -> None:
        exact = logits.double().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x: summed_loss(x, LABELS, weights=WEIGHTS.double(), smoothing=0.1, gamma=gamma), exact
        )

    def test_two_equal_classes_as_the_paper_has_it(self) -> None:
        # FL(p) = -(1 - p)^gamma log p, and p is 0.9.
        logits = torch.tensor([[math.log(9.0), 0.0]])
        loss = summed_loss(logits, torch.tensor([0]), gamma=2.0).item()
        assert loss == pytest.approx(-(0.1**2) * math.log(0.9), rel=1e-5)
        assert -math.log(0.9) / loss == pytest.approx(100, rel=1e-4)  # the example of its section 3.2

    @pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0])
    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    @pytest.mark.parametrize("margin", [5.0, 17.0, 30.0, 200.0, 1e4])
    def test_gradients_stay_finite_where_the_model_is_sure(self, gamma: float, smoothing: float, margin: float) -> None:
        for label in (0, 1):  # right and wrong
            logits = torch.tensor([[margin, 0.0, -margin]], requires_grad=True)
            loss = summed_loss(logits, torch.tensor([label]), smoothing=smoothing, gamma=gamma)
            loss.backward()
            assert logits.grad is not None
            assert torch.isfinite(loss)
            assert torch.isfinite(logits.grad).all()

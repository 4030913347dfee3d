"""Dropout from random bytes against what inverted dropout promises."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from emotune.training.dropout import ByteDropout, use_byte_dropout


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_keeps_the_mean_and_drops_the_rate(rate: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 1003)
    y = ByteDropout(rate)(x)
    dropped = (y == 0).float().mean().item()
    # Six standard deviations of a binomial share, around the rate rounded to 1/256.
    assert dropped == pytest.approx(round(rate * 256) / 256, abs=6 * (0.25 / x.numel()) ** 0.5)
    assert y.mean().item() == pytest.approx(1.0, abs=0.005)
    assert len(y.unique()) == 2


def test_gradient_goes_where_the_values_went() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 64, requires_grad=True)
    y = ByteDropout(0.3)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, y.detach() / x.detach())


def test_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    dropped = (ByteDropout(0.5)(torch.ones(1_000_000)) == 0).float()
    for step in (1, 7, 8, 64):
        correlation = torch.corrcoef(torch.stack([dropped[:-step], dropped[step:]]))[0, 1].item()
        assert abs(correlation) < 0.006, f"at a distance of {step}"


def test_is_repeatable_by_seed_and_silent_in_evaluation() -> None:
    layer, x = ByteDropout(0.4), torch.ones(100, 10)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(ByteDropout(0.0)(x), x)
    assert torch.equal(ByteDropout(1.0)(x), torch.zeros_like(x))


def test_replaces_every_dropout_of_a_model() -> None:
    model = nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.2))).eval()
    use_byte_dropout(model)
    layers = [module for module in model.modules() if isinstance(module, ByteDropout)]
    assert [layer.p for layer in layers] == [0.1, 0.2]
    assert not any(isinstance(module, nn.Dropout) for module in model.modules())
    assert not any(layer.training for layer in layers)

"""Dropout from a pool of masks against what inverted dropout promises."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from emotune.engine.dropout import MaskPool, PooledDropout
from emotune.engine.install import use_pooled_dropout

CPU = torch.device("cpu")


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_keeps_the_mean_and_drops_the_rate(rate: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 1003)
    y = PooledDropout(MaskPool(rate))(x)
    dropped = (y == 0).float().mean().item()
    # Six standard deviations of a binomial share.
    assert dropped == pytest.approx(rate, abs=6 * (0.25 / x.numel()) ** 0.5)
    assert y.mean().item() == pytest.approx(1.0, abs=0.005)
    assert len(y.unique()) == 2


def test_gradient_goes_where_the_values_went() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 64, requires_grad=True)
    y = PooledDropout(MaskPool(0.3))(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, y.detach() / x.detach())


def test_entries_are_independent_within_a_mask_and_between_masks() -> None:
    torch.manual_seed(0)
    pool = MaskPool(0.5)
    first, second = (pool.draw(1_000_000, torch.float32, CPU) for _ in range(2))
    for distance in (1, 7, 64, 384):
        correlation = torch.corrcoef(torch.stack([first[:-distance], first[distance:]]))[0, 1].item()
        assert abs(correlation) < 0.006, f"at a distance of {distance}"
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1].item()) < 0.006


def test_is_repeatable_by_seed_and_silent_in_evaluation() -> None:
    layer, x = PooledDropout(MaskPool(0.4)), torch.ones(100, 10)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    layer.pool.renew(7)
    torch.manual_seed(3)
    renewed = layer(x)
    assert not torch.equal(renewed, first)
    layer.pool.renew(7)
    torch.manual_seed(3)
    assert torch.equal(layer(x), renewed)
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(PooledDropout(MaskPool(0.0))(x), x)
    assert torch.equal(PooledDropout(MaskPool(1.0))(x), torch.zeros_like(x))


def test_a_mask_larger_than_the_pool_makes_it_grow() -> None:
    pool = MaskPool(0.5, entries=100)
    assert pool.draw(1000, torch.bfloat16, CPU).shape == (1000,)
    assert pool.entries >= 1000


def test_replaces_every_dropout_of_a_model() -> None:
    model = nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.2)), nn.Dropout(0.1)).eval()
    pools: dict[float, MaskPool] = {}
    use_pooled_dropout(model, pools)
    layers = [module for module in model.modules() if isinstance(module, PooledDropout)]
    assert [layer.pool.p for layer in layers] == [0.1, 0.2, 0.1]
    assert sorted(pools) == [0.1, 0.2]
    assert not any(isinstance(module, nn.Dropout) for module in model.modules())
    assert not any(layer.training for layer in layers)

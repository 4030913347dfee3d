"""Matrices that several models share: held once, with the logits of merged adapters, for every kind of adapter."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

from emotune.engine.install import packed
from emotune.engine.linear import CommonWeights
from emotune.methods.base import Method
from emotune.methods.bitfit import BitFit
from emotune.methods.bottleneck import Bottleneck
from emotune.methods.ia3 import IA3
from emotune.methods.lora import LoRA
from emotune.methods.lora_variants import DoRA
from emotune.models.encoding import encode
from emotune.models.sharing import on_same_memory

if TYPE_CHECKING:
    from emotune.models.classifier import Classifier

TEXTS = ("buda fe", "x", "a longer text of several words")
SHARED = [LoRA(r=4), LoRA(r=3, target_modules=("query", "value")), BitFit(), Bottleneck()]
OWN = [DoRA(r=4), IA3()]


def adapted(base: Classifier, method: Method, seed: int) -> Any:
    """A model on the base's memory, with an adapter of random numbers."""
    torch.manual_seed(seed)
    model = method.apply(on_same_memory(base.model), "base").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def matrices(model: Any) -> list[int]:
    """The memory of the matrices of the layers."""
    stack = model.get_submodule("bert").stack
    parts = [part for layer in stack.layers for part in layer.projections]
    return [getattr(part, "projection", part).weight.data_ptr() for part in parts]


@pytest.mark.parametrize("method", [*SHARED, *OWN], ids=lambda method: method.name)
def test_logits_are_those_of_merged_adapters(tiny_base: Classifier, method: Method) -> None:
    model = adapted(tiny_base, method, 1)
    batch = encode(tiny_base.tokenizer, TEXTS, 32).packed(range(len(TEXTS)))
    with torch.inference_mode():
        expected = packed(model, torch.float32)(**batch).logits
        found = packed(model, torch.float32, CommonWeights())(**batch).logits
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", SHARED, ids=lambda method: method.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_two_models_hold_the_matrices_once(tiny_base: Classifier, method: Method, dtype: torch.dtype) -> None:
    common = CommonWeights()
    first, second = (packed(adapted(tiny_base, method, seed), dtype, common) for seed in (1, 2))
    assert matrices(first) == matrices(second)
    batch = encode(tiny_base.tokenizer, TEXTS, 32).packed(range(len(TEXTS)))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        assert not torch.equal(first(**batch).logits, second(**batch).logits)


@pytest.mark.parametrize("method", OWN, ids=lambda method: method.name)
def test_adapters_that_are_folded_keep_matrices_of_their_own(tiny_base: Classifier, method: Method) -> None:
    common = CommonWeights()
    first, second = (packed(adapted(tiny_base, method, seed), torch.float32, common) for seed in (1, 2))
    assert matrices(first) != matrices(second)


def test_the_model_is_left_unchanged(tiny_base: Classifier) -> None:
    model = adapted(tiny_base, LoRA(r=4), 1)
    before = copy.deepcopy(model.state_dict())
    packed(model, torch.float32, CommonWeights())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())

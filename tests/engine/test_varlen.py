"""Attention by the GPU's kernel: what is written around it, with a reference in its place; and the kernel itself, where there is a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from emotune.engine import encoder as encoder_module
from emotune.engine import varlen
from emotune.engine.attention import Attention, GroupedAttention
from emotune.engine.install import install
from emotune.engine.layout import Layout
from emotune.engine.varlen import VarlenAttention, choose_attention

from .test_engine import MODELS, batches, learn, make

LENGTHS = np.array([2, 2, 5, 9, 1])


def reference(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, q_ends: Any, k_ends: Any) -> torch.Tensor:
    """Attention text by text, by PyTorch's own function."""
    outs = []
    for text in range(len(q_ends) - 1):
        asking, seen = slice(q_ends[text], q_ends[text + 1]), slice(k_ends[text], k_ends[text + 1])
        query, key, value = (x.transpose(0, 1) for x in (q[asking], k[seen], v[seen]))
        outs.append(nn.functional.scaled_dot_product_attention(query, key, value).transpose(0, 1))
    return torch.cat(outs)


class Kernels:
    """Stands for `torch.ops.aten`, with the signatures of the two kernels."""

    def __init__(self) -> None:
        self.calls = 0

    def _flash_attention_forward(
        self, q: Any, k: Any, v: Any, q_ends: Any, k_ends: Any, q_longest: int, k_longest: int, *rest: Any
    ) -> tuple[torch.Tensor, ...]:
        assert rest == (0.0, False, False)  # no dropout, not causal, no debugging mask
        assert q_ends.dtype == k_ends.dtype == torch.int32
        assert int(k_ends.diff().max()) == k_longest
        assert int(q_ends.diff().max()) == q_longest
        assert len(q) == int(q_ends[-1])
        assert len(k) == len(v) == int(k_ends[-1])
        assert q.stride(-1) == k.stride(-1) == v.stride(-1) == 1
        self.calls += 1
        nothing = torch.empty(0)
        return reference(q, k, v, q_ends, k_ends), torch.ones(1), torch.full((2,), 7), torch.full((), 8), nothing

    def _flash_attention_backward(
        self, d_out: Any, q: Any, k: Any, v: Any, out: Any, lse: Any, q_ends: Any, k_ends: Any, *rest: Any
    ) -> tuple[torch.Tensor, ...]:
        *_, dropout, causal, state, unused = rest
        assert (dropout, causal, state.tolist(), unused.tolist()) == (0.0, False, [7, 7], 8)
        assert d_out.shape == q.shape == out.shape
        assert len(lse) == 1
        with torch.enable_grad():
            q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
            return torch.autograd.grad(reference(q, k, v, q_ends, k_ends), (q, k, v), d_out)


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Kernels:
    """The reference in the kernels' place."""
    found = Kernels()
    for name in ("_flash_attention_forward", "_flash_attention_backward"):
        monkeypatch.setattr(torch.ops.aten, name, getattr(found, name), raising=False)
    return found


@pytest.mark.parametrize("first_only", [False, True])
def test_gives_what_the_groups_give(kernels: Kernels, first_only: bool) -> None:
    layout = Layout.of(LENGTHS)
    blank = layout.blank_texts if first_only else layout.blank_tokens
    torch.manual_seed(0)
    asking = len(LENGTHS) if first_only else int(LENGTHS.sum())
    query = torch.randn(asking + blank, 12)
    keys_values = torch.randn(int(LENGTHS.sum()) + layout.blank_tokens, 24)
    gradient = torch.randn(query.shape)
    found = []
    attentions: tuple[Attention, ...] = (GroupedAttention(3), VarlenAttention(3))
    for attention in attentions:
        context, saved = attention.forward(query, keys_values, layout, first_only=first_only)
        d_query, d_keys_values = torch.zeros_like(query), torch.zeros_like(keys_values)
        attention.backward(gradient, saved, layout, d_query, d_keys_values, first_only=first_only)
        found.append((context, d_query, d_keys_values))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert kernels.calls == 1


@pytest.mark.parametrize("family", MODELS)
def test_a_whole_model_equals_plain_peft(family: str, kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    padded, packed = batches()
    _, loss, gradients = learn(make(family), padded)
    monkeypatch.setattr(encoder_module, "choose_attention", lambda heads, *_: VarlenAttention(heads))
    fast = make(family)
    assert install(fast, torch.float32) is None
    _, fast_loss, fast_gradients = learn(fast, packed)
    assert kernels.calls == 3  # layers
    torch.testing.assert_close(fast_loss, loss, rtol=1e-5, atol=0)
    assert fast_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        error = (fast_gradients[name] - gradient).norm() / gradient.norm().clamp_min(1e-7)
        assert error < 1e-5, f"{name}: relative error {error:.1e}"


class TestChoice:
    def test_a_processor_takes_the_groups(self) -> None:
        assert isinstance(choose_attention(4, 32, torch.bfloat16, torch.device("cpu")), GroupedAttention)

    def test_the_kernel_is_taken_where_it_is_right(self, kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
        cpu = torch.device("cpu")
        varlen._is_right.cache_clear()
        assert varlen._is_right(8, torch.bfloat16, cpu)
        varlen._is_right.cache_clear()
        wrong = kernels._flash_attention_forward
        monkeypatch.setattr(
            torch.ops.aten, "_flash_attention_forward", lambda *a: (2 * wrong(*a)[0], *wrong(*a)[1:]), raising=False
        )
        assert not varlen._is_right(8, torch.bfloat16, cpu)
        varlen._is_right.cache_clear()

    def test_a_kernel_that_fails_or_has_another_interface_is_not_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for error in (RuntimeError("no kernel image"), TypeError("unexpected argument"), AttributeError("gone")):

            def fail(*_: Any, error: Exception = error) -> None:
                raise error

            varlen._is_right.cache_clear()
            monkeypatch.setattr(torch.ops.aten, "_flash_attention_forward", fail, raising=False)
            assert not varlen._is_right(8, torch.bfloat16, torch.device("cpu"))
        varlen._is_right.cache_clear()

    def test_float32_is_not_for_the_kernel(self) -> None:
        assert not varlen._is_right(8, torch.float32, torch.device("cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("size", [32, 64])
def test_the_kernel_itself_is_right_on_a_gpu(size: int) -> None:
    assert torch.cuda.get_device_capability() < (8, 0) or varlen._is_right(size, torch.bfloat16, torch.device("cuda"))

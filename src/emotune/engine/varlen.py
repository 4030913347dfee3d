"""Attention on a GPU: one kernel, PyTorch's FlashAttention-2, for a whole packed batch of texts of any lengths.

By groups of equal length, a batch of twenty lengths would need twenty times as many small kernels. A GPU takes longer
to start such a kernel than to run it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch

from emotune.engine.attention import Attention, GroupedAttention
from emotune.engine.layout import Layout
from emotune.system.internals.torch import flash_attention_backward, flash_attention_forward


@dataclass(frozen=True)
class _Attended:
    """Tensors that the backward pass needs, for T tokens, Q queries, and H heads of size d."""

    query: torch.Tensor  # (Q, H, d)
    key: torch.Tensor  # (T, H, d)
    value: torch.Tensor  # (T, H, d)
    out: torch.Tensor  # (Q, H, d)
    logsumexp: torch.Tensor
    asking_ends: torch.Tensor  # (texts + 1,), int32
    random_state: tuple[torch.Tensor, torch.Tensor]  # of dropout, which is off


class VarlenAttention:
    """Attention by the kernel for variable lengths, in bfloat16 or float16 on a CUDA GPU.

    Args:
        heads: Number of attention heads.
    """

    name = "attention by PyTorch's kernel for variable lengths"

    def __init__(self, heads: int) -> None:
        self.heads = heads

    def forward(
        self, query: torch.Tensor, keys_values: torch.Tensor, layout: Layout, *, first_only: bool
    ) -> tuple[torch.Tensor, _Attended]:
        """Implement `Attention.forward`."""
        tokens, texts = len(layout.text), len(layout.first)
        asking = texts if first_only else tokens
        ends = torch.arange(texts + 1, dtype=torch.int32, device=query.device) if first_only else layout.ends
        q = query[:asking].unflatten(1, (self.heads, -1))
        k, v = keys_values[:tokens].unflatten(1, (2, self.heads, -1)).unbind(1)
        longest = 1 if first_only else layout.longest
        out, logsumexp, random_state = flash_attention_forward(q, k, v, ends, layout.ends, longest, layout.longest)
        context = query.new_zeros(query.shape)
        context[:asking] = out.flatten(1)
        return context, _Attended(q, k, v, out, logsumexp, ends, random_state)

    def backward(
        self,
        d_context: torch.Tensor,
        saved: _Attended,
        layout: Layout,
        d_query: torch.Tensor,
        d_keys_values: torch.Tensor,
        *,
        first_only: bool,
    ) -> None:
        """Implement `Attention.backward`."""
        asking, tokens = len(saved.query), len(saved.key)
        d_q, d_k, d_v = flash_attention_backward(
            d_context[:asking].unflatten(1, (self.heads, -1)),
            saved.query,
            saved.key,
            saved.value,
            saved.out,
            saved.logsumexp,
            saved.asking_ends,
            layout.ends,
            1 if first_only else layout.longest,
            layout.longest,
            saved.random_state,
        )
        d_query[:asking] = d_q.flatten(1)
        d_keys_values[:tokens] = torch.stack([d_k, d_v], dim=1).flatten(1)


def choose_attention(heads: int, hidden: int, dtype: torch.dtype, device: torch.device) -> Attention:
    """Return the fastest attention that gives correct results on a device.

    Args:
        heads: Number of attention heads.
        hidden: Hidden size.
        dtype: Data type of the products.
        device: Device of the products.
    """
    if device.type == "cuda" and _is_right(hidden // heads, dtype, device):
        return VarlenAttention(heads)
    return GroupedAttention(heads)


@functools.cache
def _is_right(size: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether the kernel exists for this head size, dtype and GPU, and agrees with plain products.

    Its interface is private to PyTorch and may change. So it is tried on three texts before anything relies on it.
    """
    if dtype not in (torch.bfloat16, torch.float16):
        return False
    heads = 2
    layout = Layout.of(np.array([3, 5, 9]), device)
    generator = torch.Generator(device).manual_seed(0)
    query, keys, values, gradient = torch.randn(4, 17, heads * size, device=device, generator=generator).to(dtype)
    found = []
    for attention in (VarlenAttention(heads), GroupedAttention(heads)):
        try:
            found.append(_outputs(attention, query, torch.cat([keys, values], dim=1), gradient, layout))
        except (RuntimeError, TypeError, ValueError, AttributeError):
            return False
    return all(torch.allclose(one, other, atol=0.05, rtol=0.05) for one, other in zip(*found, strict=True))


def _outputs(
    attention: Attention, query: torch.Tensor, keys_values: torch.Tensor, gradient: torch.Tensor, layout: Layout
) -> list[torch.Tensor]:
    """Return context and gradients, for all tokens and for first tokens only."""
    outputs = []
    for first_only in (False, True):
        asking = query[layout.first] if first_only else query
        context, saved = attention.forward(asking, keys_values, layout, first_only=first_only)
        d_query, d_keys_values = torch.zeros_like(asking), torch.zeros_like(keys_values)
        d_context = gradient[: len(asking)]
        attention.backward(d_context, saved, layout, d_query, d_keys_values, first_only=first_only)
        outputs += [context, d_query, d_keys_values]
    return outputs

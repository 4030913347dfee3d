"""Attention over the groups of a packed batch, forward and backward: no padding, so no mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from emotune.engine.layout import Layout


class Attention(Protocol):
    """Softmax attention of every text of a packed batch to itself, forward and backward."""

    name: str
    """Description of the implementation, in words."""

    def forward(
        self, query: torch.Tensor, keys_values: torch.Tensor, layout: Layout, *, first_only: bool
    ) -> tuple[torch.Tensor, Any]:
        """Return context vectors in the shape of `query`, zero behind the last text, and what `backward` needs.

        Args:
            query: Shape (tokens, hidden), or (texts, hidden) if only first tokens attend.
            keys_values: Shape (tokens, 2 hidden), keys and values side by side.
            layout: Positions of the texts.
            first_only: Compute the context of only the first token of each text.
        """

    def backward(
        self,
        d_context: torch.Tensor,
        saved: Any,
        layout: Layout,
        d_query: torch.Tensor,
        d_keys_values: torch.Tensor,
        *,
        first_only: bool,
    ) -> None:
        """Write the gradients of query and of keys and values, in the shapes that `forward` took."""


@dataclass(frozen=True)
class _Attended:
    """Tensors that the backward pass of one group needs; the first dimension of each is texts times heads."""

    query: torch.Tensor  # (.., queries, head size)
    key: torch.Tensor  # (.., length, head size)
    value: torch.Tensor  # the same shape
    weights: torch.Tensor  # (.., queries, length)


class GroupedAttention:
    """Attention in which texts of one length are one batch of plain matrix products.

    At the lengths of messages this is the fastest on a processor.

    Args:
        heads: Number of attention heads.
    """

    name = "attention by groups of equal length"

    def __init__(self, heads: int) -> None:
        self.heads = heads

    def forward(
        self, query: torch.Tensor, keys_values: torch.Tensor, layout: Layout, *, first_only: bool
    ) -> tuple[torch.Tensor, list[_Attended]]:
        """Implement `Attention.forward`."""
        heads = self.heads
        size = query.shape[1] // heads
        context = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        context[(layout.groups[-1].texts if first_only else layout.groups[-1].tokens).stop :] = 0
        saved = []
        for group in layout.groups:
            asking = group.texts if first_only else group.tokens
            texts = group.texts.stop - group.texts.start
            q = _split_heads(query[asking], texts, heads)
            kv = keys_values[group.tokens].view(texts, group.length, 2, heads, size).permute(2, 0, 3, 1, 4)
            k, v = kv.reshape(2, texts * heads, group.length, size)
            scores = torch.baddbmm(q.new_empty(()), q, k.transpose(1, 2), beta=0, alpha=size**-0.5)
            weights = torch.softmax(scores, -1, dtype=torch.promote_types(q.dtype, torch.float32)).to(q.dtype)
            _join_heads(torch.bmm(weights, v), context[asking], texts, heads)
            saved.append(_Attended(q, k, v, weights))
        return context, saved

    def backward(
        self,
        d_context: torch.Tensor,
        saved: list[_Attended],
        layout: Layout,
        d_query: torch.Tensor,
        d_keys_values: torch.Tensor,
        *,
        first_only: bool,
    ) -> None:
        """Implement `Attention.backward`."""
        heads = self.heads
        size = d_context.shape[1] // heads
        for group, past in zip(layout.groups, saved, strict=True):
            asking = group.texts if first_only else group.tokens
            texts = group.texts.stop - group.texts.start
            d_out = _split_heads(d_context[asking], texts, heads)
            d_kv = torch.empty(2, *past.key.shape, dtype=d_out.dtype, device=d_out.device)
            torch.bmm(past.weights.transpose(1, 2), d_out, out=d_kv[1])
            d_weights = torch.bmm(d_out, past.value.transpose(1, 2))
            # The derivative of softmax: dS = P (dP - sum(P dP)).
            d_weights.mul_(past.weights)
            d_scores = torch.addcmul(d_weights, past.weights, d_weights.sum(-1, keepdim=True), value=-1)
            d_scores.mul_(size**-0.5)
            _join_heads(torch.bmm(d_scores, past.key), d_query[asking], texts, heads)
            torch.bmm(d_scores.transpose(1, 2), past.query, out=d_kv[0])
            target = d_keys_values[group.tokens].view(texts, group.length, 2, heads, size).permute(2, 0, 3, 1, 4)
            target.copy_(d_kv.view(2, texts, heads, group.length, size))


def _split_heads(x: torch.Tensor, texts: int, heads: int) -> torch.Tensor:
    """Rearrange (texts x length, hidden) to (texts x heads, length, head size), contiguous."""
    size = x.shape[1] // heads
    length = x.shape[0] // texts
    return x.view(texts, length, heads, size).transpose(1, 2).reshape(texts * heads, length, size)


def _join_heads(x: torch.Tensor, out: torch.Tensor, texts: int, heads: int) -> None:
    """Reverse `_split_heads`, and write the result into `out`."""
    size = out.shape[1] // heads
    length = out.shape[0] // texts
    out.view(texts, length, heads, size).transpose(1, 2).copy_(x.view(texts, heads, length, size))

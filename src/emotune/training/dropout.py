"""Dropout from random bytes: one pass of the generator gives eight masks' entries, where `bernoulli_` spends a draw on each."""

from __future__ import annotations

import torch
from torch import nn


class ByteDropout(nn.Module):
    """Inverted dropout with the rate rounded to a multiple of 1/256 (0.1 becomes 26/256), and scaled for that rate exactly.

    Args:
        p: The rate.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self._dropped = round(p * 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Zero a random share of the entries and scale the rest, in training; pass `x` on otherwise."""
        if not self.training or self._dropped == 0:
            return x
        if self._dropped >= 256:
            return x * 0.0
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        keep = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= self._dropped
        return x * keep.to(x.dtype).mul_(256 / (256 - self._dropped))


def use_byte_dropout(model: nn.Module) -> None:
    """Put `ByteDropout` in place of every `nn.Dropout` of a model, with its rate and mode."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                replacement = ByteDropout(child.p)
                replacement.train(child.training)
                setattr(parent, name, replacement)

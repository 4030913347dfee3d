"""Dropout with masks from a pool, at the cost of one multiplication.

Drawing fresh random numbers costs more than a matrix product. A pool holds two million independent Bernoulli draws,
already scaled. A mask is a window of the pool at a random place. So the entries of one mask are independent, while
masks of different steps may overlap, shifted against each other. The pool is redrawn at every epoch.
"""

from __future__ import annotations

import torch
from torch import nn

POOL_ENTRIES = 2**21


class MaskPool:
    """Masks of inverted dropout: 0 with probability p, otherwise 1 / (1 - p).

    Args:
        p: Dropout rate, from 0 to 1.
        entries: Size of the pool; a larger mask makes it grow.
    """

    def __init__(self, p: float, entries: int = POOL_ENTRIES) -> None:
        self.p = p
        self.entries = entries
        self._masks: dict[tuple[torch.dtype, torch.device], torch.Tensor] = {}
        self._seed = 0

    def renew(self, seed: int) -> None:
        """Redraw the pool from this seed when it is next needed."""
        self._seed = seed
        self._masks.clear()

    def draw(self, entries: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Return a mask, shape (entries,); PyTorch's global generator draws its start in the pool."""
        if entries > self.entries // 2:
            self.entries = 4 * entries
            self._masks.clear()
        key = (dtype, device)
        if key not in self._masks:
            generator = torch.Generator(device).manual_seed(self._seed)
            kept = torch.rand(self.entries, device=device, generator=generator) >= self.p
            self._masks[key] = kept.to(dtype).mul_(1 / (1 - self.p) if self.p < 1 else 0.0)
        start = int(torch.randint(self.entries - entries + 1, ()))
        return self._masks[key][start : start + entries]


class PooledDropout(nn.Module):
    """Inverted dropout with masks from a pool.

    Args:
        pool: The pool, with the dropout rate.
    """

    def __init__(self, pool: MaskPool) -> None:
        super().__init__()
        self.pool = pool
        self.p = pool.p  # PEFT reads the rate here

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """In training, zero a random share of the entries and scale the rest; otherwise return `x`."""
        if not self.training or self.pool.p == 0:
            return x
        return x * self.pool.draw(x.numel(), x.dtype, x.device).view(x.shape)

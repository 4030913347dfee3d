"""Linear layers in int8, for prediction: weights are rounded once, per output, and inputs at every call.

This is known as dynamic quantization.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import torch

from emotune.engine.linear import Projection


def available() -> bool:
    """Return whether this PyTorch has int8 products on the processor."""
    return hasattr(torch, "quantize_per_channel") and hasattr(torch.ops.quantized, "linear_dynamic")


@lru_cache(maxsize=1)
def saturates() -> bool:
    """Return whether the processor cuts sums of int8 products at 16 bits, as those without VNNI do.

    Two products of 255 by 127 already exceed that limit, so that large inputs would give far too small outputs.
    """
    ones = torch.ones(64, 64)
    exact = Projection(ones, None)
    found = Int8Projection(exact, reduce_range=False).forward(ones[:1])[0]
    return not torch.allclose(found, torch.full_like(found, 64.0), rtol=0.05)


class Int8Projection(Projection):
    """Projection with products in int8, on a processor, for prediction only; inputs and outputs are float32.

    A weight w of output o becomes round(w / s) with s = max |w of o| / 127. Inputs are rounded to 256 levels over their
    range in the batch, by PyTorch's own kernel; to 128 levels on a processor that `saturates`.

    Args:
        exact: The projection in float32, adapters merged.
        reduce_range: Round inputs to 128 levels; None if the processor needs it.
    """

    def __init__(self, exact: Projection, *, reduce_range: bool | None = None) -> None:
        super().__init__(exact.weight, exact.bias)
        scales = exact.weight.abs().amax(1).clamp_min(1e-8) / 127
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        with warnings.catch_warnings():
            # PyTorch plans to remove these tensors; `available` notices.
            warnings.filterwarnings("ignore", message="torch.quantize_per_tensor")
            rounded = torch.quantize_per_channel(exact.weight.contiguous(), scales, zeros, 0, torch.qint8)
        self._packed: Any = torch.ops.quantized.linear_prepack(rounded, exact.bias)
        self._reduce_range = saturates() if reduce_range is None else reduce_range
        self.weight = exact.weight.new_empty(0)  # only the packed weight is needed

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the outputs, shape (tokens, out), and None."""
        return torch.ops.quantized.linear_dynamic(x, self._packed, self._reduce_range), None

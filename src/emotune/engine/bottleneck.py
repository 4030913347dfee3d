"""A projection followed by a bottleneck adapter; forward and backward passes written out.

For the projection's output y and the adapter's D, c (down) and U, e (up) with the activation f, the layer is

    h = y D' + c        z = y + f(h) U' + e

and its backward pass is

    dh = (dz U) f'(h)        dy = dz + dh D
    dU = dz' f(h)        de = sum of dz        dD = dh' y        dc = sum of dh
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from emotune.engine.linear import Projection

# Tensors that the backward pass needs: the projection's own part, y, h and f(h), one row per token.
_Kept = tuple[torch.Tensor | None, torch.Tensor, torch.Tensor, torch.Tensor]


class BottleneckProjection:
    """Projection with a bottleneck adapter, with the methods of `Projection`.

    Args:
        projection: The projection without the adapter.
        layer: The tuner's layer; `why_not` has found nothing against it.
        dtype: Data type of the adapter's products.
        trained: Compute gradients of the adapter's weights.
    """

    def __init__(self, projection: Projection, layer: Any, dtype: torch.dtype, *, trained: bool) -> None:
        down, up = layer.emotune_bottleneck_down["default"], layer.emotune_bottleneck_up["default"]
        self.projection = projection
        self.dtype = dtype
        self.relu = isinstance(layer.emotune_bottleneck_activation["default"], nn.ReLU)
        self._own = (down.weight, down.bias, up.weight, up.bias)
        self._trained = trained
        self._casts: list[torch.Tensor] = []  # of `_own`, made by `refresh`

    @property
    def parameters(self) -> list[torch.Tensor]:
        """The projection's parameters, then weight and bias of down and up, in the order of `backward`'s gradients."""
        return [*self.projection.parameters, *(self._own if self._trained else ())]

    def refresh(self) -> None:
        """Cast the parameters, which the optimizer may have changed, to the dtype of the products."""
        self.projection.refresh()
        self._casts = [parameter.detach().to(self.dtype) for parameter in self._own]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, _Kept]:
        """Return the outputs, shape (tokens, out), and what `backward` needs.

        Args:
            x: Shape (tokens, in).
        """
        down, down_bias, up, up_bias = self._casts
        y, low = self.projection.forward(x)
        inner = nn.functional.linear(y, down, down_bias)
        activated = nn.functional.relu(inner) if self.relu else nn.functional.gelu(inner)
        return nn.functional.linear(activated, up, up_bias).add_(y), (low, y, inner, activated)

    def backward(self, dz: torch.Tensor, x: torch.Tensor, kept: _Kept) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return dx, shape (tokens, in), and the gradients of `parameters`.

        Args:
            dz: Shape (tokens, out).
            x: The input of the forward pass.
            kept: The second result of the forward pass.
        """
        down, _, up, _ = self._casts
        low, y, inner, activated = kept
        d_activated = dz @ up
        if self.relu:
            d_inner = torch.ops.aten.threshold_backward(d_activated, inner, 0)
        else:
            d_inner = torch.ops.aten.gelu_backward(d_activated, inner)
        dx, gradients = self.projection.backward(torch.addmm(dz, d_inner, down), x, low)
        if self._trained:
            down_bias, up_bias = self._own[1], self._own[3]
            # The sums run over all tokens, too many for bfloat16 to add up.
            sums = d_inner.sum(0, dtype=down_bias.dtype), dz.sum(0, dtype=up_bias.dtype)
            found = (d_inner.t() @ y, sums[0], dz.t() @ activated, sums[1])
            gradients += [gradient.to(own.dtype) for gradient, own in zip(found, self._own, strict=True)]
        return dx, gradients

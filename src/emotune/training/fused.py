"""LoRA's linear layer as one autograd function: fewer casts and copies than PEFT's, the same mathematics.

For frozen W, b and trained A, B with scale s, the layer is y = x W' + b + s (x A') B'. PEFT computes it from separate modules; under
autocast every one of them casts its input and its weight again, in both directions, and the sum makes two more copies of y.
Here the small products accumulate into the large ones' results, and the backward pass is written out:

    dx = dy W + s (dy B) A        dB = s dy' (x A')        dA = s (dy B)' x

W's own gradient is never formed. Only the forward of PEFT's layers is replaced, and only while training: parameters, names
and what is saved are PEFT's. Layers that this does not cover (another kind of layer, dropout on the adapter, several
adapters) keep PEFT's forward.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn


class _FusedLoRA(torch.autograd.Function):
    """The layer for rows of inputs; computes in the dtype of the frozen weight."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,  # (rows, in), in the compute dtype
        weight: torch.Tensor,  # (out, in), frozen, in the compute dtype
        bias: torch.Tensor | None,  # (out,), frozen
        a: torch.Tensor,  # (r, in), float32
        b: torch.Tensor,  # (out, r), float32
        scale: float,
    ) -> torch.Tensor:
        a_low = a.to(x.dtype)
        b_low = (b * scale).to(x.dtype)
        low = x @ a_low.t()  # (rows, r)
        y = torch.nn.functional.linear(x, weight, bias)
        y.addmm_(low, b_low.t())
        ctx.save_for_backward(x, low, weight, a_low, b_low)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, low, weight, a_low, b_low = ctx.saved_tensors
        dy = grads[0]
        dlow = dy @ b_low  # (rows, r), the scale is in b_low
        da = (dlow.t() @ x).float()
        db = (dy.t() @ low).float().mul_(ctx.scale)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = dy @ weight
            dx.addmm_(dlow, a_low)
        return dx, None, None, da, db, None


def _forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Takes the place of `peft.tuners.lora.Linear.forward`."""
    base = self.base_layer
    weight = base.weight
    bias = base.bias if base.bias is None or base.bias.dtype == weight.dtype else base.bias.to(weight.dtype)
    rows = x.reshape(-1, x.shape[-1]).to(weight.dtype)
    # Autocast would cast the float32 A and B inside; the function does all its casts itself.
    with torch.autocast(x.device.type, enabled=False):
        y = _FusedLoRA.apply(
            rows, weight, bias, self.lora_A["default"].weight, self.lora_B["default"].weight, self.scaling["default"]
        )
    return y.view(*x.shape[:-1], y.shape[-1])


def fuse_lora(model: nn.Module) -> tuple[int, int]:
    """Replace the forward of every LoRA layer that the fused function covers.

    Args:
        model: A PEFT model, adapters in place, frozen weights in the compute dtype.

    Returns:
        How many LoRA layers run fused, and how many there are.
    """
    from peft.tuners.lora import LoraLayer

    fused = total = 0
    for module in model.modules():
        if not isinstance(module, LoraLayer):
            continue
        total += 1
        if _is_covered(module):
            module.forward = MethodType(_forward, module)
            fused += 1
    return fused, total


def _is_covered(layer: Any) -> bool:
    from peft.tuners.lora import Linear

    return (
        type(layer) is Linear
        and type(layer.base_layer) is nn.Linear
        and layer.active_adapters == ["default"]
        and not layer.disable_adapters
        and not layer.merged
        and not layer.fan_in_fan_out
        and isinstance(layer.lora_dropout["default"], nn.Identity)
        and layer.lora_B["default"].bias is None
        and not getattr(layer, "lora_variant", {}).get("default")
    )

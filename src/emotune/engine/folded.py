"""Adapters that amount to another weight of their layer: DoRA, AdaLoRA, VeRA and IA3, each folded into it at every step.

For a frozen W and bias b, and with the adapter's numbers as PEFT calls them, the layer computes with

    DoRA       diag(m / |W + s B A|) (W + s B A)        the norms of the rows count as constants
    AdaLoRA    W + s / k  B diag(E) A                   k being PEFT's number of ranks
    VeRA       W + diag(b) B diag(d) A
    IA3        diag(l) W and l b; or W diag(l) where it scales what goes in

Autograd carries the gradient of that weight on to the numbers that are trained, by products that know nothing of tokens. PEFT computes each
adapter's own products instead, token by token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

_NAME = "default"


def weight_of(layer: Any) -> Callable[[], torch.Tensor] | None:
    """What gives the weight that a layer computes with, shape (out, in), in the graph of what is trained; None where nothing is folded."""
    fold = _folds().get(type(layer))
    return None if fold is None or not _is_plain(layer) else fold(layer)


def bias_of(layer: Any) -> Callable[[], torch.Tensor] | None:
    """What gives the bias that a layer computes with, shape (out,); None where that is the layer's own."""
    from peft.tuners.ia3 import Linear as IA3Linear

    if type(layer) is not IA3Linear or layer.is_feedforward or layer.base_layer.bias is None:
        return None
    return lambda: layer.base_layer.bias.detach() * layer.ia3_l[_NAME].flatten()


def is_folded(layer: Any) -> bool:
    """Whether a layer is one of these, on an `nn.Linear`: one active adapter, no dropout of its own, not merged."""
    return weight_of(layer) is not None


def is_trained(layer: Any) -> bool:
    """Whether anything of the adapter of a layer is trained."""
    own = {id(parameter) for parameter in layer.base_layer.parameters()}
    return any(parameter.requires_grad for parameter in layer.parameters() if id(parameter) not in own)


def _is_plain(layer: Any) -> bool:
    dropouts = [getattr(layer, name) for name in ("lora_dropout", "vera_dropout") if hasattr(layer, name)]
    return (
        type(layer.base_layer) is nn.Linear
        and layer.active_adapters == [_NAME]
        and not layer.disable_adapters
        and not layer.merged
        and not layer.fan_in_fan_out
        and all(isinstance(dropout[_NAME], nn.Identity) for dropout in dropouts)
    )


def _folds() -> dict[type, Callable[[Any], Callable[[], torch.Tensor] | None]]:
    """How PEFT's layers are folded, by their class."""
    from peft.tuners.adalora import SVDLinear
    from peft.tuners.ia3 import Linear as IA3Linear
    from peft.tuners.lora import Linear as LoRALinear
    from peft.tuners.vera import Linear as VeRALinear

    return {LoRALinear: _dora, SVDLinear: _adalora, VeRALinear: _vera, IA3Linear: _ia3}


def _dora(layer: Any) -> Callable[[], torch.Tensor] | None:
    from peft.tuners.lora.variants import DoraLinearVariant

    if type(layer.lora_variant.get(_NAME)) is not DoraLinearVariant or layer.lora_B[_NAME].bias is not None:
        return None
    a, b, magnitude = layer.lora_A[_NAME].weight, layer.lora_B[_NAME].weight, layer.lora_magnitude_vector[_NAME].weight
    scale = layer.scaling[_NAME]

    def weight() -> torch.Tensor:
        turned = torch.addmm(layer.base_layer.weight.detach().to(a.dtype), b, a, alpha=scale)
        return turned * (magnitude / turned.detach().norm(dim=1))[:, None]

    return weight


def _adalora(layer: Any) -> Callable[[], torch.Tensor]:
    a, b, e = layer.lora_A[_NAME], layer.lora_B[_NAME], layer.lora_E[_NAME]

    def weight() -> torch.Tensor:
        # Asked for at every step, since PEFT may set it anew when it prunes.
        scale = layer.scaling[_NAME] / (layer.ranknum[_NAME].detach() + 1e-5)
        return layer.base_layer.weight.detach().to(a.dtype) + (b @ (a * e)) * scale

    return weight


def _vera(layer: Any) -> Callable[[], torch.Tensor]:
    base = layer.base_layer
    d, b = layer.vera_lambda_d[_NAME], layer.vera_lambda_b[_NAME]

    def weight() -> torch.Tensor:
        down, up = layer.vera_A[_NAME][:, : base.in_features], layer.vera_B[_NAME][: base.out_features]
        return torch.addmm(base.weight.detach().to(d.dtype), b[:, None] * up, d[:, None] * down)

    return weight


def _ia3(layer: Any) -> Callable[[], torch.Tensor]:
    scales = layer.ia3_l[_NAME]

    def weight() -> torch.Tensor:
        own = layer.base_layer.weight.detach().to(scales.dtype)
        return own * (scales.flatten()[None] if layer.is_feedforward else scales.flatten()[:, None])

    return weight

"""Adapters that can be folded into the weight of their layer at every step: DoRA, AdaLoRA, VeRA and IA3.

For a frozen weight W and bias b, and PEFT's names of the adapter's parameters, the layer computes with

    DoRA       diag(m / |W + s B A|) (W + s B A)        the norms of the rows count as constants
    AdaLoRA    W + s / k  B diag(E) A                   k is PEFT's number of ranks
    VeRA       W + diag(b) B diag(d) A
    IA3        diag(l) W and l b; or W diag(l) if it scales the layer's input

Autograd passes the gradient of that weight on to the trained parameters, by products whose size does not depend on the
number of tokens. PEFT computes each adapter's own products for every token instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

_NAME = "default"


def weight_of(layer: Any) -> Callable[[], torch.Tensor] | None:
    """Return a function that returns the folded weight of a layer, or None for a layer without a folded adapter.

    The weight has the shape (out, in) and is part of the autograd graph of the trained parameters.
    """
    fold = _folds().get(type(layer))
    return None if fold is None or not _is_plain(layer) else fold(layer)


def bias_of(layer: Any) -> Callable[[], torch.Tensor] | None:
    """Return a function that returns the scaled bias of a layer, shape (out,), or None if its own bias is used."""
    from peft.tuners.ia3 import Linear as IA3Linear

    if type(layer) is not IA3Linear or layer.is_feedforward or layer.base_layer.bias is None:
        return None
    return lambda: layer.base_layer.bias.detach() * layer.ia3_l[_NAME].flatten()


def is_folded(layer: Any) -> bool:
    """Return whether a layer has a folded adapter on an `nn.Linear`: one active, without dropout, not merged."""
    return weight_of(layer) is not None


def is_trained(layer: Any) -> bool:
    """Return whether any parameter of a layer's adapter is trained."""
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
    """Return the function that folds a layer, by the class of PEFT's layer."""
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
        # Read at every step, since PEFT may change it when it prunes.
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

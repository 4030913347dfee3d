"""Four-bit weights: linear layers kept in NF4 (Dettmers et al., 2023, arXiv 2305.14314) by bitsandbytes."""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emotune.system.errors import MethodError

if TYPE_CHECKING:
    import torch
    from torch import nn


def check_bitsandbytes() -> None:
    """Check that bitsandbytes is installed.

    Raises:
        MethodError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MethodError("Four-bit weights need bitsandbytes. Run: pip install 'emotune[qlora]'.")


def quantize(model: Any, names: Sequence[str], *, double: bool) -> None:
    """Quantize the weights of linear layers to four bits, in place: half a byte per weight, one scale per 64.

    Args:
        model: A model.
        names: Full names of `nn.Linear` layers in it.
        double: Quantize the scales too, to eight bits.

    Raises:
        MethodError: bitsandbytes is not installed, or a layer is not a `nn.Linear`.
    """
    from torch import nn

    check_bitsandbytes()
    other = next((name for name in names if type(model.get_submodule(name)) is not nn.Linear), None)
    if other is not None:
        raise MethodError(
            f"Four-bit weights are for linear layers; {other} is {type(model.get_submodule(other)).__name__}. "
            "Use a method without quantization, such as lora."
        )
    nf4_linear = _nf4_linear()
    for name in names:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, nf4_linear.of(model.get_submodule(name), double))
    # Transformers sets this on a model that it quantized, and PEFT reads it.
    model.is_loaded_in_4bit = True


def dequantize(model: Any) -> None:
    """Replace all layers made by `quantize` by float32 linear layers with the dequantized weights, in place.

    Args:
        model: A model, with or without PEFT's layers in it.
    """
    import torch
    from bitsandbytes.functional import dequantize_4bit
    from torch import nn

    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            # PEFT's layers also return the weight of the layer inside as theirs.
            state = getattr(vars(layer)["_parameters"].get("weight"), "quant_state", None)
            if state is None:
                continue
            weight = dequantize_4bit(layer.weight.data, state).to(torch.float32)
            with torch.device("meta"):
                plain = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
            plain.weight = nn.Parameter(weight)
            plain.bias = layer.bias
            plain.train(layer.training)
            setattr(parent, name, plain)
    model.is_loaded_in_4bit = False


def element_count(parameter: torch.Tensor) -> int:
    """Return the number of weights in a parameter; four-bit ones are packed, two per byte."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else math.prod(state.shape)


@functools.cache
def _nf4_linear() -> Any:
    """Return the class of four-bit layers, made when first needed: the import of its parent takes seconds."""
    import bitsandbytes
    import torch

    class NF4Linear(bitsandbytes.nn.Linear4bit):
        """Linear layer with NF4 weights that otherwise behaves like `nn.Linear`.

        Its parent keeps the dtype of its first input for ever and rounds its bias to it. On some processors it also
        repacks the weights on the first prediction; then its logits change, and it can no longer be trained.
        """

        @classmethod
        def of(cls, layer: nn.Linear, double: bool) -> Any:
            """Return the four-bit layer of a linear one, with the same bias."""
            found = cls(
                layer.in_features,
                layer.out_features,
                bias=layer.bias is not None,
                compress_statistics=double,
                quant_type="nf4",
                device="meta",
            )
            found.weight = bitsandbytes.nn.Params4bit(
                layer.weight.data, requires_grad=False, compress_statistics=double, quant_type="nf4", module=found
            ).to(layer.weight.device)
            found.bias = layer.bias
            found.train(layer.training)
            return found

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Return W x + b, in the dtype of the input, or in that of autocast."""
            device = x.device.type
            dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
            bias = None if self.bias is None else self.bias.to(dtype)
            return bitsandbytes.matmul_4bit(x.to(dtype), self.weight, self.weight.quant_state, bias=bias)

    return NF4Linear

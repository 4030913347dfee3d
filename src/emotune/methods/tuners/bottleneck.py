"""Bottleneck adapters as a PEFT tuner: a small trained network on a layer's output. The import registers it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from peft import PeftType
from torch import nn

from emotune.methods.tuners.wrapping import WrappingConfig, WrappingLayer, WrappingTuner, register

NAME = "emotune_bottleneck"
ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}
_NO_MERGE = "Bottleneck adapters cannot be merged: they have an activation inside, so no weight can express them."


@dataclass
class BottleneckConfig(WrappingConfig):
    """PEFT's configuration of bottleneck adapters.

    Attributes:
        size: Width of the bottleneck.
        activation: "gelu" or "relu".
        dropout: Dropout rate of the adapter's input.
    """

    size: int = field(default=48, metadata={"help": "Width of the bottleneck."})
    activation: str = field(default="gelu", metadata={"help": "Activation in the bottleneck: gelu or relu."})
    dropout: float = field(default=0.0, metadata={"help": "Dropout on the adapter's input."})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation is {self.activation!r}; expected one of {', '.join(ACTIVATIONS)}.")
        self.peft_type = PeftType[NAME.upper()]


class BottleneckLayer(WrappingLayer):
    """Layer y = f(x) that returns y + up(activation(down(dropout(y)))) instead.

    `down` is linear from the width of y to the bottleneck, `up` back; both have biases. `up` is zero at the start, and
    so is the adapter's output. Several active adapters all read y, and their outputs are added up.

    Raises:
        TypeError: The base layer is neither an `nn.Linear` nor a `Conv1D`.
    """

    adapter_layer_names = ("emotune_bottleneck_down", "emotune_bottleneck_up")
    other_param_names = ("emotune_bottleneck_dropout", "emotune_bottleneck_activation")

    emotune_bottleneck_down: nn.ModuleDict
    emotune_bottleneck_up: nn.ModuleDict
    emotune_bottleneck_dropout: nn.ModuleDict
    emotune_bottleneck_activation: nn.ModuleDict

    def add_weights(self, adapter_name: str, config: BottleneckConfig) -> None:
        """Add a random `down`, with PyTorch's initialization of linear layers, and an `up` of zeros."""
        base = self.get_base_layer()
        width = getattr(base, "out_features", None) or getattr(base, "nf", None)  # Conv1D calls it nf
        if width is None:
            raise TypeError(f"Bottleneck adapters need linear layers; {type(base).__name__} is not one.")
        down, up = nn.Linear(width, config.size), nn.Linear(config.size, width)
        nn.init.zeros_(up.weight)
        nn.init.zeros_(up.bias)
        self.emotune_bottleneck_down[adapter_name] = down
        self.emotune_bottleneck_up[adapter_name] = up
        self.emotune_bottleneck_dropout[adapter_name] = nn.Dropout(config.dropout) if config.dropout else nn.Identity()
        self.emotune_bottleneck_activation[adapter_name] = ACTIVATIONS[config.activation]()

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the base layer's output plus that of each active adapter."""
        y = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return y
        added = [self._adapter(name, y) for name in self.active_adapters if name in self.emotune_bottleneck_down]
        return sum(added, y)

    def _adapter(self, name: str, y: torch.Tensor) -> torch.Tensor:
        """Return the output of an adapter for y, in y's dtype."""
        down, up = self.emotune_bottleneck_down[name], self.emotune_bottleneck_up[name]
        inner = down(self.emotune_bottleneck_dropout[name](self.cast_input(y, down.weight)))
        return up(self.emotune_bottleneck_activation[name](inner)).to(y.dtype)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> NoReturn:
        """Refuse to merge.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(_NO_MERGE)


class BottleneckModel(WrappingTuner):
    """PEFT's model of bottleneck adapters."""

    prefix = f"{NAME}_"
    tuner_layer_cls = BottleneckLayer

    def _check_merge_allowed(self) -> NoReturn:
        raise ValueError(_NO_MERGE)


register(NAME, BottleneckConfig, BottleneckModel)

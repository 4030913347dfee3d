"""BitFit as a PEFT tuner: a trained vector added to each targeted layer's bias. The import registers it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftType
from peft.tuners.tuners_utils import check_adapters_to_merge
from torch import nn

from emotune.methods.tuners.wrapping import WrappingConfig, WrappingLayer, WrappingTuner, register

NAME = "emotune_bitfit"


@dataclass
class BitFitConfig(WrappingConfig):
    """PEFT's configuration of BitFit: the layers, each with a bias, and the modules to save."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType[NAME.upper()]


class BitFitLayer(WrappingLayer):
    """Layer y = f(x) + b, with b + delta instead of b. Delta is trained, and zero at the start.

    The base layer must add its bias to its output last, along the last dimension: linear layers, `Conv1D` and layer
    normalizations do.

    Raises:
        ValueError: The base layer has no bias of one dimension.
    """

    adapter_layer_names = ("emotune_bitfit_delta",)
    container = nn.ParameterDict
    emotune_bitfit_delta: nn.ParameterDict

    def add_weights(self, adapter_name: str, config: BitFitConfig) -> None:
        """Add a delta of zeros."""
        base = self.get_base_layer()
        bias = getattr(base, "bias", None)
        if not isinstance(bias, torch.Tensor) or bias.ndim != 1:
            raise ValueError(f"BitFit needs layers with a bias of one dimension; {type(base).__name__} has none.")
        self.emotune_bitfit_delta[adapter_name] = nn.Parameter(torch.zeros_like(bias))

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the base layer's output plus the delta of each active adapter."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        y = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters or self.merged:
            return y
        for name in self.active_adapters:
            if name in self.emotune_bitfit_delta:
                y = y + self.emotune_bitfit_delta[name].to(y.dtype)
        return y

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add deltas to the bias.

        Args:
            safe_merge: Refuse a result that is not finite, and leave the bias unchanged.
            adapter_names: Adapters whose deltas to add; the active ones if not given.

        Raises:
            ValueError: `safe_merge`, and the merged bias is not finite.
        """
        bias = self.get_base_layer().bias
        for name in check_adapters_to_merge(self, adapter_names):
            if name not in self.emotune_bitfit_delta:
                continue
            merged = bias.data + self.emotune_bitfit_delta[name].data.to(bias.dtype)
            if safe_merge and not torch.isfinite(merged).all():
                raise ValueError(f"The bias merged with adapter {name} is not finite: the adapter is broken.")
            bias.data = merged
            self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Subtract the merged deltas from the bias, up to rounding."""
        if not self.merged:
            warnings.warn("Nothing is merged, so there is nothing to unmerge.", stacklevel=2)
            return
        bias = self.get_base_layer().bias
        while self.merged_adapters:
            name = self.merged_adapters.pop()
            if name in self.emotune_bitfit_delta:
                bias.data = bias.data - self.emotune_bitfit_delta[name].data.to(bias.dtype)


class BitFitModel(WrappingTuner):
    """PEFT's model of BitFit."""

    prefix = f"{NAME}_"
    tuner_layer_cls = BitFitLayer


register(NAME, BitFitConfig, BitFitModel)

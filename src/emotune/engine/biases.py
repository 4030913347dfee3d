"""The bias of a layer as the fast path uses it: a frozen part and a trained one, either of which may be missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from emotune.engine.folded import bias_of, is_trained


@dataclass(frozen=True)
class Bias:
    """The sum of two parts, of which one may be missing.

    Attributes:
        frozen: Shape (out,), what stays.
        trained: Gives the rest, shape (out,), in the graph of what is trained: the layer's own bias where that is trained itself, what
            BitFit adds to it, or what IA3 makes of it.
    """

    frozen: torch.Tensor | None
    trained: Callable[[], torch.Tensor] | None

    @classmethod
    def of(cls, layer: Any) -> Bias | None:
        """The bias of a linear layer or a normalization, with or without PEFT's layer around it; None where it has none."""
        own = getattr(layer, "base_layer", layer).bias
        if own is None:
            return None
        folded = bias_of(layer)
        if folded is not None:
            return cls(None, folded) if is_trained(layer) else cls(folded().detach(), None)
        delta = layer.emotune_bitfit_delta["default"] if hasattr(layer, "emotune_bitfit_delta") else None
        if delta is None:
            return cls(None, lambda: own) if own.requires_grad else cls(own.detach(), None)
        return cls(own.detach(), lambda: delta) if delta.requires_grad else cls(own.detach() + delta.detach(), None)

    def value(self) -> torch.Tensor:
        """The sum as it is now, cut off from any graph; it may be one of the parts itself."""
        return self.plus(None if self.trained is None else self.trained())

    def plus(self, trained: torch.Tensor | None) -> torch.Tensor:
        """The sum, for what `trained` has given."""
        parts = [part.detach() for part in (self.frozen, trained) if part is not None]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

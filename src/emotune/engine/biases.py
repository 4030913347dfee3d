"""The bias of a layer as the fast path uses it: a frozen part and a trained one, either of which may be missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from emotune.engine.folded import bias_of, is_trained


@dataclass(frozen=True)
class Bias:
    """Sum of two parts, of which one may be missing.

    Attributes:
        frozen: The frozen part, shape (out,).
        trained: Function that returns the trained part, shape (out,), as part of the autograd graph: the layer's own
            bias if that is trained, the vector that BitFit adds to it, or the bias as IA3 scales it.
    """

    frozen: torch.Tensor | None
    trained: Callable[[], torch.Tensor] | None

    @classmethod
    def of(cls, layer: Any) -> Bias | None:
        """Return the bias of a linear layer or normalization, possibly inside PEFT's layer; None if it has none."""
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
        """Return the current sum, detached from any graph; it may be one of the parts itself."""
        return self.plus(None if self.trained is None else self.trained())

    def plus(self, trained: torch.Tensor | None) -> torch.Tensor:
        """Return the sum for a value that `trained` has returned."""
        parts = [part.detach() for part in (self.frozen, trained) if part is not None]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

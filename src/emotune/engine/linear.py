"""A linear layer, or several with the same input, with LoRA adapters; forward and backward passes written out.

With W, b and the trained A, B of scale s, the layer is y = x W' + b + s (x A') B'. Its backward pass is

    dx = dy W + s (dy B) A        dB = s dy' (x A')        dA = s (dy B)' x        dW = dy' x        db = sum of dy

The gradients of W and b are computed only if these are trained, or if an adapter is folded into them (`folded`). The
gradient of BitFit's vector, which is added to b, is that of b. Query, key and value are one product of three times the
width, and their A one of three times the rank. PEFT computes the same with separate modules, each of which casts its
input and its weights in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from emotune.engine.biases import Bias
from emotune.engine.folded import is_folded, is_trained, weight_of


@dataclass(frozen=True)
class Adapter:
    """One LoRA adapter of a linear layer.

    Attributes:
        a: A, shape (r, in).
        b: B, shape (out, r).
        scale: Factor of B A x.
        columns: The outputs to which the product is added.
        ranks: Rows of this adapter in the stacked A of its layer.
    """

    a: torch.Tensor
    b: torch.Tensor
    scale: float
    columns: slice
    ranks: slice


@dataclass(frozen=True)
class Trained:
    """Linear layer whose weight or bias is trained, or has a trained adapter folded into it.

    Attributes:
        weight: Function that returns the weight, shape (out, in), in the autograd graph; None if it is frozen.
        bias: Shape (out,), trained in full, in part or not at all; None if the layer has no bias.
        columns: The outputs of this layer.
    """

    weight: Callable[[], torch.Tensor] | None
    bias: Bias | None
    columns: slice

    @property
    def sources(self) -> list[Callable[[], torch.Tensor]]:
        """Functions that return the trained tensors: weight, then bias."""
        found = (self.weight, None if self.bias is None else self.bias.trained)
        return [source for source in found if source is not None]


class CommonWeights:
    """Frozen matrices of a base model in the form of the fast path, held once for all models on that base.

    A matrix is found by the memory of its sources, which must not be changed in place.
    """

    def __init__(self) -> None:
        # The sources are kept, since memory that is freed may be given to another tensor.
        self._held: dict[tuple[torch.dtype, tuple[int, ...]], tuple[Sequence[torch.Tensor], torch.Tensor]] = {}

    def joint(self, weights: Sequence[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
        """Return the matrices below each other in a dtype; the same tensor for the same matrices."""
        key = (dtype, tuple(weight.data_ptr() for weight in weights))
        if key not in self._held:
            self._held[key] = (weights, _joint(weights, dtype))
        return self._held[key][1]


def _joint(weights: Sequence[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    return torch.cat(list(weights)).to(dtype) if len(weights) > 1 else weights[0].to(dtype)


class Projection:
    """Linear layers with the same input, as one product.

    Args:
        weight: Shape (out, in), in the dtype of the products.
        bias: Shape (out,), or None.
        adapters: Adapters whose outputs are added to the product; their `ranks` follow one another from 0.
        trained: Layers with trained weights or biases; `weight` and `bias` hold copies of them.
    """

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        adapters: Sequence[Adapter] = (),
        trained: Sequence[Trained] = (),
    ) -> None:
        self.weight = weight
        self.bias = bias
        self.adapters = tuple(adapters)
        self.trained = tuple(trained)
        # Casts made by `refresh`: A of all adapters, stacked, and each B times its scale.
        self._a: torch.Tensor = torch.empty(0)
        self._b: list[torch.Tensor] = []
        # The latest results of the sources of `trained`.
        self._given = [source() for own in self.trained for source in own.sources]

    @classmethod
    def of(
        cls,
        layers: Sequence[Any],
        dtype: torch.dtype,
        *,
        share: bool = False,
        merge: bool = False,
        common: CommonWeights | None = None,
    ) -> Projection:
        """Return the projection of a model's layers.

        Args:
            layers: `nn.Linear`, or PEFT's layers of LoRA or BitFit around it, all with or all without bias.
            dtype: Data type of the products.
            share: Let the layers' own weights be views of the joint one, so that memory holds it once.
            merge: Add adapters to the weights, and BitFit's vectors to the biases, for prediction.
            common: Matrices that several models on one base share. With it, `merge` leaves LoRA beside the matrix; an
                adapter that can only be folded still gets a matrix of its own.
        """
        plain = [_plain(layer) for layer in layers]
        if common is not None and any(is_folded(layer) for layer in layers):
            common = None
        weights = [_weight(layer, merge=merge and common is None) for layer in layers]
        weight = _joint(weights, dtype) if common is None else common.joint(weights, dtype)
        beside = not merge or common is not None
        biases = [Bias.of(layer) for layer in layers]
        bias = None if biases[0] is None else torch.cat([own.value() for own in biases if own is not None]).to(dtype)
        adapters: list[Adapter] = []
        trained: list[Trained] = []
        column = rank = 0
        for layer, base, own_bias in zip(layers, plain, biases, strict=True):
            columns = slice(column, column + base.out_features)
            column = columns.stop
            own = Trained(_trained_weight(layer), own_bias, columns)
            if not merge and own.sources:
                trained.append(own)
            if share and own.weight is None and not is_folded(layer):
                base.weight.data = weight[columns]
            if beside and hasattr(layer, "lora_A") and not is_folded(layer):
                a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
                adapters.append(Adapter(a, b, layer.scaling["default"], columns, slice(rank, rank + a.shape[0])))
                rank += a.shape[0]
        if weight.data_ptr() == weights[0].data_ptr() and any(own.weight is not None for own in trained):
            weight = weight.clone()  # no cast has copied it
        return cls(weight, bias, adapters, trained)

    @property
    def parameters(self) -> list[torch.Tensor]:
        """A and B of each adapter, then the layers' own at the last `refresh`, in the order of the gradients."""
        return [tensor for adapter in self.adapters for tensor in (adapter.a, adapter.b)] + self._given

    def part(self, start: int, stop: int) -> Projection:
        """Return the projection to a range of the outputs, which shares this one's memory.

        Args:
            start: The first output; it must be the first of a layer.
            stop: The end of the range; it must be the end of a layer.
        """
        adapters: list[Adapter] = []
        rank = 0
        for adapter in self.adapters:
            if start <= adapter.columns.start < stop:
                columns = slice(adapter.columns.start - start, adapter.columns.stop - start)
                ranks = slice(rank, rank + adapter.a.shape[0])
                rank = ranks.stop
                adapters.append(replace(adapter, columns=columns, ranks=ranks))
        trained = [
            replace(own, columns=slice(own.columns.start - start, own.columns.stop - start))
            for own in self.trained
            if start <= own.columns.start < stop
        ]
        bias = None if self.bias is None else self.bias[start:stop]
        return Projection(self.weight[start:stop], bias, adapters, trained)

    def refresh(self) -> None:
        """Cast the parameters, which the optimizer may have changed, to the dtype of the products."""
        self._given = [source() for own in self.trained for source in own.sources]
        given = iter(self._given)
        for own in self.trained:
            if own.weight is not None:
                self.weight[own.columns].copy_(next(given).detach())
            if own.bias is not None and own.bias.trained is not None and self.bias is not None:
                self.bias[own.columns].copy_(own.bias.plus(next(given)))
        if self.adapters:
            dtype = self.weight.dtype
            self._a = torch.cat([adapter.a.detach() for adapter in self.adapters]).to(dtype)
            self._b = [(adapter.b.detach() * adapter.scale).to(dtype) for adapter in self.adapters]

    def freeze(self) -> None:
        """Keep only the casts of the adapters, for prediction, so that memory does not hold each adapter twice."""
        self.adapters = tuple(
            replace(adapter, a=self._a[adapter.ranks], b=b, scale=1.0)
            for adapter, b in zip(self.adapters, self._b, strict=True)
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the outputs, shape (tokens, out), and x A', shape (tokens, ranks), which `backward` needs."""
        y = nn.functional.linear(x, self.weight, self.bias)
        if not self.adapters:
            return y, None
        low = x @ self._a.t()
        for adapter, b in zip(self.adapters, self._b, strict=True):
            y[:, adapter.columns].addmm_(low[:, adapter.ranks], b.t())
        return y, low

    def own_gradients(
        self, dy: torch.Tensor, x: torch.Tensor, low: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
        """Return s dy B, shape (tokens, ranks), which `input_gradient` needs, and the gradients of `parameters`.

        Args:
            dy: Shape (tokens, out).
            x: The input of the forward pass.
            low: The second result of the forward pass.
        """
        gradients: list[torch.Tensor] = []
        dlow = None
        if low is not None:
            dlow = torch.empty_like(low)
            for adapter, b in zip(self.adapters, self._b, strict=True):
                torch.mm(dy[:, adapter.columns], b, out=dlow[:, adapter.ranks])
            da = dlow.t() @ x
            for adapter in self.adapters:
                db = low[:, adapter.ranks].t() @ dy[:, adapter.columns]
                gradients.append(da[adapter.ranks].to(adapter.a.dtype))
                gradients.append(db.t().to(adapter.b.dtype) * adapter.scale)
        given = iter(self._given)
        for own in self.trained:
            columns = dy[:, own.columns]
            if own.weight is not None:
                gradients.append((columns.t() @ x).to(next(given).dtype))
            if own.bias is not None and own.bias.trained is not None:
                gradients.append(columns.sum(0, dtype=next(given).dtype))
        return dlow, gradients

    def input_gradient(self, dy: torch.Tensor, dlow: torch.Tensor | None) -> torch.Tensor:
        """Return dx, shape (tokens, in)."""
        dx = dy @ self.weight
        if dlow is not None:
            dx.addmm_(dlow, self._a)
        return dx

    def backward(
        self, dy: torch.Tensor, x: torch.Tensor, low: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return dx and the gradients of `parameters`."""
        dlow, gradients = self.own_gradients(dy, x, low)
        return self.input_gradient(dy, dlow), gradients


def _plain(layer: Any) -> nn.Linear:
    """Return the `nn.Linear` itself, or the one inside PEFT's layer."""
    return layer.base_layer if hasattr(layer, "base_layer") else layer


def _trained_weight(layer: Any) -> Callable[[], torch.Tensor] | None:
    """Return a function that returns the weight of a layer, or None if neither it nor a folded adapter is trained."""
    folded = weight_of(layer)
    if folded is not None:
        return folded if is_trained(layer) else None
    weight = _plain(layer).weight
    return (lambda: weight) if weight.requires_grad else None


def _weight(layer: Any, *, merge: bool) -> torch.Tensor:
    """Return the weight of a layer, with a folded adapter; with `merge`, LoRA is added."""
    folded = weight_of(layer)
    if folded is not None:
        return folded().detach()
    weight = _plain(layer).weight.detach()
    if not merge or not hasattr(layer, "lora_A"):
        return weight
    a, b = layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()
    return torch.addmm(weight.float(), b.float(), a.float(), alpha=layer.scaling["default"])

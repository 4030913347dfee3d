"""A whole stack of encoder layers as one autograd function over a packed batch.

Compared with one function per linear layer, this saves casts, copies and the graph's overhead. It also allows:
no padding and no mask; query, key and value in one product; no gradient below the first trained layer. If the head
reads only the first token, the last layer computes nothing but keys and values for the other tokens. All of this is
exact: logits and gradients equal those of the layers of transformers and PEFT, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from emotune.engine.attention import Attention
from emotune.engine.biases import Bias
from emotune.engine.bottleneck import BottleneckProjection
from emotune.engine.dropout import MaskPool
from emotune.engine.layers import COVERED, LayerModules, layer_modules
from emotune.engine.layout import Layout
from emotune.engine.linear import CommonWeights, Projection
from emotune.engine.varlen import choose_attention


@dataclass
class _Saved:
    """Tensors that the backward pass of one layer needs, for T tokens and Q queries: one per token, or one per text."""

    x: torch.Tensor  # (T, hidden), the input
    residual: torch.Tensor  # (Q, hidden), the rows of the input that have queries
    projected: list[Any]  # what the projections save for the backward pass, in the order of `EncoderLayer.projections`
    attended: Any  # what the attention saves
    context: torch.Tensor  # (Q, hidden)
    attention_mask: torch.Tensor | None  # dropout masks, (Q, hidden)
    attention_norm: tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # input, mean, reciprocal deviation
    y: torch.Tensor  # (Q, hidden), after the first normalization
    inner: torch.Tensor  # (Q, inner), before the activation
    activated: torch.Tensor  # (Q, inner), after it
    output_mask: torch.Tensor | None
    output_norm: tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class _Norm:
    """Layer normalization with parameters of at least float32."""

    def __init__(self, norm: Any, dtype: torch.dtype) -> None:
        base = getattr(norm, "base_layer", norm)
        bias = Bias.of(norm)
        assert bias is not None  # `why_not` has checked it
        kept = torch.promote_types(dtype, torch.float32)
        self.shape, self.eps = list(base.normalized_shape), base.eps
        self.weight, self.bias = base.weight.detach().to(kept), bias.value().to(kept)
        self._trained_weight = base.weight if base.weight.requires_grad else None
        self._own_bias = bias
        # A normalization's trained bias is a parameter: its own, or BitFit's.
        trained = (self._trained_weight, None if bias.trained is None else bias.trained())
        self.parameters = [parameter for parameter in trained if parameter is not None]
        self._wanted = [parameter is not None for parameter in trained]

    def refresh(self) -> None:
        """Take over the parameters, which the optimizer may have changed."""
        if self._trained_weight is not None:
            _take_over(self.weight, self._trained_weight.detach())
        if self._own_bias.trained is not None:
            _take_over(self.bias, self._own_bias.value())

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        y, mean, deviation = torch.native_layer_norm(x, self.shape, self.weight, self.bias, self.eps)
        return y, (x, mean, deviation)

    def backward(
        self, dy: torch.Tensor, saved: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return dx and the gradients of `parameters`."""
        x, mean, deviation = saved
        dx, *found = torch.ops.aten.native_layer_norm_backward(
            dy, x, self.shape, mean, deviation, self.weight, self.bias, [True, *self._wanted]
        )
        wanted = [gradient for gradient, wanted in zip(found, self._wanted, strict=True) if wanted]
        return dx, [gradient.to(p.dtype) for gradient, p in zip(wanted, self.parameters, strict=True)]


def _take_over(own: torch.Tensor, source: torch.Tensor) -> None:
    if own.data_ptr() != source.data_ptr():  # without a cast, they are one tensor
        own.copy_(source)


class EncoderLayer:
    """One layer: attention, add and normalize, two linear layers, add and normalize.

    Args:
        modules: Its modules.
        attention: The implementation of attention.
        first_only: Compute only the first token of each text.
        attention_pool: Masks for dropout on the output of attention.
        output_pool: Masks for dropout on the output of the feed-forward block.
        dtype: Data type of the products.
        share: Let the modules' weights be views of the joint ones.
        merge: Add adapters to the weights, and what BitFit trains to the biases.
        common: As for `Projection.of`.
    """

    def __init__(
        self,
        modules: LayerModules,
        attention: Attention,
        *,
        first_only: bool,
        attention_pool: MaskPool,
        output_pool: MaskPool,
        dtype: torch.dtype,
        share: bool,
        merge: bool,
        common: CommonWeights | None = None,
    ) -> None:
        def projection(*layers: nn.Module) -> Projection:
            return Projection.of(layers, dtype, share=share, merge=merge, common=common)

        def alone(layer: nn.Module) -> Projection | BottleneckProjection:
            part = projection(layer)
            if not hasattr(layer, "emotune_bottleneck_down"):
                return part
            return BottleneckProjection(part, layer, dtype, trained=not merge)

        self.attention = attention
        self.first_only = first_only
        self.attention_pool, self.output_pool = attention_pool, output_pool
        joint = projection(modules.query, modules.key, modules.value)
        # With `first_only`, query is a separate product.
        hidden = len(joint.weight) // 3
        self.inputs = [joint.part(0, hidden), joint.part(hidden, 3 * hidden)] if first_only else [joint]
        self.attended = alone(modules.attended)
        self.inner = alone(modules.inner)
        self.outer = alone(modules.outer)
        self.attention_norm = _Norm(modules.attention_norm, dtype)
        self.output_norm = _Norm(modules.output_norm, dtype)

    @property
    def projections(self) -> list[Projection | BottleneckProjection]:
        """All projections, in the order of the forward pass."""
        return [*self.inputs, self.attended, self.inner, self.outer]

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Trained tensors of the projections, then of the two normalizations."""
        return [parameter for part in self._parts for parameter in part.parameters]

    def refresh(self) -> None:
        """Take over the parameters, which the optimizer may have changed."""
        for part in self._parts:
            part.refresh()

    def freeze(self) -> None:
        """Hold each adapter once, for prediction."""
        for part in self.projections:
            inner = part.projection if isinstance(part, BottleneckProjection) else part
            inner.freeze()

    @property
    def _parts(self) -> list[Projection | BottleneckProjection | _Norm]:
        return [*self.projections, self.attention_norm, self.output_norm]

    def forward(
        self, x: torch.Tensor, layout: Layout, *, dropout: bool, save: bool
    ) -> tuple[torch.Tensor, _Saved | None]:
        """Return the layer's output, and what its backward pass needs.

        Args:
            x: Shape (tokens, hidden).
            layout: Positions of the texts.
            dropout: Apply dropout.
            save: Keep what a backward pass needs.
        """
        hidden = x.shape[1]
        if self.first_only:
            residual = nn.functional.pad(x[layout.first], (0, 0, 0, layout.blank_texts))
            query, low_query = self.inputs[0].forward(residual)
            keys_values, low_keys_values = self.inputs[1].forward(x)
            projected: list[Any] = [low_query, low_keys_values]
        else:
            residual = x
            joint, low_joint = self.inputs[0].forward(x)
            query, keys_values = joint[:, :hidden], joint[:, hidden:]
            projected = [low_joint]
        context, attended = self.attention.forward(query, keys_values, layout, first_only=self.first_only)
        out, low = self.attended.forward(context)
        projected.append(low)
        attention_mask, out = _drop_and_add(out, residual, self.attention_pool, dropout)
        y, attention_norm = self.attention_norm.forward(out)
        inner, low = self.inner.forward(y)
        projected.append(low)
        activated = nn.functional.gelu(inner)
        out, low = self.outer.forward(activated)
        projected.append(low)
        output_mask, out = _drop_and_add(out, y, self.output_pool, dropout)
        z, output_norm = self.output_norm.forward(out)
        if not save:
            return z, None
        return z, _Saved(
            x,
            residual,
            projected,
            attended,
            context,
            attention_mask,
            attention_norm,
            y,
            inner,
            activated,
            output_mask,
            output_norm,
        )

    def backward(
        self, dz: torch.Tensor, saved: _Saved, layout: Layout, *, needs_dx: bool
    ) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
        """Return the gradient of the layer's input, if it is needed, and those of its `parameters`."""
        d_sum, output_norm_grads = self.output_norm.backward(dz, saved.output_norm)
        d_out = d_sum if saved.output_mask is None else d_sum * saved.output_mask
        d_activated, outer_grads = self.outer.backward(d_out, saved.activated, saved.projected[-1])
        d_inner = torch.ops.aten.gelu_backward(d_activated, saved.inner)
        dy, inner_grads = self.inner.backward(d_inner, saved.y, saved.projected[-2])
        d_sum, attention_norm_grads = self.attention_norm.backward(dy.add_(d_sum), saved.attention_norm)
        d_out = d_sum if saved.attention_mask is None else d_sum * saved.attention_mask
        d_context, attended_grads = self.attended.backward(d_out, saved.context, saved.projected[-3])
        tokens, hidden = saved.x.shape
        d_joint = torch.empty(tokens, 3 * hidden, dtype=dz.dtype, device=dz.device)
        d_joint[tokens - layout.blank_tokens :] = 0
        d_query, d_keys_values = d_joint[:, :hidden], d_joint[:, hidden:]
        if self.first_only:
            d_query = torch.zeros_like(d_context)
        self.attention.backward(d_context, saved.attended, layout, d_query, d_keys_values, first_only=self.first_only)
        dys = [d_query, d_keys_values] if self.first_only else [d_joint]
        xs = [saved.residual, saved.x] if self.first_only else [saved.x]
        gradients: list[torch.Tensor] = []
        dlows = []
        for part, dy, x, low in zip(self.inputs, dys, xs, saved.projected, strict=False):
            dlow, found = part.own_gradients(dy, x, low)
            dlows.append(dlow)
            gradients += found
        gradients += [*attended_grads, *inner_grads, *outer_grads, *attention_norm_grads, *output_norm_grads]
        if not needs_dx:
            return None, gradients
        dx = self.inputs[-1].input_gradient(dys[-1], dlows[-1])
        if self.first_only:
            d_first = self.inputs[0].input_gradient(d_query, dlows[0]).add_(d_sum)
            return dx.index_add_(0, layout.first, d_first[: len(layout.first)]), gradients
        return dx.add_(d_sum), gradients


def _drop_and_add(
    out: torch.Tensor, residual: torch.Tensor, pool: MaskPool, dropout: bool
) -> tuple[torch.Tensor | None, torch.Tensor]:
    if not dropout or pool.p == 0:
        return None, out.add_(residual)
    mask = pool.draw(out.numel(), out.dtype, out.device).view(out.shape)
    return mask, torch.addcmul(residual, out, mask)


class Encoder:
    """Stack of layers of an encoder, on the encoder's own weights.

    Args:
        encoder: The encoder's module; `why_not` has found nothing against it.
        config: Its configuration.
        dtype: Data type of the products.
        pools: Dropout masks by rate; missing pools are added.
        first_only: Return only the first token of each text.
        share: Let the modules' weights be views of the joint ones, for training; otherwise the weights are copies.
        merge: Add adapters to the weights, for prediction; later changes of the weights have no effect.
        common: Matrices that several models on one base share; LoRA then stays beside them.
    """

    def __init__(
        self,
        encoder: nn.Module,
        config: Any,
        dtype: torch.dtype,
        *,
        pools: dict[float, MaskPool] | None = None,
        first_only: bool = True,
        share: bool = False,
        merge: bool = False,
        common: CommonWeights | None = None,
    ) -> None:
        names = COVERED[config.model_type]
        pools = {} if pools is None else pools

        def pool(setting: str) -> MaskPool:
            rate = float(getattr(config, setting)) if setting else 0.0
            return pools.setdefault(rate, MaskPool(rate))

        modules = list(layer_modules(encoder, config.model_type))
        self.dtype = dtype
        device = next(encoder.parameters()).device
        self.attention = choose_attention(config.num_attention_heads, config.hidden_size, self.dtype, device)
        self.layers = [
            EncoderLayer(
                layer,
                self.attention,
                first_only=first_only and number == len(modules) - 1,
                attention_pool=pool(names.attention_dropout),
                output_pool=pool(names.output_dropout),
                dtype=dtype,
                share=share,
                merge=merge,
                common=common,
            )
            for number, layer in enumerate(modules)
        ]
        self._follows = not merge
        if merge:
            self._refresh()
            for layer in self.layers:
                layer.freeze()

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Trained tensors, in the order of the layers."""
        return [parameter for layer in self.layers for parameter in layer.parameters]

    @property
    def first_trained(self) -> int:
        """Number of the first layer with a trained tensor; nothing below it needs a gradient."""
        trained = (number for number, layer in enumerate(self.layers) if layer.parameters)
        return next(trained, len(self.layers))

    def __call__(self, x: torch.Tensor, layout: Layout, *, training: bool) -> torch.Tensor:
        """Run the stack.

        Args:
            x: Shape (tokens, hidden): embeddings.
            layout: Positions of the texts.
            training: Apply dropout.

        Returns:
            Hidden states, shape (texts, hidden) with `first_only`, else (tokens, hidden).
        """
        # Autocast would cast inside products; the layers do all their casts themselves.
        with torch.autocast(x.device.type, enabled=False):
            x = self._enter(x, layout)
            parameters = self.parameters
            if torch.is_grad_enabled() and (x.requires_grad or parameters):
                x = _Stack.apply(x, self, layout, training, *parameters)
            else:
                for layer in self.layers:
                    x, _ = layer.forward(x, layout, dropout=training, save=False)
            return x[: len(layout.first) if self.layers[-1].first_only else len(layout.text)]

    def states(
        self, x: torch.Tensor, layout: Layout, reduce: Callable[[torch.Tensor], torch.Tensor], layers: Sequence[int]
    ) -> list[torch.Tensor]:
        """Return reduced hidden states of chosen layers, without gradients or dropout; run no layer above the last one.

        Args:
            x: Shape (tokens, hidden): embeddings.
            layout: Positions of the texts.
            reduce: Function from a hidden state, shape (tokens, hidden), to the part to keep.
            layers: States to return, in ascending order: 0 is the embeddings, 1 the output of the first layer, etc.

        Returns:
            Result of `reduce` for each of them.
        """
        if self.layers[-1].first_only:
            raise ValueError("this stack computes the last layer for first tokens only")
        kept = [reduce(x)] if 0 in layers else []
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            x = self._enter(x, layout)
            for number, layer in enumerate(self.layers[: max(layers)], start=1):
                x, _ = layer.forward(x, layout, dropout=False, save=False)
                if number in layers:
                    kept.append(reduce(x[: len(layout.text)]))
        return kept

    def _enter(self, x: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Update the weights, and return the first layer's input: embeddings in the products' dtype, blank rows."""
        if self._follows:
            self._refresh()
        return nn.functional.pad(x.to(self.dtype), (0, 0, 0, layout.blank_tokens))

    def _refresh(self) -> None:
        for layer in self.layers:
            layer.refresh()


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, encoder: Encoder, layout: Layout, training: bool, *parameters: torch.Tensor
    ) -> torch.Tensor:
        lowest = 0 if ctx.needs_input_grad[0] else encoder.first_trained
        ctx.saved = []
        for number, layer in enumerate(encoder.layers):
            x, saved = layer.forward(x, layout, dropout=training, save=number >= lowest)
            ctx.saved.append(saved)
        ctx.encoder, ctx.layout, ctx.lowest = encoder, layout, lowest
        return x

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        dx: torch.Tensor | None = grads[0]
        found: list[torch.Tensor] = []
        for number in reversed(range(ctx.lowest, len(ctx.encoder.layers))):
            needs_dx = number > ctx.lowest or ctx.needs_input_grad[0]
            layer, saved = ctx.encoder.layers[number], ctx.saved[number]
            dx, layer_grads = layer.backward(dx, saved, ctx.layout, needs_dx=needs_dx)
            found = [*layer_grads, *found]
        return dx, None, None, None, *found

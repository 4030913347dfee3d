"""The last layer of a plain encoder, computed for the first token of each text only.

The head of the covered families reads nothing else, so the logits are the same up to rounding. In the last layer, only
keys and values are then computed for every token: a model of six layers has a seventh less to multiply. Converters to
other runtimes do not find this out for themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from emotune.engine.layers import LayerModules, layer_modules, why_not
from emotune.models.families import FAMILIES
from emotune.models.families import encoder as encoder_of
from emotune.models.sharing import on_same_memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class FirstTokenLayer(nn.Module):
    """Last layer of an encoder, which returns the hidden states of first tokens, shape (texts, 1, hidden).

    Args:
        modules: The layer's modules, without adapters.
        heads: Number of attention heads.
    """

    def __init__(self, modules: LayerModules, heads: int) -> None:
        super().__init__()
        self.query, self.key, self.value = modules.query, modules.key, modules.value
        self.attended, self.attention_norm = modules.attended, modules.attention_norm
        self.inner, self.outer, self.output_norm = modules.inner, modules.outer, modules.output_norm
        self.heads = heads

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **__: Any
    ) -> Any:
        """Return the output of the layer for first tokens.

        Args:
            hidden_states: Shape (texts, tokens, hidden).
            attention_mask: Shape (texts, 1, tokens or 1, tokens), as `scaled_dot_product_attention` takes it; None if
                there is no padding.
        """
        first = hidden_states[:, :1]
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.query(first), self.key(hidden_states), self.value(hidden_states))
        )
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        context = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        y = self.attention_norm(self.attended(context.transpose(1, 2).flatten(2)) + first)
        return self.output_norm(self.outer(nn.functional.gelu(self.inner(y))) + y)


def for_first_tokens(model: PreTrainedModel) -> PreTrainedModel:
    """Return a classifier whose last layer computes first tokens only, on the model's own weights.

    The model itself is left unchanged. One that the fast path does not cover is returned as it is.

    Args:
        model: A plain sequence classifier of transformers, without adapters.
    """
    encoder = encoder_of(model)
    if why_not(model, encoder) is not None:
        return model
    *_, modules = layer_modules(encoder, model.config.model_type)
    *_, last = encoder.get_submodule(FAMILIES[model.config.model_type].layers).children()
    return on_same_memory(model, {last: FirstTokenLayer(modules, model.config.num_attention_heads)})

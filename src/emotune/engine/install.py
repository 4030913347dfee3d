"""Put the fast path into a classifier, or into a copy of it: its encoder takes packed batches, all other parts stay."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from emotune.engine.dropout import MaskPool, PooledDropout
from emotune.engine.encoder import Encoder
from emotune.engine.layers import why_not
from emotune.engine.layout import Layout
from emotune.engine.linear import CommonWeights
from emotune.models.families import FAMILIES
from emotune.models.families import encoder as encoder_of
from emotune.models.sharing import on_same_memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def embed(
    encoder: nn.Module, input_ids: torch.Tensor, layout: Layout, token_type_ids: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the embeddings of a packed batch, shape (tokens, hidden).

    Args:
        encoder: The encoder.
        input_ids: Shape (tokens,).
        layout: Positions of the texts.
        token_type_ids: Shape (tokens,), types of the tokens; None if all are of type 0.
    """
    positions = layout.positions
    embeddings: Any = encoder.embeddings
    # RoBERTa and related families number positions from padding id + 1, and skip padding tokens inside a text.
    padding = embeddings.position_embeddings.padding_idx
    if padding is not None:
        real = input_ids.ne(padding).long()
        counted = real.cumsum(0)
        positions = (counted - (counted - real)[layout.first][layout.text]) * real + padding
    types = {} if token_type_ids is None else {"token_type_ids": token_type_ids[None]}
    return embeddings(input_ids=input_ids[None], position_ids=positions[None], **types)[0]


def inner_model(model: nn.Module) -> PreTrainedModel:
    """Return the transformers model, without PEFT's wrapper."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]


def use_pooled_dropout(model: nn.Module, pools: dict[float, MaskPool]) -> None:
    """Put `PooledDropout` in place of every `nn.Dropout` of a model, with its rate and mode.

    Args:
        model: The model.
        pools: Pools by rate; missing pools are added.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                replacement = PooledDropout(pools.setdefault(child.p, MaskPool(child.p)))
                replacement.train(child.training)
                setattr(parent, name, replacement)


def why_not_installed(model: nn.Module) -> str | None:
    """Return the reason why the fast path does not cover a model, in words, or None if it does.

    Args:
        model: The sequence classifier, or PEFT's model around it.
    """
    classifier = inner_model(model)
    reason = why_not(classifier, encoder_of(classifier))
    if reason is not None:
        return reason
    if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        return "trained vectors stand before its texts"
    return None


def install(
    model: nn.Module,
    dtype: torch.dtype,
    *,
    pools: dict[float, MaskPool] | None = None,
    share: bool = False,
) -> str | None:
    """Let a classifier's encoder take packed batches, by the keyword `lengths`; other batches are computed as before.

    Use it for training: the model itself is changed, and with `share` its weights too. The model must be on its device
    already, since the fast path keeps weights of its own.

    Args:
        model: The sequence classifier, or PEFT's model around it.
        dtype: Data type of the products.
        pools: Dropout masks by rate.
        share: Let the model's frozen weights be views of the fast path's.

    Returns:
        None, or the reason, in words, why the fast path does not cover the model, which is then left unchanged.
    """
    reason = why_not_installed(model)
    if reason is not None:
        return reason
    classifier = inner_model(model)
    module = encoder_of(classifier)
    stack = Encoder(module, classifier.config, dtype, pools=pools, share=share)
    plain = type(module).forward

    def forward(self: Any, input_ids: torch.Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
        lengths = kwargs.pop("lengths", None)
        if lengths is None or input_ids is None:
            return plain(self, input_ids, *args, **kwargs)
        return _encode(self, stack, input_ids, Layout.of(lengths, input_ids.device), kwargs.get("token_type_ids"))

    module.forward = MethodType(forward, module)
    return None


class PackedEncoder(nn.Module):
    """Encoder that takes only packed batches, for prediction: embeddings, the fast path's layers, pooler.

    Args:
        encoder: The encoder that provides embeddings and pooler.
        stack: The layers, with adapters merged.
    """

    def __init__(self, encoder: Any, stack: Encoder) -> None:
        super().__init__()
        self.embeddings = encoder.embeddings
        self.pooler = getattr(encoder, "pooler", None)
        self.stack = stack

    def forward(
        self,
        input_ids: torch.Tensor,
        *,
        lengths: NDArray[np.int64],
        token_type_ids: torch.Tensor | None = None,
        **_: Any,
    ) -> Any:
        """Return the hidden states of first tokens, shape (texts, 1, hidden), and the pooler's output for them.

        Args:
            input_ids: Shape (tokens,), the texts one after another.
            lengths: Shape (texts,), tokens per text, in main memory.
            token_type_ids: Shape (tokens,), types of the tokens; None if all are of type 0.
        """
        layout = Layout.of(lengths, input_ids.device, soon=True)
        return _encode(self, self.stack, input_ids, layout, token_type_ids)


def packed(model: nn.Module, dtype: torch.dtype, common: CommonWeights | None = None) -> nn.Module:
    """Return a classifier in evaluation mode that takes only packed batches, by the keyword `lengths`, adapters merged.

    The model is left unchanged. The classifier shares its embeddings, pooler, head and all weights that need no copy.
    It does not keep the model's layers alive.

    Args:
        model: The sequence classifier, or PEFT's model around it; `why_not_installed` has found nothing against it.
        dtype: Data type of the products.
        common: Matrices that several models on one base share, which saves their copies; adapters of LoRA are then
            computed beside them.
    """
    classifier = inner_model(model)
    module = encoder_of(classifier)
    stack = Encoder(module, classifier.config, dtype, merge=True, common=common)
    layers = module.get_submodule(FAMILIES[classifier.config.model_type].layers)
    found: Any = on_same_memory(classifier, {layers: nn.Identity()})
    setattr(found, found.base_model_prefix, PackedEncoder(encoder_of(found), stack))
    return found.eval()


def _encode(
    encoder: Any, stack: Encoder, input_ids: torch.Tensor, layout: Layout, token_type_ids: torch.Tensor | None
) -> BaseModelOutputWithPooling:
    """Return an encoder's output for a packed batch, in the class of transformers' encoders."""
    hidden = stack(embed(encoder, input_ids, layout, token_type_ids), layout, training=encoder.training)[:, None]
    pooler = getattr(encoder, "pooler", None)
    return BaseModelOutputWithPooling(hidden, None if pooler is None else pooler(hidden))

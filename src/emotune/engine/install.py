"""Put the fast path into a classifier: the encoder's forward takes packed batches, everything around it stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from emotune.engine import int8
from emotune.engine.dropout import MaskPool, PooledDropout
from emotune.engine.encoder import Encoder
from emotune.engine.layers import why_not
from emotune.engine.layout import Layout
from emotune.models.families import encoder as encoder_of
from emotune.system.locks import lock_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def embed(encoder: nn.Module, input_ids: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Embeddings of a packed batch, shape (tokens, hidden)."""
    positions = layout.positions
    embeddings: Any = encoder.embeddings
    # RoBERTa and its kin count positions from after the padding id, and leave out padding that was written into a text.
    padding = embeddings.position_embeddings.padding_idx
    if padding is not None:
        real = input_ids.ne(padding).long()
        counted = real.cumsum(0)
        positions = (counted - (counted - real)[layout.first][layout.text]) * real + padding
    return embeddings(input_ids=input_ids[None], position_ids=positions[None])[0]


def inner_model(model: nn.Module) -> PreTrainedModel:
    """The transformers model, without PEFT's wrapper."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]


def use_pooled_dropout(model: nn.Module, pools: dict[float, MaskPool]) -> None:
    """Put `PooledDropout` in place of every `nn.Dropout` of a model, with its rate and mode.

    Args:
        model: The model.
        pools: Pools by rate; those missing are made.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                replacement = PooledDropout(pools.setdefault(child.p, MaskPool(child.p)))
                replacement.train(child.training)
                setattr(parent, name, replacement)


def install(
    model: nn.Module,
    dtype: torch.dtype,
    *,
    pools: dict[float, MaskPool] | None = None,
    share: bool = False,
    merge: bool = False,
) -> str | None:
    """Let a classifier's encoder take packed batches, by the keyword `lengths`; other batches go the way they went.

    The model must be on its device already: the fast path keeps weights of its own.

    Args:
        model: The sequence classifier, or PEFT's model around it.
        dtype: What products are computed in.
        pools: Dropout masks by rate.
        share: Let the model's frozen weights be views of the fast path's.
        merge: Add adapters to the weights: for prediction, with the weights as they are now.

    Returns:
        None, or the reason in words why the fast path does not cover this model, which is then left as it was.
    """
    classifier = inner_model(model)
    module = encoder_of(classifier)
    reason = why_not(classifier, module)
    if reason is None and getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        reason = "trained vectors stand before its texts"
    if reason is None and dtype == torch.int8 and not int8.available():
        reason = f"PyTorch {torch.__version__} has no int8 products"
    if reason is not None:
        return reason
    stack = Encoder(module, classifier.config, dtype, pools=pools, share=share, merge=merge)
    plain = type(module).forward

    def forward(self: Any, input_ids: torch.Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
        lengths = kwargs.pop("lengths", None)
        if lengths is None or input_ids is None:
            return plain(self, input_ids, *args, **kwargs)
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        layout = Layout.of(lengths, input_ids.device)
        hidden = stack(embed(self, input_ids, layout), layout, training=self.training)[:, None]
        pooler = getattr(self, "pooler", None)
        return BaseModelOutputWithPooling(hidden, None if pooler is None else pooler(hidden))

    module.forward = MethodType(forward, module)
    return None


@contextmanager
def installed(model: nn.Module, dtype: torch.dtype | None = None) -> Iterator[str | None]:
    """The fast path for prediction, for the time of a `with` block, adapters added to the weights; nested, the outer one stays.

    Other threads that want it of the same model wait until the block ends.

    Args:
        model: The sequence classifier, or PEFT's model around it.
        dtype: What products are computed in, int8 among them; None for the weights' own.

    Yields:
        None, or the reason why the fast path does not cover this model.
    """
    classifier = inner_model(model)
    module = encoder_of(classifier)
    with lock_of(module):
        if "forward" in vars(module):
            yield None
            return
        reason = install(model, dtype or next(module.parameters()).dtype, merge=True)
        try:
            yield reason
        finally:
            vars(module).pop("forward", None)

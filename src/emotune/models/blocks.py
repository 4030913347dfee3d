"""Where the two blocks of an encoder's layers end, attention and feed-forward, by architecture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emotune.errors import MethodError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class BlockOutputs:
    """The linear layers that end the blocks: what they give goes into dropout, residual and normalization.

    Attributes:
        attention: Full names of the attention blocks' output projections, from the first layer to the last.
        feed_forward: Those of the feed-forward blocks.
    """

    attention: tuple[str, ...]
    feed_forward: tuple[str, ...]


# Of each architecture: a pattern for the name of a layer within the encoder, and the names of the two within the layer.
_BERT = (r"encoder\.layer\.\d+", "attention.output.dense", "output.dense")
_NAMES = {
    "albert": (r"encoder\.albert_layer_groups\.\d+\.albert_layers\.\d+", "attention.dense", "ffn_output"),
    "bert": _BERT,
    "camembert": _BERT,
    "deberta-v2": _BERT,
    "distilbert": (r"transformer\.layer\.\d+", "attention.out_lin", "ffn.lin2"),
    "electra": _BERT,
    "gpt2": (r"h\.\d+", "attn.c_proj", "mlp.c_proj"),
    "modernbert": (r"layers\.\d+", "attn.Wo", "mlp.Wo"),
    "mpnet": (r"encoder\.layer\.\d+", "attention.attn.o", "output.dense"),
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}


def block_outputs(model: PreTrainedModel) -> BlockOutputs:
    """The output projections of a classifier's blocks.

    Raises:
        MethodError: An architecture whose blocks are not known here.
    """
    from emotune.models.families import encoder_linear_modules

    kind = model.config.model_type
    if kind not in _NAMES:
        raise MethodError(
            f"It is not known here where the blocks of {kind!r} end; those of {', '.join(_NAMES)} are. "
            "Name the layers yourself, by target_modules."
        )
    layer, attention, feed_forward = _NAMES[kind]
    prefix = re.escape(model.base_model_prefix)
    linear = encoder_linear_modules(model)

    def called(name: str) -> tuple[str, ...]:
        pattern = re.compile(rf"{prefix}\.{layer}\.{re.escape(name)}")
        found = tuple(module for module in linear if pattern.fullmatch(module))
        if not found:
            raise MethodError(
                f"This {kind!r} has no layers called '{name}', where its blocks should end: it is built otherwise. "
                "Name the layers yourself, by target_modules."
            )
        return found

    return BlockOutputs(called(attention), called(feed_forward))

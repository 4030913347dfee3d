"""Encoders that the fast path covers, and facts about them beyond the table of families; checked against the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from emotune.engine.folded import is_folded
from emotune.models.families import FAMILIES, ROLES

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Names:
    """Names that the fast path needs of a family beyond those in `emotune.models.families`.

    Attributes:
        attention_norm, output_norm: Modules of a layer.
        attention_dropout: The setting with the rate of dropout on the output of attention; "" for none.
        output_dropout: The setting with the rate on the output of the feed-forward block.
        activation: The setting with the activation's name.
    """

    attention_norm: str
    output_norm: str
    attention_dropout: str
    output_dropout: str
    activation: str


_BERT = Names(
    attention_norm="attention.output.LayerNorm",
    output_norm="output.LayerNorm",
    attention_dropout="hidden_dropout_prob",
    output_dropout="hidden_dropout_prob",
    activation="hidden_act",
)
_DISTILBERT = Names(
    attention_norm="sa_layer_norm",
    output_norm="output_layer_norm",
    attention_dropout="",
    output_dropout="dropout",
    activation="activation",
)
# Encoders with normalization after each block, absolute positions, and a head that reads the first token.
COVERED = {
    "bert": _BERT,
    "camembert": _BERT,
    "distilbert": _DISTILBERT,
    "electra": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}


@dataclass(frozen=True)
class LayerModules:
    """Modules of one layer, some of them with PEFT's layer around them."""

    query: nn.Module
    key: nn.Module
    value: nn.Module
    attended: nn.Module
    attention_norm: nn.Module
    inner: nn.Module
    outer: nn.Module
    output_norm: nn.Module

    @property
    def linear(self) -> tuple[nn.Module, ...]:
        """Linear layers, in the order of the forward pass."""
        return self.query, self.key, self.value, self.attended, self.inner, self.outer


def layer_modules(encoder: nn.Module, model_type: str) -> Iterator[LayerModules]:
    """Yield the layers of an encoder, from the first to the last."""
    family, names = FAMILIES[model_type], COVERED[model_type]
    places = {role: getattr(family, role) for role in ROLES}
    places |= {"attention_norm": names.attention_norm, "output_norm": names.output_norm}
    for layer in encoder.get_submodule(family.layers).children():
        yield LayerModules(**{part: layer.get_submodule(place) for part, place in places.items()})


def why_not(model: PreTrainedModel, encoder: nn.Module) -> str | None:
    """Return the reason why the fast path does not cover a classifier, in words, or None if it does.

    Args:
        model: The sequence classifier, with or without PEFT's layers in it.
        encoder: The encoder inside it.
    """
    config: Any = model.config
    names = COVERED.get(config.model_type)
    if names is None:
        return f"{config.model_type} is not among {', '.join(COVERED)}"
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        return "it is a decoder"
    if getattr(config, names.activation) != "gelu":
        return f"its activation is {getattr(config, names.activation)}, not gelu"
    if hasattr(encoder, "embeddings_project"):
        return "its embeddings are smaller than its layers"
    try:
        layers = list(layer_modules(encoder, config.model_type))
    except AttributeError as error:
        return f"its layers are built differently ({error})"
    for layer in layers:
        for module in layer.linear:
            single = module in (layer.attended, layer.inner, layer.outer)
            if not _is_covered(module, single=single):
                return f"{type(module).__name__} is another kind of layer, or its options are not covered"
        biases = {
            getattr(module, "base_layer", module).bias is None for module in (layer.query, layer.key, layer.value)
        }
        if len(biases) > 1:
            return "query, key and value differ in having a bias"
        for norm in (layer.attention_norm, layer.output_norm):
            if type(norm) is not nn.LayerNorm and not _is_plain_bitfit(norm, nn.LayerNorm):
                return "its normalization is not a layer normalization"
            if getattr(norm, "weight", None) is None or getattr(norm, "bias", None) is None:
                return "its normalization has no weight or no bias"
    return None


def _is_covered(layer: nn.Module, *, single: bool) -> bool:
    """Return whether this is a linear layer, plain or with an adapter that the fast path covers.

    Args:
        layer: The layer.
        single: True if the layer is a separate product, not joined with others, so that an adapter can follow it.
    """
    return (
        type(layer) is nn.Linear
        or (single and _is_plain_bottleneck(layer))
        or _is_plain_bitfit(layer, nn.Linear)
        or _is_plain_lora(layer)
        or is_folded(layer)
    )


def _is_plain_lora(layer: Any) -> bool:
    """Return whether this is standard LoRA on an `nn.Linear`: one active adapter, without dropout, no variant."""
    from peft.tuners.lora import Linear

    return (
        type(layer) is Linear
        and _is_one_on(layer, nn.Linear)
        and not layer.fan_in_fan_out
        and isinstance(layer.lora_dropout["default"], nn.Identity)
        and layer.lora_B["default"].bias is None
        and not getattr(layer, "lora_variant", {}).get("default")
    )


def _is_plain_bitfit(layer: Any, kind: type[nn.Module]) -> bool:
    """Return whether this is BitFit on a layer of the class `kind`: one active adapter, not merged."""
    return hasattr(layer, "emotune_bitfit_delta") and _is_one_on(layer, kind)


def _is_plain_bottleneck(layer: Any) -> bool:
    """Return whether this is a bottleneck adapter on an `nn.Linear`: one active adapter, without dropout."""
    return (
        hasattr(layer, "emotune_bottleneck_down")
        and _is_one_on(layer, nn.Linear)
        and isinstance(layer.emotune_bottleneck_dropout["default"], nn.Identity)
    )


def _is_one_on(layer: Any, kind: type[nn.Module]) -> bool:
    """Return whether PEFT's layer wraps a layer of the class `kind`, with one active adapter, not merged."""
    return (
        type(layer.base_layer) is kind
        and layer.active_adapters == ["default"]
        and not layer.disable_adapters
        and not layer.merged
    )

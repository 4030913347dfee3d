"""Differences between families of encoders: a table of known families, and a guess from the model for others.

Facts that can be read safely from a model (the linear layers, the limit of positions) are read from it, so the table
cannot contradict it. The table holds the others: the roles of layers, the place of a pooler, the token that the head
reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from emotune.system.errors import ConfigError, MethodError, ModelError
from emotune.system.precision import Precision, choose_precision

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

FIRST, LAST, SETTING = "first token", "last token", "first token or mean"


@dataclass(frozen=True)
class Family:
    """Names of the parts of a family of sequence classifiers, and properties of its input.

    Attributes:
        layers: The list of layers, relative to the encoder; "*" stands for any number.
        query, key, value: Linear layers, relative to a layer; the same name if they are fused.
        attended: The linear layer that ends the attention block.
        inner, outer: The linear layers of the feed-forward block; `outer` ends it.
        head: The modules outside the encoder that are new for every set of labels.
        pooler: The full name of the module between the stack of layers and the head; "" for none. Checkpoints hold a
            pooler trained for another task, or none. So it is taken from them if it is there, and trained with the
            head.
        pooling: The input of the head: the first token, the last one that is not padding, or a choice in the settings.
        positions: "absolute"; "after the padding id" for absolute ones that begin there; "relative"; or "rotary".
        token_types: True if published checkpoints distinguish two parts of a text; a text of one part is of type 0.
        padding_side: The side of padding.
        linear: The class of the linear layers; `Conv1D` keeps its weight transposed.
        bfloat16: True if transformers' code for the family computes in bfloat16.
        shared: True if all layers share one layer's weights, which are adapted once and used at every depth.
        known: False for a guess.
    """

    layers: str
    query: str
    key: str
    value: str
    attended: str
    inner: str
    outer: str
    head: tuple[str, ...]
    pooler: str = ""
    pooling: str = FIRST
    positions: str = "absolute"
    token_types: bool = False
    padding_side: str = "right"
    linear: str = "Linear"
    bfloat16: bool = True
    shared: bool = False
    known: bool = True


_BERT = Family(
    layers="encoder.layer",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attended="attention.output.dense",
    inner="intermediate.dense",
    outer="output.dense",
    head=("classifier",),
    pooler="bert.pooler",
    token_types=True,
)
_ROBERTA = replace(_BERT, pooler="", positions="after the padding id", token_types=False)
_DEBERTA = replace(_BERT, pooler="pooler", positions="relative", token_types=False)
FAMILIES: dict[str, Family] = {
    "albert": Family(
        layers="encoder.albert_layer_groups.*.albert_layers",
        query="attention.query",
        key="attention.key",
        value="attention.value",
        attended="attention.dense",
        inner="ffn",
        outer="ffn_output",
        head=("classifier",),
        pooler="albert.pooler",
        token_types=True,
        shared=True,
    ),
    "bert": _BERT,
    "camembert": _ROBERTA,
    "deberta": replace(
        _DEBERTA,
        query="attention.self.in_proj",
        key="attention.self.in_proj",
        value="attention.self.in_proj",
        bfloat16=False,  # it hides padding behind the least number of float32, which bfloat16 does not have
    ),
    "deberta-v2": replace(  # and v3, which has the same type
        _DEBERTA,
        query="attention.self.query_proj",
        key="attention.self.key_proj",
        value="attention.self.value_proj",
    ),
    "distilbert": Family(
        layers="transformer.layer",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attended="attention.out_lin",
        inner="ffn.lin1",
        outer="ffn.lin2",
        head=("pre_classifier", "classifier"),
    ),
    "electra": replace(_BERT, pooler=""),
    "gpt2": Family(
        layers="h",
        query="attn.c_attn",
        key="attn.c_attn",
        value="attn.c_attn",
        attended="attn.c_proj",
        inner="mlp.c_fc",
        outer="mlp.c_proj",
        head=("score",),
        pooling=LAST,
        linear="Conv1D",
    ),
    "modernbert": Family(
        layers="layers",
        query="attn.Wqkv",
        key="attn.Wqkv",
        value="attn.Wqkv",
        attended="attn.Wo",
        inner="mlp.Wi",
        outer="mlp.Wo",
        head=("classifier",),
        pooler="head",
        pooling=SETTING,
        positions="rotary",
    ),
    "mpnet": replace(
        _ROBERTA,
        query="attention.attn.q",
        key="attention.attn.k",
        value="attention.attn.v",
        attended="attention.attn.o",
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}
ROLES = ("query", "key", "value", "attended", "inner", "outer")


def family_of(model: PreTrainedModel) -> Family:
    """Return a classifier's known family, or a guess; in a guess, the name of a layer that was not recognized is "".

    Raises:
        ModelError: The classifier has no encoder separate from its head.
    """
    return FAMILIES.get(model.config.model_type) or _guess(model)


def precision_for(model: PreTrainedModel, asked: str, device: str, *, prediction: bool = False) -> Precision:
    """Return the precision to train a model or predict with it, as `choose_precision` does for any model.

    Raises:
        ConfigError: As `choose_precision`; or bf16, for a family whose code does not compute in it.
    """
    family = FAMILIES.get(model.config.model_type)
    if family is None or family.bfloat16:
        return choose_precision(asked, device, prediction=prediction)
    kind = f"models of type '{model.config.model_type}' overflow in bfloat16"
    if asked == "bf16":
        raise ConfigError(f"The precision 'bf16' is not available: {kind}. Choose 'fp32', or 'auto'.")
    found = choose_precision(asked, device, prediction=prediction)
    return Precision("fp32", kind) if found.name == "bf16" else found


def encoder(model: PreTrainedModel) -> nn.Module:
    """Return the encoder inside a classifier: `bert`, `distilbert`, `roberta`, `transformer` for GPT-2, ...

    Raises:
        ModelError: The classifier has no encoder separate from its head.
    """
    try:
        return model.get_submodule(model.base_model_prefix)
    except AttributeError as error:
        raise ModelError(
            f"{type(model).__name__} does not keep its encoder apart from its head. "
            "Use an encoder such as BERT, DistilBERT, RoBERTa or GPT-2."
        ) from error


def head_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """Return the names of the head's modules: all with parameters outside the encoder, without the pooler.

    For example ("classifier",) for BERT, ("pre_classifier", "classifier") for DistilBERT, ("score",) for GPT-2.
    """
    pooler = pooler_modules(model)
    return tuple(
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and name not in pooler and next(child.parameters(), None) is not None
    )


def pooler_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """Return the full names of the layers between the encoder's stack and the head: BERT's pooler, ModernBERT's `head`.

    Checkpoints hold a pooler trained for another task, or none. It is small, so it is trained in full with the head.
    """
    known = FAMILIES.get(model.config.model_type)
    name = known.pooler if known else ""
    if name and _has(model, name):
        return (name,)
    inside = getattr(encoder(model), "pooler", None)
    return () if inside is None else (f"{model.base_model_prefix}.pooler",)


def encoder_linear_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """Return the full names of the linear layers of the encoder's stack, without pooler and head, in the model's order.

    GPT-2 keeps its linear layers as `Conv1D`, which is a linear layer with the weight transposed.
    """
    return tuple(f"{model.base_model_prefix}.{name}" for name in _linear_names(encoder(model)))


def role_modules(model: PreTrainedModel, *roles: str) -> tuple[str, ...]:
    """Return the full names of the linear layers with any of the roles, in the model's order.

    Args:
        model: A sequence classifier.
        roles: Of `ROLES`: "query", "key", "value", "attended" and "outer" (which end the two blocks), "inner".

    Raises:
        MethodError: The layers with these roles are not known.
    """
    family = family_of(model)
    unknown = [role for role in roles if not getattr(family, role)]
    if unknown:
        raise MethodError(
            f"Which layers of this {model.config.model_type!r} are {' and '.join(unknown)} could not be told from their names. "
            f"Name the layers to adapt with target_modules, or take a model of a known family: {', '.join(FAMILIES)}."
        )
    names = "|".join(dict.fromkeys(re.escape(getattr(family, role)) for role in roles))
    path = re.escape(f"{model.base_model_prefix}.{family.layers}").replace(r"\*", r"\d+")
    pattern = re.compile(rf"{path}\.\d+\.(?:{names})")
    found = tuple(name for name in encoder_linear_modules(model) if pattern.fullmatch(name))
    if not found:
        raise MethodError(
            f"This {model.config.model_type!r} has no layers called {' or '.join(getattr(family, role) for role in roles)}: it is built "
            "differently from others of its family. Name the layers to adapt with target_modules."
        )
    return found


def position_limit(model: PreTrainedModel) -> int | None:
    """Return the number of tokens that the model has positions for, or None if there is no limit.

    RoBERTa and related families number positions from padding id + 1: of 514 positions, 512 hold tokens.
    """
    from torch import nn

    positions = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:
        return None
    for name, module in encoder(model).named_modules():
        if (
            name.endswith("position_embeddings")
            and isinstance(module, nn.Embedding)
            and module.padding_idx is not None
            and module.num_embeddings == positions
        ):
            return positions - module.padding_idx - 1
    return positions


# Patterns of the last part of these layers' names in various architectures.
_CALLED = {
    "query": r"(?:q|query|wq)(?:_?(?:proj|lin))?",
    "key": r"(?:k|key|wk)(?:_?(?:proj|lin))?",
    "value": r"(?:v|value|wv)(?:_?(?:proj|lin))?",
}
_FUSED = r"c_attn|in_proj|query_key_value|w?qkv(?:_?proj)?"


def _guess(model: PreTrainedModel) -> Family:
    """Guess the family of an unknown model from the names and shapes of the first layer's linear modules."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    module = encoder(model)
    lists: dict[str, int] = {}
    for name, child in module.named_modules():
        # An encoder with a decoder has two stacks, whose layers differ.
        if isinstance(child, nn.ModuleList) and not getattr(model.config, "is_encoder_decoder", False):
            lists[name] = sum(isinstance(part, (nn.Linear, Conv1D)) for part in child.modules())
    # Of nested lists with the same number of linear modules, the inner one.
    layers = max(reversed(lists), key=lists.__getitem__, default="")
    found: dict[str, str] = {}
    kind = "Linear"
    if layers and lists[layers]:
        first: Any = module.get_submodule(layers)[0]  # type: ignore[index]
        shapes = {name: _shape(first.get_submodule(name)) for name in _linear_names(first)}
        kind = "Conv1D" if any(isinstance(part, Conv1D) for part in first.modules()) else "Linear"
        found = _guess_roles(shapes, int(model.config.hidden_size))
    return Family(
        layers=re.sub(r"(?<=\.)\d+(?=\.)", "*", layers),
        **{role: found.get(role, "") for role in ROLES},  # type: ignore[arg-type]
        head=head_modules(model),
        pooler=next(iter(pooler_modules(model)), ""),
        pooling="",
        positions="",
        linear=kind,
        known=False,
    )


def _guess_roles(shapes: dict[str, tuple[int, int]], width: int) -> dict[str, str]:
    """Guess the roles of a layer's linear layers from their names and shapes (in, out)."""
    found: dict[str, str] = {}
    for name in shapes:
        last = name.rpartition(".")[2].lower()
        for role, pattern in _CALLED.items():
            if re.fullmatch(pattern, last):
                found.setdefault(role, name)
        if re.fullmatch(_FUSED, last):
            for role in _CALLED:
                found.setdefault(role, name)
    rest = [name for name in shapes if name not in found.values()]
    narrowing = [name for name in rest if shapes[name][0] != width and shapes[name][1] == width]
    widening = [name for name in rest if shapes[name][0] == width and shapes[name][1] != width]
    if narrowing and widening:
        found["inner"], found["outer"] = widening[0], narrowing[-1]
        square = [name for name in rest if shapes[name] == (width, width) and "pos_" not in name]
        if len(square) == 1:
            found["attended"] = square[0]
    return found


def _shape(linear: Any) -> tuple[int, int]:
    """Return the shape of a linear layer as (in, out)."""
    rows, columns = linear.weight.shape
    return (rows, columns) if type(linear).__name__ == "Conv1D" else (columns, rows)


def _linear_names(module: nn.Module) -> tuple[str, ...]:
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    return tuple(
        name
        for name, child in module.named_modules()
        if isinstance(child, (nn.Linear, Conv1D)) and name.partition(".")[0] != "pooler"
    )


def _has(model: nn.Module, name: str) -> bool:
    try:
        model.get_submodule(name)
    except AttributeError:
        return False
    return True

"""What differs between families of encoders: one table of those that are known, and a guess for others, read off the model.

What can be read off a model safely (the linear layers, the limit of positions) is read off it, so that the table cannot contradict it.
The table holds what cannot: which layer is which, where a pooler stands, what the head reads.
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
    """Where a family of sequence classifiers keeps what, and how it reads a text.

    Attributes:
        layers: The list of layers, from the encoder; a star stands for any number.
        query, key, value: Linear layers, from a layer; one and the same where a family has them fused.
        attended: The linear layer that ends the attention block.
        inner, outer: The linear layers of the feed-forward block; `outer` ends it.
        head: The modules beside the encoder that are new for every set of labels.
        pooler: The full name of the module between the stack of layers and the head; "" for none. Checkpoints hold one that was trained for
            another task, or none, so it is taken from them where they have it and trained with the head.
        pooling: What the head reads: the first token, the last one that is not padding, or as the model's settings say.
        positions: "absolute"; "after the padding id" for absolute ones that begin there; "relative"; or "rotary".
        token_types: Whether the published checkpoints tell two parts of a text apart; a text of one part is of type 0.
        padding_side: Where padding stands.
        linear: The class of the linear layers; `Conv1D` keeps its weight transposed.
        bfloat16: Whether transformers' code for the family computes in bfloat16.
        shared: Whether all layers are one layer's weights, which is adapted once and serves at every depth.
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
    """What is known of a classifier's family, or a guess, in which a layer that could not be told apart is called "".

    Raises:
        ModelError: The classifier has no encoder that stands apart from its head.
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
    """The encoder inside a classifier: `bert`, `distilbert`, `roberta`, `transformer` for GPT-2, ...

    Raises:
        ModelError: The classifier has no encoder that stands apart from its head.
    """
    try:
        return model.get_submodule(model.base_model_prefix)
    except AttributeError as error:
        raise ModelError(
            f"{type(model).__name__} does not keep its encoder apart from its head. "
            "Use an encoder such as BERT, DistilBERT, RoBERTa or GPT-2."
        ) from error


def head_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """Names of the modules that make up the classification head: all with parameters beside the encoder, pooler aside.

    For example ("classifier",) for BERT, ("pre_classifier", "classifier") for DistilBERT, ("score",) for GPT-2.
    """
    pooler = pooler_modules(model)
    return tuple(
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and name not in pooler and next(child.parameters(), None) is not None
    )


def pooler_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """Full names of the layers between the encoder's stack and the head: BERT's pooler, ModernBERT's `head`.

    Checkpoints hold a pooler trained for another task, or none. It is small, so it is trained in full with the head.
    """
    known = FAMILIES.get(model.config.model_type)
    name = known.pooler if known else ""
    if name and _has(model, name):
        return (name,)
    inside = getattr(encoder(model), "pooler", None)
    return () if inside is None else (f"{model.base_model_prefix}.pooler",)


def encoder_linear_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """Full names of the linear layers of the encoder's stack, in the order of the model: neither pooler nor head.

    GPT-2 keeps its linear layers as `Conv1D`, which is a linear layer with the weight transposed.
    """
    return tuple(f"{model.base_model_prefix}.{name}" for name in _linear_names(encoder(model)))


def role_modules(model: PreTrainedModel, *roles: str) -> tuple[str, ...]:
    """Full names of the linear layers that play any of the roles, in the order of the model.

    Args:
        model: A sequence classifier.
        roles: Of `ROLES`: "query", "key", "value", "attended" and "outer" (which end the two blocks of a layer), "inner".

    Raises:
        MethodError: It is not known which layers these are.
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
            "otherwise than others of its family. Name the layers to adapt with target_modules."
        )
    return found


def position_limit(model: PreTrainedModel) -> int | None:
    """The longest text in tokens that the model has positions for, or None where nothing limits it.

    RoBERTa and its kin count positions from after the padding id: of 514 positions, 512 hold tokens.
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


# What architectures call these layers, by the last part of their names.
_CALLED = {
    "query": r"(?:q|query|wq)(?:_?(?:proj|lin))?",
    "key": r"(?:k|key|wk)(?:_?(?:proj|lin))?",
    "value": r"(?:v|value|wv)(?:_?(?:proj|lin))?",
}
_FUSED = r"c_attn|in_proj|query_key_value|w?qkv(?:_?proj)?"


def _guess(model: PreTrainedModel) -> Family:
    """A family of which nothing is known, told from the names and shapes of the first layer's linear modules."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    module = encoder(model)
    lists: dict[str, int] = {}
    for name, child in module.named_modules():
        # An encoder with a decoder has two stacks, whose layers differ.
        if isinstance(child, nn.ModuleList) and not getattr(model.config, "is_encoder_decoder", False):
            lists[name] = sum(isinstance(part, (nn.Linear, Conv1D)) for part in child.modules())
    # Of lists within each other that hold the same, the inner one.
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
    """Which linear layer of a layer is which, from names and shapes (in, out)."""
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
    """Numbers that go in and out."""
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

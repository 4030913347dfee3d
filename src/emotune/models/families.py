"""What differs between families of encoders, read off the model itself, so that a new family needs no new entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.errors import ModelError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


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
    """Names of the modules that make up the classification head: all with parameters that stand beside the encoder.

    For example ("classifier",) for BERT, ("pre_classifier", "classifier") for DistilBERT, ("score",) for GPT-2.
    """
    return tuple(
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and next(child.parameters(), None) is not None
    )


def pooler_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """Full names of the layers between the encoder's stack and the head that stand inside the encoder: BERT's pooler.

    Checkpoints hold a pooler trained for another task, or none. It is small, so it is trained in full with the head.
    """
    pooler = getattr(encoder(model), "pooler", None)
    return () if pooler is None else (f"{model.base_model_prefix}.pooler",)


def encoder_linear_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """Full names of the linear layers of the encoder's stack, in the order of the model: neither pooler nor head.

    GPT-2 keeps its linear layers as `Conv1D`, which is a linear layer with the weight transposed.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    return tuple(
        f"{model.base_model_prefix}.{name}"
        for name, module in encoder(model).named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and name.partition(".")[0] != "pooler"
    )


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

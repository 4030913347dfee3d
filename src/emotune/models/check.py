"""Checks that a classifier handles padding correctly, which confirm the guess about an unknown architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.models.classifier import Classifier
from emotune.models.encoding import Encoded, encode
from emotune.models.families import encoder_linear_modules, family_of, head_modules, pooler_modules
from emotune.models.targets import summarize_targets
from emotune.system.errors import ModelError
from emotune.system.text import reason_of

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel


# Two texts of different lengths; their content does not matter.
PROBES = ("ok", "They charged me twice, put me on hold for an hour and then, of all things, asked how happy I was.")
_REMEDY = "Use a model of a known family, such as BERT, DistilBERT, RoBERTa or GPT-2."
# Shares of the largest logit. In float32, padding changes about a millionth; reading the wrong token changes most of
# it.
TOLERANCE = 1e-3
ROUGH_TOLERANCE = 5e-2  # for products of fewer bits


def check_base(classifier: Classifier) -> list[str]:
    """Check a base model of any family, and describe what was guessed about it.

    Args:
        classifier: The base model.

    Returns:
        Lines to print; none for a known family.

    Raises:
        ModelError: There is no head, no linear layer in the encoder or no padding token; a forward pass fails; or
            padding changes the logits.
    """
    model = classifier.model
    family = family_of(model)
    kind = model.config.model_type
    linear = encoder_linear_modules(model)
    if not head_modules(model):
        raise ModelError(
            f"{type(model).__name__} has no classification head outside its encoder, so it cannot be trained for labels."
        )
    if not linear:
        raise ModelError(
            f"The encoder of {type(model).__name__} has no linear layers that could be adapted. Use an encoder such as BERT."
        )
    check_padding(classifier)
    try:
        difference = padding_difference(model, probes(classifier))
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise ModelError(
            f"{type(model).__name__} could not be run on two short texts: {reason_of(error)}. {_REMEDY}"
        ) from error
    if difference > tolerance(model):
        raise ModelError(
            f"Padding to the right changes the logits of {kind!r} by {difference:.0%} of their size: its layers or its head read it, or "
            f"it was trained with padding to the left.\n{_REMEDY}"
        )
    if family.known:
        return []
    pooler = f", pooler {family.pooler}" if family.pooler else ""
    return [
        f"{kind!r} is not a family that emotune knows. Guessed from the model: head {', '.join(family.head)}{pooler}, linear layers "
        f"{summarize_targets(linear)}. A pass with and without padding gives the same logits"
    ]


def check_padding(classifier: Classifier) -> None:
    """Check that model and tokenizer have the same padding token.

    Raises:
        ModelError: There is no padding token, or the two differ.
    """
    token, configured = classifier.tokenizer.pad_token_id, classifier.model.config.pad_token_id
    if token is None:
        raise ModelError(
            f"The tokenizer of '{classifier.name}' has no padding token. Load the model with load_base, which sets one, or set "
            "tokenizer.pad_token and model.config.pad_token_id yourself."
        )
    if token != configured:
        raise ModelError(
            f"The tokenizer of '{classifier.name}' pads with token {token}, its model takes {configured} for padding. "
            "Set model.config.pad_token_id = tokenizer.pad_token_id."
        )


def probes(classifier: Classifier) -> Encoded:
    """Return the token ids of the probes."""
    return encode(classifier.tokenizer, PROBES, classifier.max_length)


def padding_difference(model: nn.Module, texts: Encoded) -> float:
    """Return the effect of padding on the logits of two texts, as a share of the largest logit.

    It compares the logits of each text alone with those of both in one padded batch.

    It reveals wrong padding or pooling of any cause. It draws no random numbers, and leaves the model's mode unchanged.

    Args:
        model: A sequence classifier, with or without adapters.
        texts: Two texts of different lengths.
    """
    import torch

    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            together = logits(model, texts, [0, 1])
            alone = torch.cat([logits(model, texts, [0]), logits(model, texts, [1])])
    finally:
        model.train(was_training)
    return float((together - alone).abs().max() / alone.abs().max().clamp_min(1e-12))


def tolerance(model: nn.Module) -> float:
    """Return the largest `padding_difference` that passes."""
    import torch

    exact = all(parameter.dtype == torch.float32 for parameter in model.parameters())
    return TOLERANCE if exact else ROUGH_TOLERANCE


def logits(model: nn.Module, texts: Encoded, rows: list[int]) -> torch.Tensor:
    """Return the logits of padded rows by the model's own forward, shape (rows, classes), in float32."""
    device = next(model.parameters()).device
    found: torch.Tensor = model(**{name: tensor.to(device) for name, tensor in texts.batch(rows).items()}).logits
    return found.float()


def new_parameters(model: PreTrainedModel) -> tuple[str, ...]:
    """Return the full names of the parameters of head and pooler, all of which must be trained."""
    modules = tuple(f"{module}." for module in (*pooler_modules(model), *head_modules(model)))
    return tuple(name for name, _ in model.named_parameters() if name.startswith(modules))

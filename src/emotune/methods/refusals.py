"""Pairs of method and family that are refused before training, with reasons: they would fail or mislead later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.methods.base import Method
from emotune.models.families import encoder
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


_NO_PAST = "its layers in transformers take no keys and values from outside, which the prefixes are"
# By the method's name and the model's type.
REFUSED: dict[tuple[str, str], str] = {
    **{
        ("prefix", family): _NO_PAST
        for family in ("albert", "deberta", "deberta-v2", "distilbert", "modernbert", "mpnet")
    },
    (
        "prompt",
        "gpt2",
    ): "it finds the last token of a text by its token ids, which a prompt of vectors hides, so padding would be classified",
    (
        "bitfit",
        "deberta",
    ): "its attention has biases of its own kind, which are added elsewhere than at the end of a layer",
    (
        "qlora",
        "gpt2",
    ): "bitsandbytes keeps linear layers in four bits, and these are Conv1D, whose weights are transposed",
    ("bitfit", "modernbert"): "its encoder has no biases to train",
}


def refusal(method: str, model: PreTrainedModel) -> str | None:
    """Return the reason why a method cannot train a model, in words, or None where no reason is known.

    Args:
        method: The method's name.
        model: A sequence classifier.
    """
    known = REFUSED.get((method, model.config.model_type))
    if known is None and method == "prefix" and not _takes_keys_and_values(model):
        return _NO_PAST
    return known


def _takes_keys_and_values(model: PreTrainedModel) -> bool:
    import inspect

    return any("past_key_values" in inspect.signature(part.forward).parameters for part in (model, encoder(model)))


def check_refusal(method: Method, model: PreTrainedModel) -> None:
    """Check that a method can train a model, as far as known.

    Raises:
        MethodError: The method cannot train the model; the message gives the reason and an alternative. Or a library
            that the method needs is not installed.
    """
    method.check_installed()
    reason = refusal(method.name, model)
    if reason is not None:
        raise MethodError(
            f"{method.title} cannot train a {model.config.model_type!r} model: {reason}. Use another method, such as lora."
        )

"""Which method cannot train which family, and why: refused before anything is computed, instead of failing or misleading later."""

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
    """Why a method cannot train a model, in words; None where nothing is known against it.

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
    """Refuse what is known not to work.

    Raises:
        MethodError: With the reason, and what takes its place; or a library that the method needs is not installed.
    """
    method.check_installed()
    reason = refusal(method.name, model)
    if reason is not None:
        raise MethodError(
            f"{method.title} cannot train a {model.config.model_type!r} model: {reason}. Use another method, such as lora."
        )

"""The captured graph of a classifier, from which models of ONNX and OpenVINO are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emotune.system.errors import ModelError
from emotune.system.outside import translated

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from transformers import PreTrainedModel

    from emotune.models.classifier import Classifier

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"
_TYPES = "token_type_ids"
# Rows and tokens of the example; neither number is kept in the graph.
_ROWS, _TOKENS = 2, 8


def inputs_of(classifier: Classifier) -> tuple[str, ...]:
    """Return the names of what the exported model takes: ids and mask, and the types of tokens where pairs have them."""
    types = classifier.pairs and _TYPES in classifier.tokenizer.model_input_names
    return (*INPUTS, *([_TYPES] if types else []))


def captured(model: PreTrainedModel, inputs: Sequence[str] = INPUTS, *, advice: str = "") -> ExportedProgram:
    """Capture a plain classifier as a graph from its inputs to logits, for any number of rows and tokens.

    The last layer of the graph computes first tokens only, where the head reads no others and the fast path covers the
    model.

    Args:
        model: A plain transformers classifier, in float32 and evaluation mode.
        inputs: The result of `inputs_of`.
        advice: What to do instead if it cannot be captured, for the message.

    Raises:
        ModelError: PyTorch cannot capture it.
    """
    import torch
    from torch.export import Dim

    from emotune.engine.first_token import for_first_tokens  # imports torch

    class Logits(torch.nn.Module):
        """The classifier, with its logits as the only output."""

        def __init__(self) -> None:
            super().__init__()
            self.classifier = for_first_tokens(model)

        def forward(self, *values: torch.Tensor) -> Any:
            """Return the logits, shape (rows, classes)."""
            return self.classifier(**dict(zip(inputs, values, strict=True))).logits

    # Ordinary tokens: those at the beginning of a vocabulary may be padding, which GPT-2's head looks for.
    ids = torch.arange(_ROWS * _TOKENS).reshape(_ROWS, _TOKENS) + min(50, model.config.vocab_size - _ROWS * _TOKENS - 1)
    # Mask and types are of ones, each a tensor of its own: PyTorch takes one tensor given twice for one input.
    values = (ids, *(torch.ones_like(ids) for _ in inputs[1:]))
    free = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    with translated(
        lambda reason: ModelError(
            f"A model of type '{model.config.model_type}' cannot be captured as a graph by PyTorch {torch.__version__}: "
            f"{reason}.\n{advice}"
        )
    ):
        return torch.export.export(
            Logits().eval(), values, dynamic_shapes={"values": (free,) * len(values)}, strict=False
        )

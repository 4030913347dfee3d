"""The captured graph of a classifier, from which ONNX and OpenVINO are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emotune.system.errors import ModelError
from emotune.system.outside import translated

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from transformers import PreTrainedModel

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"
# Rows and tokens of the example; neither number is kept in the graph.
_ROWS, _TOKENS = 2, 8


def captured(model: PreTrainedModel) -> ExportedProgram:
    """Capture a plain classifier as a graph from token ids and mask to logits, for any number of rows and tokens.

    Args:
        model: A plain transformers classifier, in float32 and evaluation mode.

    Raises:
        ModelError: PyTorch cannot capture it.
    """
    import torch
    from torch.export import Dim

    class Logits(torch.nn.Module):
        """The classifier, with its logits as the only output."""

        def __init__(self) -> None:
            super().__init__()
            self.classifier = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            """Return the logits, shape (rows, classes)."""
            return self.classifier(input_ids=input_ids, attention_mask=attention_mask).logits

    # Ordinary tokens: those at the beginning of a vocabulary may be padding, which GPT-2's head looks for.
    ids = torch.arange(_ROWS * _TOKENS).reshape(_ROWS, _TOKENS) + min(50, model.config.vocab_size - _ROWS * _TOKENS - 1)
    free = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    with translated(
        lambda reason: ModelError(
            f"A model of type '{model.config.model_type}' cannot be captured as a graph by PyTorch {torch.__version__}: "
            f"{reason}.\nExport it with --to merged, which needs no graph."
        )
    ):
        return torch.export.export(
            Logits().eval(), (ids, torch.ones_like(ids)), dynamic_shapes=dict.fromkeys(INPUTS, free), strict=False
        )

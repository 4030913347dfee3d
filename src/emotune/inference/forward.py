"""Logits of many texts: the only module that runs a model for prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emotune.models.encoding import WINDOWS, Encoded, batches_by_length, pooled
from emotune.models.sharing import on_same_memory
from emotune.system.memory import keep_freed_memory, return_freed_memory
from emotune.system.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

    from emotune.engine.linear import CommonWeights

# 2,048 tokens keep two cores busy and the activations of a layer in their caches (benchmarks/LOG.md).
MAX_TOKENS = 2048
# Batches differ in size, so that freed memory is kept in pieces, a few hundred megabytes after many (benchmarks/LOG.md).
_BATCHES_PER_RETURN = 16


class Engine(Protocol):
    """Object that computes logits, for any number of calls by any number of threads at once."""

    def logits(
        self, encoded: Encoded, *, progress: Progress = SILENT, description: str = "predicting"
    ) -> NDArray[np.float32]:
        """Return the logits of every text, shape (texts, classes), in the order given.

        Args:
            encoded: The texts' token ids.
            progress: Front end that shows a bar.
            description: The bar's text.
        """


class TorchEngine:
    """Model ready for prediction: on the fast path, with adapters merged, if that covers it.

    The given model is left unchanged, including its mode. Later changes of its weights, device or mode have no effect
    here. Weights that need no conversion share the model's memory, so they must not be changed in place.

    Args:
        model: A sequence classifier.
        dtype: Data type of matrix products: bfloat16, or None for the weights' own, which is the reference.
        fast: Use the fast path if it covers the model; else run the modules of transformers and PEFT.
        common: Matrices that several engines on one base share; None for matrices of its own, adapters merged.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        dtype: torch.dtype | None = None,
        *,
        fast: bool = True,
        common: CommonWeights | None = None,
    ) -> None:
        from emotune.engine.install import packed, why_not_installed  # imports torch

        keep_freed_memory()
        products = dtype or next(model.parameters()).dtype
        self._dtype = dtype
        self._packed = fast and why_not_installed(model) is None
        self._model = packed(model, products, common) if self._packed else on_same_memory(model).eval()

    def logits(
        self,
        encoded: Encoded,
        *,
        max_tokens: int = MAX_TOKENS,
        progress: Progress = SILENT,
        description: str = "predicting",
    ) -> NDArray[np.float32]:
        """Return the logits of every text, as `Engine.logits`.

        Args:
            encoded: The texts' token ids.
            max_tokens: Tokens per batch, padding included.
            progress: Front end that shows a bar.
            description: The bar's text.
        """
        return run_batches(
            self._model,
            encoded,
            packed=self._packed,
            dtype=self._dtype,
            max_tokens=max_tokens,
            progress=progress,
            description=description,
        )


def compute_logits(
    model: torch.nn.Module,
    encoded: Encoded,
    *,
    dtype: torch.dtype | None = None,
    max_tokens: int = MAX_TOKENS,
    fast: bool = True,
    progress: Progress = SILENT,
    description: str = "predicting",
) -> NDArray[np.float32]:
    """Return the logits of every text, in the order given, without gradients or dropout, by an engine for this call.

    Args:
        model: A sequence classifier, which is left unchanged.
        encoded: The texts' token ids.
        dtype: As for `TorchEngine`.
        max_tokens: Tokens per batch, padding included.
        fast: As for `TorchEngine`.
        progress: Front end that shows a bar.
        description: The bar's text.

    Returns:
        Shape (texts, classes).
    """
    engine = TorchEngine(model, dtype, fast=fast)
    return engine.logits(encoded, max_tokens=max_tokens, progress=progress, description=description)


def run_batches(
    model: Any,
    encoded: Encoded,
    *,
    packed: bool,
    dtype: torch.dtype | None = None,
    max_tokens: int = MAX_TOKENS,
    progress: Progress = SILENT,
    description: str = "predicting",
) -> NDArray[np.float32]:
    """Return the logits of every text, in the order given, from a model in evaluation mode.

    Args:
        model: The sequence classifier.
        encoded: The texts' token ids.
        packed: True if the model takes packed batches.
        dtype: bfloat16 to turn autocast on; any other value leaves it off.
        max_tokens: Tokens per batch, padding included.
        progress: Front end that shows a bar.
        description: The bar's text.

    Returns:
        Shape (texts, classes).
    """
    import torch

    device = next(model.parameters()).device
    cut = encoded.packed if packed else encoded.batch
    outputs: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
    with (
        torch.inference_mode(),
        torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16),
        progress.bar(description, len(encoded)) as advance,
    ):
        for rows in batches_by_length(encoded.lengths, max_tokens):
            batch = {
                name: value.to(device) if isinstance(value, torch.Tensor) else value
                for name, value in cut(rows).items()
            }
            windows: Any = batch.pop(WINDOWS, None)
            outputs.append((rows, pooled(model(**batch).logits.float(), windows).cpu().numpy()))
            if len(outputs) % _BATCHES_PER_RETURN == 0:
                return_freed_memory()
            advance(len(rows))
    result = np.empty((len(encoded), outputs[0][1].shape[1]), dtype=np.float32)
    for rows, logits in outputs:
        result[rows] = logits
    return result

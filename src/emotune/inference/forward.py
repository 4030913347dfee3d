"""Logits of many texts: the one place where a model is run for prediction."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotune.models.encoding import Encoded, batches_by_length
from emotune.system.errors import ConfigError
from emotune.system.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

# 2,048 tokens keep two cores busy and the activations of a layer in their caches (benchmarks/LOG.md).
MAX_TOKENS = 2048


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
    """Logits of every text, in the order given, without gradients and without dropout.

    Args:
        model: A sequence classifier; its mode (training or evaluation) is as before afterwards.
        encoded: The texts' token ids.
        dtype: What matrix products are computed in: bfloat16, int8, or None for the weights' own, which is the reference.
        max_tokens: Tokens per batch, padding counted.
        fast: Take the fast path where it covers the model; else run the model as transformers and PEFT wrote it.
        progress: Shows a bar.
        description: The bar's text.

    Returns:
        Shape (texts, classes).

    Raises:
        ConfigError: int8 for a model that the fast path does not cover.
    """
    import torch

    from emotune.engine.install import installed
    from emotune.system.memory import keep_freed_memory

    keep_freed_memory()
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    outputs: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
    try:
        with (
            torch.inference_mode(),
            installed(model, dtype) if fast else nullcontext("it was not asked for") as reason,
            progress.bar(description, len(encoded)) as advance,
        ):
            if reason is not None and dtype == torch.int8:
                raise ConfigError(f"int8 is not available for this model: {reason}. Use bf16 or fp32.")
            cut = encoded.packed if reason is None else encoded.batch
            for rows in batches_by_length(encoded.lengths, max_tokens):
                batch = {
                    name: value.to(device) if isinstance(value, torch.Tensor) else value
                    for name, value in cut(rows).items()
                }
                with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                    logits = model(**batch).logits
                outputs.append((rows, logits.float().cpu().numpy()))
                advance(len(rows))
    finally:
        model.train(was_training)
    result = np.empty((len(encoded), outputs[0][1].shape[1]), dtype=np.float32)
    for rows, logits in outputs:
        result[rows] = logits
    return result

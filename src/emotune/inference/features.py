"""Features of a text from the layers of an encoder: the mean of each layer's hidden states over the text's tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emotune.inference.forward import MAX_TOKENS
from emotune.models.classifier import Classifier
from emotune.models.encoding import WINDOWS, Encoded, batches_by_length, encode, pooled
from emotune.models.families import encoder as encoder_of
from emotune.system.memory import keep_freed_memory
from emotune.system.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch


def layer_features(
    base: Classifier,
    texts: Sequence[str] | Encoded,
    *,
    dtype: torch.dtype | None = None,
    layers: Sequence[int] | None = None,
    max_tokens: int = MAX_TOKENS,
    fast: bool = True,
    progress: Progress = SILENT,
    description: str = "features",
) -> NDArray[np.float32]:
    """Return the mean of each layer's hidden states over a text's tokens, with special tokens and without padding.

    Hidden states are those of transformers with `output_hidden_states=True`: state 0 is the output of the embeddings,
    state i that of layer i. A model without such states, or with states of several shapes, has only one feature vector,
    its last.

    Args:
        base: The model. Its head is not used, and its mode (training or evaluation) is restored.
        texts: The texts, or their token ids.
        dtype: Data type of matrix products; None for the weights' own, the arithmetic in which models are scored.
        layers: Numbers of the states, in ascending order, from 0; None for all. The fast path computes no layer above
            the last of them.
        max_tokens: Tokens per batch, padding included.
        fast: Use the fast path if it covers the model.
        progress: Front end that shows a bar.
        description: The bar's text.

    Returns:
        Shape (states, texts, hidden size): one state more than layers, or those of `layers`. A text's states are
        adjacent in memory, so that `side_by_side` makes no copy.

    Raises:
        ValueError: There are no texts, or `layers` names a state that the model does not have.
    """
    import torch

    if not len(texts):
        raise ValueError("there are no texts to compute features of")
    encoded = texts if isinstance(texts, Encoded) else encode(base.tokenizer, texts, base.max_length, base.windows)
    keep_freed_memory()
    from emotune.engine.install import inner_model  # imports torch

    encoder = encoder_of(inner_model(base.model))
    was_training = encoder.training
    encoder.eval()
    features: NDArray[np.float32] | None = None
    try:
        with torch.inference_mode(), progress.bar(description, len(encoded)) as advance:
            means = (_packed_means(base, encoder, dtype, layers) if fast else None) or _padded_means(
                encoder, dtype, layers
            )
            for rows in batches_by_length(encoded.lengths, max_tokens):
                windows = None if encoded.windows is None else [encoded.windows[row] for row in rows]
                found = pooled(means(encoded, rows).transpose(0, 1), windows).transpose(0, 1).cpu().numpy()
                if features is None:
                    states, _, hidden = found.shape
                    features = np.empty((len(encoded), states, hidden), dtype=np.float32).swapaxes(0, 1)
                features[:, rows] = found
                advance(len(rows))
    finally:
        encoder.train(was_training)
    assert features is not None  # there is at least one batch
    return features


_Means = Callable[[Encoded, NDArray[np.int64]], "torch.Tensor"]


def _packed_means(
    base: Classifier, encoder: Any, dtype: torch.dtype | None, layers: Sequence[int] | None
) -> _Means | None:
    """Return the fast path's function for the means of a batch, shape (states, rows, hidden); None if not covered."""
    import torch

    from emotune.engine.encoder import Encoder
    from emotune.engine.install import embed, inner_model
    from emotune.engine.layers import why_not
    from emotune.engine.layout import Layout

    model = inner_model(base.model)
    if why_not(model, encoder) is not None:
        return None
    first = next(encoder.parameters())
    stack = Encoder(encoder, model.config, dtype or first.dtype, first_only=False, merge=True)
    wanted = _checked(layers, len(stack.layers) + 1)

    def means(encoded: Encoded, rows: NDArray[np.int64]) -> torch.Tensor:
        batch = encoded.packed(rows)
        layout = Layout.of(batch["lengths"], first.device)
        lengths = layout.lengths[:, None]

        def mean(hidden: torch.Tensor) -> torch.Tensor:
            sums = torch.zeros(len(lengths), hidden.shape[1], device=hidden.device)
            return sums.index_add_(0, layout.text, hidden.float()) / lengths

        types = batch.get("token_type_ids")
        types = None if types is None else types.to(first.device)
        embeddings = embed(encoder, batch["input_ids"].to(first.device), layout, types)
        return torch.stack(stack.states(embeddings, layout, mean, wanted))

    return means


def _padded_means(encoder: Any, dtype: torch.dtype | None, layers: Sequence[int] | None) -> _Means:
    """Return the function that computes the means of a batch with transformers, shape (states, rows, hidden)."""
    import torch

    device = next(encoder.parameters()).device

    def means(encoded: Encoded, rows: NDArray[np.int64]) -> torch.Tensor:
        batch = {name: tensor.to(device) for name, tensor in encoded.batch(rows).items() if name != WINDOWS}
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            outputs = encoder(**batch, output_hidden_states=True)
        last = outputs.last_hidden_state
        states = getattr(outputs, "hidden_states", None) or (last,)
        if any(state.shape != last.shape for state in states):
            states = (last,)
        mask = batch["attention_mask"].unsqueeze(-1).float()
        return torch.stack([(states[i].float() * mask).sum(1) / mask.sum(1) for i in _checked(layers, len(states))])

    return means


def _checked(layers: Sequence[int] | None, states: int) -> list[int]:
    if layers is None:
        return list(range(states))
    if not layers or list(layers) != sorted(set(layers)) or not 0 <= layers[0] <= layers[-1] < states:
        raise ValueError(
            f"layers is {list(layers)}; the model has states 0 to {states - 1}, to be named in ascending order"
        )
    return list(layers)

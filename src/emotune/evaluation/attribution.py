"""Weights of words in predictions: integrated gradients (M. Sundararajan, A. Taly, Q. Yan, ICML 2017), with captum."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.models.classifier import Classifier
from emotune.system.pairs import TextPair, sides_of
from emotune.system.progress import SILENT, Progress

# Steps from the empty text to the text; with this number, weights of words are accurate to a percent or two.
STEPS = 24


@dataclass(frozen=True)
class Words:
    """The words of a text and their weights for a label.

    Attributes:
        pieces: The text between white space, in order.
        weights: One per piece, relative to the largest, from 0 to 1; 0 for those that count against the label.
        gaps: The white space before each piece; () if there is a single space between any two.
    """

    pieces: tuple[str, ...]
    weights: tuple[float, ...]
    gaps: tuple[str, ...] = ()


def explain(
    classifier: Classifier, texts: Sequence[str], label_ids: Sequence[int], *, progress: Progress = SILENT
) -> list[Words] | None:
    """Compute the weight of each word of each text for a label.

    Gradients are those of the model as written in transformers and PEFT, in float32.

    Args:
        classifier: The classifier.
        texts: The texts.
        label_ids: The label to explain, one per text.
        progress: Show a progress bar.

    Returns:
        One entry per text; None if the tokenizer has no padding, or does not say to which word a token belongs.
    """
    import torch
    from captum.attr import LayerIntegratedGradients

    tokenizer, model = classifier.tokenizer, classifier.model
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        return None
    device = next(model.parameters()).device

    def logits(input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None) -> Any:
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids.expand(len(input_ids), -1)}
        return model(input_ids=input_ids, attention_mask=attention_mask, **types).logits

    method = LayerIntegratedGradients(logits, model.get_input_embeddings())
    was_training = model.training
    model.eval()
    found = []
    try:
        with progress.bar("explaining", len(texts)) as advance:
            for text, label in zip(texts, label_ids, strict=True):
                (first,), seconds = sides_of([text])
                encoded = tokenizer(
                    first,
                    None if seconds is None else seconds[0],
                    truncation="longest_first",
                    max_length=classifier.max_length,
                    return_offsets_mapping=True,
                    return_special_tokens_mask=True,
                )
                types = encoded.get("token_type_ids") if seconds is not None else None
                typed = None if types is None else torch.tensor([types], device=device)
                ids = torch.tensor([encoded["input_ids"]], device=device)
                special = torch.tensor([encoded["special_tokens_mask"]], device=device, dtype=torch.bool)
                empty = torch.where(special, ids, torch.full_like(ids, int(tokenizer.pad_token_id)))
                attributed = method.attribute(
                    ids,
                    baselines=empty,
                    additional_forward_args=(torch.ones_like(ids), typed),
                    target=int(label),
                    n_steps=STEPS,
                    internal_batch_size=STEPS,
                )
                by_token = attributed.sum(-1)[0].detach().float().cpu().numpy()
                found.append(_by_word(text, by_token, _places(text, encoded)))
                advance(1)
    finally:
        model.train(was_training)
        model.zero_grad(set_to_none=True)
    return found


def _places(text: str, encoded: Any) -> list[tuple[int, int]]:
    """Return the place of each token in the text; the second text of a pair begins after the first."""
    offsets: list[tuple[int, int]] = encoded["offset_mapping"]
    if not isinstance(text, TextPair):
        return offsets
    start = len(text) - len(text.second)
    return [
        (one + start, other + start) if side == 1 else (one, other)
        for (one, other), side in zip(offsets, encoded.sequence_ids(), strict=True)
    ]


def _by_word(text: str, by_token: NDArray[np.float32], offsets: Sequence[tuple[int, int]]) -> Words:
    """Add up the tokens of each word; tokens of zero width are special tokens."""
    spans = [(match.start(), match.group()) for match in re.finditer(r"\S+", text)]
    starts = np.array([start for start, _ in spans])
    weights = np.zeros(len(spans))
    for value, (start, stop) in zip(by_token, offsets, strict=True):
        if stop > start:
            # A token may begin with the space before its word.
            weights[max(0, int(np.searchsorted(starts, stop - 1, side="right")) - 1)] += float(value)
    weights = np.maximum(weights, 0)
    if weights.max(initial=0) > 0:
        weights = weights / weights.max()
    ends = [0, *(start + len(piece) for start, piece in spans)]
    gaps = tuple(text[end:start] for end, (start, _) in zip(ends, spans, strict=False))
    return Words(tuple(piece for _, piece in spans), tuple(weights.tolist()), gaps)

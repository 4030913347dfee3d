"""How many tokens of a model texts have, and how many texts are longer than its limit and would be cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotune.data.lengths import Lengths

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Texts tokenized at a time: uncut, long ones need memory.
_TEXTS_AT_A_TIME = 500


@dataclass(frozen=True)
class TokenCounts:
    """Tokens a text, special tokens counted, before anything is cut.

    Attributes:
        model: Whose tokens.
        max_length: The limit, in tokens.
        texts: How many texts there are, in all splits.
        mean: Tokens a text, over all splits.
        lengths: Tokens a text, by split.
        cut: How many texts are longer than the limit, by split.
    """

    model: str
    max_length: int
    texts: int
    mean: float
    lengths: Mapping[str, Lengths]
    cut: Mapping[str, int]


def count_tokens(
    tokenizer: PreTrainedTokenizerBase, texts: Mapping[str, Sequence[str]], *, model: str, max_length: int
) -> TokenCounts:
    """Count the tokens of every text.

    Args:
        tokenizer: The model's tokenizer.
        texts: The texts of each split; at least one in each.
        model: What results call the model.
        max_length: The limit, in tokens.
    """
    counts = {split: _tokens(tokenizer, found) for split, found in texts.items()}
    every = np.concatenate(list(counts.values()))
    return TokenCounts(
        model=model,
        max_length=max_length,
        texts=len(every),
        mean=float(every.mean()),
        lengths={split: Lengths.of(found) for split, found in counts.items()},
        cut={split: int((found > max_length).sum()) for split, found in counts.items()},
    )


def _tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> NDArray[np.int64]:
    """Shape (texts,), tokens a text."""
    counts: list[int] = []
    for start in range(0, len(texts), _TEXTS_AT_A_TIME):
        # Without verbose=False, transformers warns of every text that is longer than the model takes: that is what is counted.
        found = tokenizer(
            list(texts[start : start + _TEXTS_AT_A_TIME]),
            truncation=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        counts += [len(ids) for ids in found["input_ids"]]
    return np.array(counts, dtype=np.int64)

"""The limit on tokens per text where none is given: chosen by the lengths of training texts, within the positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emotune.data.lengths import LEAST_LENGTH, MOST_LENGTH, covering
from emotune.models.encoding import token_lengths
from emotune.models.families import position_limit

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Texts that the limit is chosen by, evenly spaced among all: a second of tokenization, and a limit within a few tokens
# of that of all texts.
_LOOKED_AT = 10_000


def fitting_limit(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, texts: Sequence[str] = ()) -> int:
    """Return the number of tokens per text that covers 99 % of training texts, at least 128 and at most 512.

    Args:
        tokenizer: The model's tokenizer.
        model: The model, which may have fewer positions.
        texts: Training texts; if there are none, the limit is 128.
    """
    positions = position_limit(model)
    most = MOST_LENGTH if positions is None else min(MOST_LENGTH, positions)
    if not len(texts):
        return min(LEAST_LENGTH, most)
    some = texts[:: -(-len(texts) // _LOOKED_AT)]
    return covering(token_lengths(tokenizer, some, most), most)

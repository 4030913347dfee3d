"""Count the tokens of texts, the texts longer than a model's limit, and what its tokenizer cannot read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotune.data.lengths import MOST_LENGTH, Lengths, covering
from emotune.system.pairs import are_pairs, sides_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Texts tokenized at a time; long texts that are not truncated need memory.
_TEXTS_AT_A_TIME = 500
# Shares of unknown tokens, and of texts without a known token, from which a tokenizer does not fit the texts. A
# vocabulary of the texts' own language leaves a few tokens in a thousand unknown, mostly emoji; if it is one in ten,
# words are missing. A text without a known token is lost entirely, whatever the other texts are, so the limit is lower.
MOST_UNKNOWN, MOST_UNREAD = 0.1, 0.05
# Least number of texts concerned (or all texts): one text of emoji among a few says nothing about the others.
LEAST_TEXTS = 3
ANOTHER_MODEL = (
    "choose a model whose vocabulary has these characters, such as one made for the language of the texts, "
    "or one that reads bytes (RoBERTa, GPT-2)"
)


@dataclass(frozen=True)
class TokenCounts:
    """Tokens per text, including special tokens, before truncation.

    Attributes:
        model: Name of the model.
        max_length: The limit, in tokens.
        texts: Number of texts in all splits.
        mean: Mean number of tokens per text, over all splits.
        lengths: Tokens per text, by split.
        cut: Number of texts longer than the limit, by split.
        rows: Number of texts, by split.
        unknown: Share of the unknown token among the tokens, special ones excluded, by split. 0 for a tokenizer that
            reads bytes, which has none.
        unread: Number of texts without a known token, by split.
        windows: True if texts longer than the limit are read in windows, not cut.
        with_unknown: Number of texts with an unknown token, or without a known one, by split.
    """

    model: str
    max_length: int
    texts: int
    mean: float
    lengths: Mapping[str, Lengths]
    cut: Mapping[str, int]
    rows: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, float] = field(default_factory=dict)
    unread: Mapping[str, int] = field(default_factory=dict)
    with_unknown: Mapping[str, int] = field(default_factory=dict)
    windows: bool = False


def count_tokens(
    tokenizer: PreTrainedTokenizerBase, texts: Mapping[str, Sequence[str]], *, model: str, max_length: int | None
) -> TokenCounts:
    """Count the tokens of every text.

    Args:
        tokenizer: The model's tokenizer.
        texts: The texts of each split; at least one in each.
        model: Name of the model in results.
        max_length: The limit, in tokens; None for the one that a run would choose from the first split.
    """
    counted = {split: _tokens(tokenizer, found) for split, found in texts.items()}
    counts = {split: found[0] for split, found in counted.items()}
    if max_length is None:
        first = next(iter(counts.values()))
        max_length = covering(first, min(MOST_LENGTH, tokenizer.model_max_length))
    every = np.concatenate(list(counts.values()))
    return TokenCounts(
        model=model,
        max_length=max_length,
        texts=len(every),
        mean=float(every.mean()),
        lengths={split: Lengths.of(found) for split, found in counts.items()},
        cut={split: int((found > max_length).sum()) for split, found in counts.items()},
        rows={split: len(found) for split, found in counts.items()},
        unknown={split: float(unknown.sum() / max(1, plain.sum())) for split, (_, plain, unknown) in counted.items()},
        unread={split: int((unknown == plain).sum()) for split, (_, plain, unknown) in counted.items()},
        with_unknown={split: _with_unknown(plain, unknown) for split, (_, plain, unknown) in counted.items()},
    )


def is_unreadable(tokens: TokenCounts) -> bool:
    """Return whether the tokenizer leaves so much of a split unread that the model does not suit the texts."""
    return any(
        _too_many(rows, tokens.unknown[split], tokens.with_unknown[split], tokens.unread[split])
        for split, rows in tokens.rows.items()
    )


def are_unreadable(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[NDArray[np.int32]], *, pairs: bool = False
) -> bool:
    """Return the same for existing token ids, including special tokens.

    Args:
        tokenizer: The tokenizer that made them.
        ids: One array per text.
        pairs: True if the texts are pairs.
    """
    unknown_id = _unknown_id(tokenizer)
    unknown = np.array([0 if unknown_id is None else (row == unknown_id).sum() for row in ids], dtype=np.int64)
    plain = np.array([len(row) for row in ids], dtype=np.int64) - tokenizer.num_special_tokens_to_add(pair=pairs)
    share = float(unknown.sum() / max(1, plain.sum()))
    return _too_many(len(ids), share, _with_unknown(plain, unknown), int((unknown == plain).sum()))


def _with_unknown(plain: NDArray[np.int64], unknown: NDArray[np.int64]) -> int:
    """Return the number of texts with an unknown token or without a known one, given both counts per text."""
    return int(((unknown > 0) | (unknown == plain)).sum())


def _too_many(rows: int, unknown: float, with_unknown: int, unread: int) -> bool:
    """Return whether unknown tokens, or texts without a known token, are too frequent and in several texts."""
    several = min(LEAST_TEXTS, rows)
    return (unknown >= MOST_UNKNOWN and with_unknown >= several) or unread >= max(several, MOST_UNREAD * rows)


def _unknown_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the id of the unknown token; None for tokenizers without one, such as those that read bytes."""
    unknown = tokenizer.unk_token_id
    # GPT-2 uses its end-of-text token as unknown token, since one is required.
    others = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id)
    return None if unknown in others else unknown


def _tokens(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return tokens per text, those that are not special, and those that are unknown, each of shape (texts,)."""
    unknown_id = _unknown_id(tokenizer)
    counts: list[int] = []
    unknown: list[int] = []
    for start in range(0, len(texts), _TEXTS_AT_A_TIME):
        # Without verbose=False, transformers warns about every text longer than the model's limit, which is counted
        # here.
        firsts, seconds = sides_of(texts[start : start + _TEXTS_AT_A_TIME])
        found = tokenizer(
            firsts,
            seconds,
            truncation=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        counts += [len(ids) for ids in found["input_ids"]]
        unknown += [0 if unknown_id is None else ids.count(unknown_id) for ids in found["input_ids"]]
    every = np.array(counts, dtype=np.int64)
    return every, every - tokenizer.num_special_tokens_to_add(pair=are_pairs(texts)), np.array(unknown, dtype=np.int64)

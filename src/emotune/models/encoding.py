"""Token ids of a split, and batches of similar lengths."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.system.locks import lock_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TEXTS_AT_A_TIME = 4096


@dataclass(frozen=True, eq=False)
class Encoded:
    """Token ids of many texts, without padding.

    Attributes:
        ids: One int32 array per text, special tokens included.
        lengths: Shape (texts,), tokens per text.
        truncated: Number of texts that were longer than the limit and were cut.
        pad_id: Id of the padding token.
        cut_rows: Numbers of those that were cut.
    """

    ids: tuple[NDArray[np.int32], ...]
    lengths: NDArray[np.int64]
    truncated: int
    pad_id: int
    cut_rows: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Encoded:
        """Return some of the texts, in the given order."""
        chosen = [int(row) for row in rows]
        cut = frozenset(place for place, row in enumerate(chosen) if row in self.cut_rows)
        return replace(
            self,
            ids=tuple(self.ids[row] for row in chosen),
            lengths=self.lengths[chosen],
            truncated=len(cut),
            cut_rows=cut,
        )

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> dict[str, Any]:
        """Return the given rows, padded on the right to the longest.

        Returns:
            "input_ids" and "attention_mask", both int64 of shape (rows, longest).
        """
        import torch

        longest = int(self.lengths[np.asarray(rows)].max())
        ids = np.full((len(rows), longest), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for place, row in enumerate(rows):
            length = self.lengths[row]
            ids[place, :length] = self.ids[row]
            mask[place, :length] = 1
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}

    def packed(self, rows: Sequence[int] | NDArray[np.int64]) -> dict[str, Any]:
        """Return the given rows one after another, without padding.

        Returns:
            "input_ids", an int64 tensor of shape (tokens,), and "lengths", an int64 NumPy array of shape (rows,), which
            stays in main memory for computing the layout of the batch.
        """
        import torch

        ids = np.concatenate([self.ids[row] for row in rows]).astype(np.int64)
        return {"input_ids": torch.from_numpy(ids), "lengths": self.lengths[np.asarray(rows)]}


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> Encoded:
    """Tokenize texts.

    Args:
        tokenizer: The model's tokenizer.
        texts: The texts.
        max_length: Largest number of tokens per text, special tokens included; longer texts are cut.
    """
    with lock_of(tokenizer):  # the tokenizer stores the limit as its state
        return _encode(tokenizer, texts, max_length)


def _encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> Encoded:
    # One token more than the limit distinguishes a text that was cut from one that just fits.
    arrays = _token_ids(tokenizer, texts, max_length + 1)
    long_rows = [row for row, ids in enumerate(arrays) if len(ids) > max_length]
    if long_rows:
        cut = _token_ids(tokenizer, [texts[row] for row in long_rows], max_length)
        for row, ids in zip(long_rows, cut, strict=True):
            arrays[row] = ids
    lengths = np.fromiter((len(ids) for ids in arrays), dtype=np.int64, count=len(arrays))
    return Encoded(tuple(arrays), lengths, len(long_rows), int(tokenizer.pad_token_id), frozenset(long_rows))


def _token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], limit: int) -> list[NDArray[np.int32]]:
    """Return the token ids of each text, cut to a limit."""
    found: list[NDArray[np.int32]] = []
    # In pieces, since a tokenizer's own result also holds every token as a string, with its place in the text.
    for start in range(0, len(texts), _TEXTS_AT_A_TIME):
        piece = list(texts[start : start + _TEXTS_AT_A_TIME])
        encoded = tokenizer(piece, truncation=True, max_length=limit, return_attention_mask=False)
        found += [np.asarray(ids, dtype=np.int32) for ids in encoded["input_ids"]]
    return found


_CACHE: OrderedDict[tuple[str, int, int], tuple[PreTrainedTokenizerBase, Encoded]] = OrderedDict()
_CACHE_SPLITS = 8


def encode_split(tokenizer: PreTrainedTokenizerBase, split: Split, max_length: int) -> Encoded:
    """Tokenize a split, once per tokenizer object and limit; the last eight splits stay in memory.

    Args:
        tokenizer: The model's tokenizer.
        split: The rows.
        max_length: Tokens per text, special tokens included.
    """
    # The cache holds the tokenizer itself, so that no other object gets its id while the entry exists.
    key = (split.fingerprint, id(tokenizer), max_length)
    if key in _CACHE:
        _CACHE.move_to_end(key)
    else:
        _CACHE[key] = (tokenizer, encode(tokenizer, split.texts, max_length))
        if len(_CACHE) > _CACHE_SPLITS:
            _CACHE.popitem(last=False)
    return _CACHE[key][1]


def share_encoding(
    tokenizer: PreTrainedTokenizerBase,
    whole: Split,
    parts: Iterable[tuple[Split, NDArray[np.int64]]],
    max_length: int,
) -> None:
    """Let `encode_split` take parts of a split from the whole, so that its texts are tokenized once.

    Args:
        tokenizer: The model's tokenizer.
        whole: The split.
        parts: Parts of it, each with its row numbers in the whole.
        max_length: As for `encode_split`.
    """
    encoded = encode_split(tokenizer, whole, max_length)
    for part, rows in parts:
        key = (part.fingerprint, id(tokenizer), max_length)
        _CACHE[key] = (tokenizer, encoded.take(rows))
        _CACHE.move_to_end(key)
    while len(_CACHE) > _CACHE_SPLITS:
        _CACHE.popitem(last=False)


def batches_by_length(lengths: NDArray[np.int64], max_tokens: int) -> list[NDArray[np.int64]]:
    """Return batches of similar lengths for prediction, longest first, so that too large a batch fails at once.

    Args:
        lengths: Shape (texts,), tokens per text.
        max_tokens: Tokens per batch, padding included; a longer text is a batch by itself.

    Returns:
        Row numbers of each batch; every row is in exactly one.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        rows = max(1, max_tokens // int(lengths[order[start]]))
        batches.append(order[start : start + rows])
        start += rows
    return batches

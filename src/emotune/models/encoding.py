"""Token ids of a split, and batches of similar lengths."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.system.errors import DataError, ModelError
from emotune.system.locks import lock_of
from emotune.system.pairs import TextPair, are_pairs, sides_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_TEXTS_AT_A_TIME = 4096
_TYPES = "token_type_ids"
WINDOWS = "windows"
"""Key of a batch: tokens per window of each text."""
# Windows over a long text overlap by this part of a window, so that few phrases are torn apart.
_OVERLAP = 4


@dataclass(frozen=True, eq=False)
class Encoded:
    """Token ids of many texts, without padding.

    Attributes:
        ids: One int32 array per text, special tokens included.
        lengths: Shape (texts,), tokens per text.
        truncated: Number of texts that were longer than the limit and were cut.
        pad_id: Id of the padding token.
        cut_rows: Numbers of those that were cut.
        types: One int8 array per text, the type of each token: 0 in the first text of a pair, 1 in the second. None if
            all tokens are of type 0: the texts are no pairs, or the model does not distinguish their sides.
        windows: One array per text, tokens per window; the ids of a text are those of its windows, one after another.
            None if every text is one sequence.
    """

    ids: tuple[NDArray[np.int32], ...]
    lengths: NDArray[np.int64]
    truncated: int
    pad_id: int
    cut_rows: frozenset[int] = frozenset()
    types: tuple[NDArray[np.int8], ...] | None = None
    windows: tuple[NDArray[np.int64], ...] | None = None

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
            types=None if self.types is None else tuple(self.types[row] for row in chosen),
            windows=None if self.windows is None else tuple(self.windows[row] for row in chosen),
        )

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> dict[str, Any]:
        """Return the given rows, padded on the right to the longest.

        Returns:
            "input_ids" and "attention_mask", both int64 of shape (rows, longest); "token_type_ids", if there are types; and
            "windows", the tokens per window of each text, if there are windows. A row is then a window.
        """
        import torch

        sequences = [part for row in rows for part in self._sequences(int(row))]
        longest = max(len(ids) for ids, _ in sequences)
        ids = np.full((len(sequences), longest), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(sequences), longest), dtype=np.int64)
        types = None if self.types is None else np.zeros((len(sequences), longest), dtype=np.int64)
        for place, (own, own_types) in enumerate(sequences):
            ids[place, : len(own)] = own
            mask[place, : len(own)] = 1
            if types is not None and own_types is not None:
                types[place, : len(own)] = own_types
        found = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if types is not None:
            found["token_type_ids"] = torch.from_numpy(types)
        return found if self.windows is None else found | {WINDOWS: [self.windows[row] for row in rows]}

    def _sequences(self, row: int) -> list[tuple[NDArray[np.int32], NDArray[np.int8] | None]]:
        """Return the ids and types of a text's windows, or of the text itself."""
        ids, types = self.ids[row], None if self.types is None else self.types[row]
        if self.windows is None or len(self.windows[row]) == 1:
            return [(ids, types)]
        return [(part, None) for part in np.split(ids, np.cumsum(self.windows[row])[:-1])]

    def packed(self, rows: Sequence[int] | NDArray[np.int64]) -> dict[str, Any]:
        """Return the given rows one after another, without padding.

        Returns:
            "input_ids", an int64 tensor of shape (tokens,), and "lengths", an int64 NumPy array of shape (rows,), which
            stays in main memory for computing the layout of the batch; "token_type_ids", like "input_ids", if there are
            types; and "windows", as in `batch`.
        """
        import torch

        ids = np.concatenate([self.ids[row] for row in rows]).astype(np.int64)
        found: dict[str, Any] = {"input_ids": torch.from_numpy(ids), "lengths": self.lengths[np.asarray(rows)]}
        if self.windows is not None:
            windows = [self.windows[row] for row in rows]
            found |= {"lengths": np.concatenate(windows), WINDOWS: windows}
        if self.types is None:
            return found
        types = np.concatenate([self.types[row] for row in rows]).astype(np.int64)
        return found | {"token_type_ids": torch.from_numpy(types)}


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, windows: bool = False) -> Encoded:
    """Tokenize texts.

    Pairs of texts are encoded as the tokenizer encodes pairs. Of a pair that is too long, the longer text is cut, token
    by token, until both together fit.

    Args:
        tokenizer: The model's tokenizer.
        texts: The texts.
        max_length: Largest number of tokens per text or pair, special tokens included; longer ones are cut.
        windows: Read longer texts in windows of `max_length` tokens, each with its special tokens, that overlap by a
            quarter; nothing is cut then.

    Raises:
        DataError: Pairs of texts are longer than one window.
        ModelError: The tokenizer makes no windows.
    """
    with lock_of(tokenizer):  # the tokenizer stores the limit as its state
        encoded = _encode(tokenizer, texts, max_length)
        return _in_windows(tokenizer, texts, max_length, encoded) if windows else encoded


def refuse_windows_over_pairs(texts: Sequence[str], windows: bool) -> None:
    """Refuse to train with windows on pairs of texts, before anything is trained.

    Raises:
        DataError: The texts are pairs, and windows were asked for.
    """
    if windows and are_pairs(texts):
        raise DataError(
            "The rows are pairs of texts, and windows are for single texts. Leave long_texts=windows out (--long-texts windows); "
            "a higher model.max_length (--max-length) reads more of long pairs."
        )


def token_lengths(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], most: int) -> NDArray[np.int64]:
    """Return the tokens per text or pair, shape (texts,); `most` for those with more. It needs no padding token."""
    with lock_of(tokenizer):
        ids, _ = _token_ids(tokenizer, *sides_of(texts), most)
    return np.fromiter((len(found) for found in ids), dtype=np.int64, count=len(ids))


def keep_types_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let a tokenizer give the types of tokens to a model that distinguishes two types or more, and to no other.

    The tokenizer of ALBERT knows the types of pairs, and does not give them unless asked. The names of what it gives are
    saved with it, so that plain transformers gives a saved model the same.
    """
    typed = (getattr(model.config, "type_vocab_size", 0) or 0) > 1
    if typed and _TYPES not in tokenizer.model_input_names:
        found = tokenizer("a", "a", return_token_type_ids=True).get(_TYPES, [])
        typed = len(set(found)) > 1
    names = [name for name in tokenizer.model_input_names if name != _TYPES] + [_TYPES] * typed
    if sorted(names) != sorted(tokenizer.model_input_names):
        tokenizer.model_input_names = names
        tokenizer.init_kwargs["model_input_names"] = names


def _encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> Encoded:
    firsts, seconds = sides_of(texts)
    # One token more than the limit distinguishes a text that was cut from one that just fits.
    ids, types = _token_ids(tokenizer, firsts, seconds, max_length + 1)
    long_rows = [row for row, found in enumerate(ids) if len(found) > max_length]
    if long_rows:
        long_seconds = None if seconds is None else [seconds[row] for row in long_rows]
        cut = _token_ids(tokenizer, [firsts[row] for row in long_rows], long_seconds, max_length)
        for place, row in enumerate(long_rows):
            ids[row] = cut[0][place]
            if types:
                types[row] = cut[1][place]
    lengths = np.fromiter((len(found) for found in ids), dtype=np.int64, count=len(ids))
    pad_id = int(tokenizer.pad_token_id)
    return Encoded(tuple(ids), lengths, len(long_rows), pad_id, frozenset(long_rows), tuple(types) or None)


def _in_windows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, cut: Encoded) -> Encoded:
    """Return the texts with the windows of those that were cut."""
    ids = list(cut.ids)
    windows = [np.array([length], dtype=np.int64) for length in cut.lengths]
    if (cut.cut_rows and cut.types is not None) or any(isinstance(texts[row], TextPair) for row in cut.cut_rows):
        raise DataError(
            f"{len(cut.cut_rows):,} pairs of texts are longer than {max_length} tokens, and windows are for single texts. "
            "Leave long_texts=windows out, or raise max_length."
        )
    if cut.cut_rows and not tokenizer.is_fast:
        raise ModelError(f"{type(tokenizer).__name__} has no windows over long texts. Leave long_texts=windows out.")
    for row in sorted(cut.cut_rows):
        found = tokenizer(
            texts[row],
            truncation=True,
            max_length=max_length,
            stride=overlap_of(tokenizer, max_length),
            return_overflowing_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        ids[row] = np.concatenate([np.asarray(window, dtype=np.int32) for window in found])
        windows[row] = np.array([len(window) for window in found], dtype=np.int64)
    lengths = np.fromiter((len(found) for found in ids), dtype=np.int64, count=len(ids))
    return Encoded(tuple(ids), lengths, 0, cut.pad_id, types=cut.types, windows=tuple(windows))


def overlap_of(tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """Return the tokens that a window shares with the one before, special ones not counted."""
    return (max_length - tokenizer.num_special_tokens_to_add()) // _OVERLAP


def pooled(values: torch.Tensor, windows: Sequence[NDArray[np.int64]] | None) -> torch.Tensor:
    """Return the means of windows' logits, or of other values, for each text, weighted by the windows' tokens.

    Args:
        values: Shape (windows, ...), for the windows of all texts.
        windows: Tokens per window of each text; None if there are no windows, and the values are the texts' own.

    Returns:
        Shape (texts, ...). The value of a text of one window is that window's, unchanged.
    """
    import torch

    if windows is None:
        return values
    text = np.repeat(np.arange(len(windows)), [len(window) for window in windows])
    shares = np.concatenate([window / window.sum() for window in windows])
    weights = torch.from_numpy(shares).to(values).reshape(-1, *[1] * (values.dim() - 1))
    found = values.new_zeros(len(windows), *values.shape[1:])
    return found.index_add(0, torch.from_numpy(text).to(values.device), values * weights)


def _token_ids(
    tokenizer: PreTrainedTokenizerBase, firsts: Sequence[str], seconds: Sequence[str] | None, limit: int
) -> tuple[list[NDArray[np.int32]], list[NDArray[np.int8]]]:
    """Return the token ids of each text or pair, cut to a limit, and their types if the model takes those of pairs."""
    ids: list[NDArray[np.int32]] = []
    types: list[NDArray[np.int8]] = []
    typed = seconds is not None and _TYPES in tokenizer.model_input_names
    # In pieces, since a tokenizer's own result also holds every token as a string, with its place in the text.
    for start in range(0, len(firsts), _TEXTS_AT_A_TIME):
        piece = slice(start, start + _TEXTS_AT_A_TIME)
        encoded = tokenizer(
            list(firsts[piece]),
            None if seconds is None else list(seconds[piece]),
            truncation="longest_first",
            max_length=limit,
            return_attention_mask=False,
            return_token_type_ids=typed,
        )
        ids += [np.asarray(found, dtype=np.int32) for found in encoded["input_ids"]]
        if typed:
            types += [np.asarray(found, dtype=np.int8) for found in encoded[_TYPES]]
    return ids, types


_CACHE: OrderedDict[tuple[str, int, int, bool], tuple[PreTrainedTokenizerBase, Encoded]] = OrderedDict()
_CACHE_SPLITS = 8


def encode_split(tokenizer: PreTrainedTokenizerBase, split: Split, max_length: int, windows: bool = False) -> Encoded:
    """Tokenize a split, once per tokenizer object and limit; the last eight splits stay in memory.

    Args:
        tokenizer: The model's tokenizer.
        split: The rows.
        max_length: Tokens per text, special tokens included.
        windows: As for `encode`.
    """
    # The cache holds the tokenizer itself, so that no other object gets its id while the entry exists.
    key = (split.fingerprint, id(tokenizer), max_length, windows)
    if key in _CACHE:
        _CACHE.move_to_end(key)
    else:
        _CACHE[key] = (tokenizer, encode(tokenizer, split.texts, max_length, windows))
        if len(_CACHE) > _CACHE_SPLITS:
            _CACHE.popitem(last=False)
    return _CACHE[key][1]


def share_encoding(
    tokenizer: PreTrainedTokenizerBase,
    whole: Split,
    parts: Iterable[tuple[Split, NDArray[np.int64]]],
    max_length: int,
    windows: bool = False,
) -> None:
    """Let `encode_split` take parts of a split from the whole, so that its texts are tokenized once.

    Args:
        tokenizer: The model's tokenizer.
        whole: The split.
        parts: Parts of it, each with its row numbers in the whole.
        max_length: As for `encode_split`.
        windows: As for `encode`.
    """
    encoded = encode_split(tokenizer, whole, max_length, windows)
    for part, rows in parts:
        key = (part.fingerprint, id(tokenizer), max_length, windows)
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

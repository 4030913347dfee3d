"""Layout of a packed batch: the tokens of its texts follow one another without padding, equal lengths side by side."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

# The libraries for matrix products prepare code for each new size of a product, which takes as long as the product
# itself. Rounding sizes up makes them repeat.
TOKENS_MULTIPLE = 64
TEXTS_MULTIPLE = 16
# 64 rows take several times as long as the dozen tokens of one short text. So where latency matters, sizes below these
# multiples are rounded up less.
SMALL_MULTIPLE = 4


@dataclass(frozen=True)
class Group:
    """Neighbouring texts of one length, which attention treats as a batch without padding and without a mask.

    Attributes:
        tokens: Their tokens among the batch's tokens.
        texts: Their places among the batch's texts.
        length: Tokens per text.
    """

    tokens: slice
    texts: slice
    length: int


@dataclass(frozen=True)
class Layout:
    """Positions and groups of a packed batch.

    Attributes:
        groups: The texts by length.
        positions: Shape (tokens,), each token's position in its text, from 0.
        text: Shape (tokens,), number of the text that each token belongs to.
        first: Shape (texts,), index of each text's first token.
        lengths: Shape (texts,), tokens per text.
        ends: Shape (texts + 1,), int32: 0, then the end of each text, as kernels for variable lengths expect it.
        longest: Tokens of the longest text.
        blank_tokens: Rows to append to the tokens, so that the sizes of products repeat.
        blank_texts: Rows to append to the texts.
    """

    groups: tuple[Group, ...]
    positions: torch.Tensor
    text: torch.Tensor
    first: torch.Tensor
    lengths: torch.Tensor
    ends: torch.Tensor
    longest: int
    blank_tokens: int
    blank_texts: int

    @classmethod
    def of(cls, lengths: NDArray[np.int64], device: torch.device | None = None, *, soon: bool = False) -> Layout:
        """Return the layout of texts of these lengths.

        Args:
            lengths: Shape (texts,), tokens per text, in any order; equal lengths side by side are fast. They must be in
                main memory: reading them from a GPU would stop it at every batch.
            device: Device of the tensors.
            soon: Append fewer rows to a batch of less than 64 tokens or 16 texts. For prediction only, since dropout
                masks are drawn for blank rows too.
        """
        lengths = np.asarray(lengths, dtype=np.int64)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        edges = np.flatnonzero(np.diff(lengths, prepend=-1, append=-1))  # where the length changes, both ends included
        groups = tuple(
            Group(slice(int(ends[start]), int(ends[stop])), slice(int(start), int(stop)), int(lengths[start]))
            for start, stop in pairwise(edges)
        )
        tokens, texts = int(ends[-1]), len(lengths)
        text = np.repeat(np.arange(texts), lengths)
        positions = np.arange(tokens) - ends[text]

        def there(array: NDArray[np.int64]) -> torch.Tensor:
            return torch.from_numpy(array).to(device, non_blocking=True)

        return cls(
            groups=groups,
            positions=there(positions),
            text=there(text),
            first=there(ends[:-1]),
            lengths=there(lengths),
            ends=there(ends).to(torch.int32),
            longest=int(lengths.max()),
            blank_tokens=_blank(tokens, TOKENS_MULTIPLE, soon),
            blank_texts=_blank(texts, TEXTS_MULTIPLE, soon),
        )


def _blank(rows: int, multiple: int, soon: bool) -> int:
    """Return the number of blank rows to append to `rows` rows."""
    if not soon or rows >= multiple:
        return -rows % multiple
    # At least one row, as with the larger multiple. Int8 rounds to the range over all rows, which blank rows widen, so
    # the results would otherwise depend on the multiple.
    return SMALL_MULTIPLE - rows % SMALL_MULTIPLE

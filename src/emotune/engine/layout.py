"""Where the texts of a packed batch lie: their tokens follow one another without padding, equal lengths side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch

# The libraries behind matrix products prepare code for each new size of a product, which takes as long as a product itself.
# Rounding sizes up makes them repeat.
TOKENS_MULTIPLE = 64
TEXTS_MULTIPLE = 16


@dataclass(frozen=True)
class Group:
    """Neighbouring texts of one length, which attention treats as a batch without padding and without a mask.

    Attributes:
        tokens: Where their tokens lie in the batch.
        texts: Where the texts lie among the batch's texts.
        length: Tokens a text.
    """

    tokens: slice
    texts: slice
    length: int


@dataclass(frozen=True)
class Layout:
    """Positions and groups of a packed batch.

    Attributes:
        groups: The texts by length.
        positions: Shape (tokens,), each token's place in its text, from 0.
        text: Shape (tokens,), the text that each token belongs to.
        first: Shape (texts,), where each text's first token lies.
        blank_tokens: Rows to put behind the tokens, so that the sizes of products repeat.
        blank_texts: Rows to put behind the texts.
    """

    groups: tuple[Group, ...]
    positions: torch.Tensor
    text: torch.Tensor
    first: torch.Tensor
    blank_tokens: int
    blank_texts: int

    @classmethod
    def of(cls, lengths: torch.Tensor) -> Layout:
        """The layout of texts of these lengths.

        Args:
            lengths: Shape (texts,), tokens a text. Any order is right; equal lengths side by side are fast.
        """
        groups = []
        tokens = texts = 0
        values, counts = torch.unique_consecutive(lengths, return_counts=True)
        for length, count in zip(values.tolist(), counts.tolist(), strict=True):
            groups.append(Group(slice(tokens, tokens + count * length), slice(texts, texts + count), length))
            tokens += count * length
            texts += count
        first = torch.cumsum(lengths, 0) - lengths
        text = torch.repeat_interleave(torch.arange(texts, device=lengths.device), lengths)
        positions = torch.arange(tokens, device=lengths.device) - first[text]
        return cls(tuple(groups), positions, text, first, -tokens % TOKENS_MULTIPLE, -texts % TEXTS_MULTIPLE)

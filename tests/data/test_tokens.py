"""Tokens are counted whole, special tokens included, whatever the limit is, and those above it are the ones that get cut."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from emotune.config import RunConfig
from emotune.data.tokens import TokenCounts, count_tokens
from emotune.inference.batching import encode
from emotune.models.load import MAX_LENGTH
from emotune.report.audit_tables import tokens_line

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import TextDataset


@pytest.fixture(scope="module")
def word(tiny_tokenizer: BertTokenizer) -> str:
    """A word that is one token."""
    return next(piece for piece in tiny_tokenizer.get_vocab() if len(piece) == 4 and piece.isalpha())


def count(tokenizer: BertTokenizer, max_length: int, **texts: list[str]) -> TokenCounts:
    return count_tokens(tokenizer, texts, model="tiny", max_length=max_length)


def test_every_token_counts_and_so_do_the_special_ones(tiny_tokenizer: BertTokenizer, word: str) -> None:
    found = count(tiny_tokenizer, 8, train=[word, f"{word} " * 6, f"{word} " * 7], test=[f"{word} " * 500])
    assert found.lengths["train"].least == 3
    assert found.lengths["train"].median == 8
    assert found.lengths["train"].most == 9
    assert found.lengths["test"].most == 502  # the tokenizer itself says that the model takes 64
    assert found.cut == {"train": 1, "test": 1}
    assert (found.texts, found.mean) == (4, (3 + 8 + 9 + 502) / 4)


def test_what_is_counted_as_cut_is_cut(tiny_tokenizer: BertTokenizer, tiny_data: TextDataset, word: str) -> None:
    texts = [
        f"{text} {word * (row % 5)}" for row, text in enumerate(tiny_data.train.texts)
    ] * 9  # more than one helping
    for limit in (6, 8, 12, 20):
        found = count(tiny_tokenizer, limit, train=texts)
        assert found.cut["train"] == encode(tiny_tokenizer, texts, limit).truncated


def test_says_nothing_by_itself(
    tiny_tokenizer: BertTokenizer, word: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        count(tiny_tokenizer, 8, train=[f"{word} " * 500])
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if "longer than" in record.getMessage()]


def test_the_line_names_the_splits_that_are_cut(tiny_tokenizer: BertTokenizer, word: str) -> None:
    long, short = f"{word} " * 20, word
    cut = count(tiny_tokenizer, 8, train=[long, long, short], validation=[short], test=[long])
    assert tokens_line(cut) == "14.4 tokens a text; 3 of 5 texts are longer than 8 and are cut: 2 of train, 1 of test"
    whole = count(tiny_tokenizer, 64, train=[short])
    assert tokens_line(whole) == "3.0 tokens a text; 0 of 1 texts are longer than 64 and are cut"


def test_the_limit_is_that_of_a_run_by_itself() -> None:
    assert RunConfig().model.max_length == MAX_LENGTH

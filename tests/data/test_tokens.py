"""Tokens are counted whole, special tokens included, whatever the limit is, and those above it are the ones that get cut."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from emotune.data.tokens import TokenCounts, are_unreadable, count_tokens, is_unreadable
from emotune.models.encoding import encode
from emotune.report.audit_tables import tokens_line, unknown_lines

from ..facts import states

if TYPE_CHECKING:
    from transformers import BertTokenizer, PreTrainedTokenizerBase

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
    assert tokens_line(cut) == "14.4 tokens per text; 3 of 5 texts are longer than 8 and are cut: 2 of train, 1 of test"
    whole = count(tiny_tokenizer, 64, train=[short])
    assert tokens_line(whole) == "3.0 tokens per text; 0 of 1 texts are longer than 64 and are cut"


@pytest.fixture(scope="module")
def bytes_tokenizer() -> PreTrainedTokenizerBase:
    """A tokenizer of bytes such as GPT-2's, whose unknown token is its end of text."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import GPT2Tokenizer

    pieces = ["<|endoftext|>", *sorted(ByteLevel.alphabet())]
    return GPT2Tokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[])


class TestUnknownTokens:
    def test_are_counted_among_those_that_are_not_special(self, tiny_tokenizer: BertTokenizer, word: str) -> None:
        found = count(tiny_tokenizer, 8, train=[f"{word} 😀", "😀 😭 😀", f"{word} {word}"], test=[word])
        assert found.unknown == {"train": 4 / 7, "test": 0.0}
        assert found.unread == {"train": 1, "test": 0}
        assert found.rows == {"train": 3, "test": 1}

    def test_a_text_of_which_nothing_is_left_has_no_known_token(self, tiny_tokenizer: BertTokenizer, word: str) -> None:
        """BERT drops control characters before it looks words up."""
        found = count(tiny_tokenizer, 8, train=["\u200b", word])
        assert tiny_tokenizer("\u200b", add_special_tokens=False)["input_ids"] == []
        assert (found.unknown, found.unread) == ({"train": 0.0}, {"train": 1})

    def test_a_tokenizer_of_bytes_has_none(self, bytes_tokenizer: PreTrainedTokenizerBase) -> None:
        found = count_tokens(bytes_tokenizer, {"train": ["😀😭", "fine"]}, model="bytes", max_length=64)
        assert (found.unknown, found.unread) == ({"train": 0.0}, {"train": 0})
        assert not is_unreadable(found)

    @pytest.mark.parametrize(
        ("known", "emoji", "whole", "unreadable"),
        [(100, 10, 0, False), (100, 12, 0, True), (97, 0, 3, False), (94, 0, 6, True)],
    )
    def test_are_too_many_from_one_token_in_ten_or_one_text_in_twenty_on(
        self, tiny_tokenizer: BertTokenizer, word: str, known: int, emoji: int, whole: int, unreadable: bool
    ) -> None:
        texts = [f"{word} 😀"] * emoji + [word] * (known - emoji) + ["😀"] * whole
        found = count(tiny_tokenizer, 8, train=texts)
        assert is_unreadable(found) == unreadable
        ids = encode(tiny_tokenizer, texts, 8).ids
        assert are_unreadable(tiny_tokenizer, ids) == unreadable
        assert bool(list(unknown_lines(found))) == unreadable

    @pytest.mark.parametrize(("emoji", "unreadable"), [(1, False), (2, False), (3, True)])
    def test_in_a_small_split_are_too_many_only_in_several_texts(
        self, tiny_tokenizer: BertTokenizer, word: str, emoji: int, unreadable: bool
    ) -> None:
        texts = ["😀 😀 😀"] * emoji + [word] * (15 - emoji)
        found = count(tiny_tokenizer, 8, train=[word] * 100, test=texts)
        assert found.with_unknown == {"train": 0, "test": emoji}
        assert is_unreadable(found) == unreadable
        assert are_unreadable(tiny_tokenizer, encode(tiny_tokenizer, texts, 8).ids) == unreadable

    def test_the_line_says_how_many_and_advises_another_model(self, tiny_tokenizer: BertTokenizer, word: str) -> None:
        (line,) = unknown_lines(count(tiny_tokenizer, 8, train=["😀", word], test=["😀 😭"]))
        train, test = line.split(";")
        assert states(train, "tiny", "50.00 % of the tokens of train", "1 of 2 texts")
        assert states(test, "100.00 % of the tokens of test", "1 of 1 texts")
        assert states(test, "choose a model", "language of the texts", "RoBERTa, GPT-2")

"""Tokenization and batches against the tokenizer's own answers."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from emotune.models.encoding import Encoded, batches_by_length, encode, encode_split

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import TextDataset

# Of 4, 6, 2, 5 and 30 tokens, special tokens counted: made-up words are one token each, other words one a letter.
TEXTS = ("badi bedo", "badi badi badi bedo", "", "abc", "badi " * 28)


class TestEncode:
    @pytest.mark.parametrize("max_length", [3, 5, 6, 29, 30, 64])
    def test_is_what_the_tokenizer_gives_for_each_text(self, tiny_tokenizer: BertTokenizer, max_length: int) -> None:
        encoded = encode(tiny_tokenizer, TEXTS, max_length)
        expected = [tiny_tokenizer(text, truncation=True, max_length=max_length)["input_ids"] for text in TEXTS]
        assert [ids.tolist() for ids in encoded.ids] == expected
        assert encoded.lengths.tolist() == [len(ids) for ids in expected]
        assert len(encoded) == len(TEXTS)
        assert encoded.pad_id == tiny_tokenizer.pad_token_id

    @pytest.mark.parametrize("max_length", [3, 4, 5, 6, 29, 30, 64])
    def test_counts_the_texts_that_were_cut_and_not_those_that_just_fit(
        self, tiny_tokenizer: BertTokenizer, max_length: int
    ) -> None:
        whole = [len(tiny_tokenizer(text)["input_ids"]) for text in TEXTS]
        expected = sum(length > max_length for length in whole)
        found = encode(tiny_tokenizer, TEXTS, max_length)
        assert found.truncated == len(found.cut_rows) == expected
        lengths = encode(tiny_tokenizer, TEXTS, 64).lengths
        assert found.cut_rows == {row for row, length in enumerate(lengths) if length > max_length}

    def test_a_cut_text_still_ends_with_its_special_token(self, tiny_tokenizer: BertTokenizer) -> None:
        ids = encode(tiny_tokenizer, ["badi " * 28], 8).ids[0]
        assert len(ids) == 8
        assert ids[-1] == tiny_tokenizer.sep_token_id

    def test_gives_one_row_a_text_whatever_its_characters(self, tiny_tokenizer: BertTokenizer) -> None:
        texts = ["\x00", "naïve café", "😀😀", "漢字", "a\u200bb", "x" * 10_000]
        encoded = encode(tiny_tokenizer, texts, 16)
        assert len(encoded) == len(texts)
        assert int(encoded.lengths.max()) <= 16
        assert int(encoded.lengths.min()) >= 2


class TestBatch:
    def test_is_what_the_tokenizer_pads(self, tiny_tokenizer: BertTokenizer) -> None:
        rows = [4, 0, 2, 3]
        batch = encode(tiny_tokenizer, TEXTS, 20).batch(rows)
        expected = tiny_tokenizer(
            [TEXTS[row] for row in rows], padding=True, truncation=True, max_length=20, return_tensors="pt"
        )
        assert batch.keys() == {"input_ids", "attention_mask"}
        for name, tensor in batch.items():
            assert tensor.dtype == torch.int64
            assert torch.equal(tensor, expected[name]), name

    def test_is_as_wide_as_its_own_longest_row(self, tiny_tokenizer: BertTokenizer) -> None:
        encoded = encode(tiny_tokenizer, TEXTS, 64)
        assert encoded.batch([0, 2])["input_ids"].shape == (2, 4)
        assert encoded.batch(np.array([4]))["input_ids"].shape == (1, 30)

    def test_pads_with_the_models_own_id(self) -> None:
        encoded = Encoded(
            ids=(np.array([7], dtype=np.int32), np.array([8, 9], dtype=np.int32)),
            lengths=np.array([1, 2]),
            truncated=0,
            pad_id=3,
        )
        batch = encoded.batch([0, 1])
        assert batch["input_ids"].tolist() == [[7, 3], [8, 9]]
        assert batch["attention_mask"].tolist() == [[1, 0], [1, 1]]


class TestCache:
    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The number of texts of every tokenization so far."""
        made: list[int] = []

        def counted(tokenizer: Any, texts: tuple[str, ...], max_length: int, windows: bool) -> Encoded:
            made.append(len(texts))
            return encode(tokenizer, texts, max_length, windows)

        monkeypatch.setattr("emotune.models.encoding.encode", counted)
        monkeypatch.setattr("emotune.models.encoding._CACHE", type(_cache())())
        return made

    def test_equal_rows_are_tokenized_once(
        self, calls: list[int], tiny_tokenizer: BertTokenizer, tiny_data: TextDataset
    ) -> None:
        first = encode_split(tiny_tokenizer, tiny_data.test, 32)
        equal = dataclasses.replace(tiny_data.test, name="another name")
        assert encode_split(tiny_tokenizer, equal, 32) is first
        assert calls == [len(tiny_data.test)]

    def test_other_rows_limits_and_tokenizers_are_not_mixed_up(
        self, calls: list[int], tiny_tokenizer: BertTokenizer, tiny_data: TextDataset
    ) -> None:
        import copy

        reversed_rows = tiny_data.test.take(range(len(tiny_data.test))[::-1])
        found = [
            encode_split(tiny_tokenizer, tiny_data.test, 32),
            encode_split(tiny_tokenizer, reversed_rows, 32),
            encode_split(tiny_tokenizer, tiny_data.test, 4),
            encode_split(copy.deepcopy(tiny_tokenizer), tiny_data.test, 32),
        ]
        assert len(calls) == 4
        assert [ids.tolist() for ids in found[1].ids] == [ids.tolist() for ids in found[0].ids][::-1]
        assert int(found[2].lengths.max()) == 4

    def test_does_not_grow_without_end(
        self, calls: list[int], tiny_tokenizer: BertTokenizer, tiny_data: TextDataset
    ) -> None:
        for rows in range(1, 21):
            encode_split(tiny_tokenizer, tiny_data.test.take(range(rows)), 32)
        assert len(_cache()) <= 8
        encode_split(tiny_tokenizer, tiny_data.test.take(range(20)), 32)
        assert len(calls) == 20  # the newest is still there


class TestBatchesByLength:
    @pytest.mark.parametrize("max_tokens", [1, 7, 50, 1000])
    def test_every_row_once_longest_first_within_the_budget(self, max_tokens: int) -> None:
        lengths = np.random.default_rng(0).integers(2, 40, size=200)
        batches = batches_by_length(lengths, max_tokens)
        assert sorted(np.concatenate(batches).tolist()) == list(range(200))
        assert np.all(np.diff(lengths[np.concatenate(batches)]) <= 0)
        for batch in batches:
            assert len(batch) == 1 or len(batch) * lengths[batch].max() <= max_tokens

    def test_no_batch_could_have_taken_the_next_row(self) -> None:
        lengths = np.random.default_rng(1).integers(2, 40, size=200)
        batches = batches_by_length(lengths, 100)
        for batch in batches[:-1]:
            assert (len(batch) + 1) * lengths[batch].max() > 100

    def test_nothing_makes_no_batch(self) -> None:
        assert batches_by_length(np.array([], dtype=np.int64), 100) == []


def _cache() -> Any:
    from emotune.models import encoding as batching

    return batching._CACHE


@pytest.mark.slow
def test_threads_that_share_a_tokenizer_wait_for_each_other(tiny_tokenizer: BertTokenizer) -> None:
    """A tokenizer keeps the limit of its last call, so that one thread would cut the texts of another."""
    texts = ["badi " * length for length in range(1, 40)]
    limits = [8, 16, 24, 32] * 30
    expected = {limit: encode(tiny_tokenizer, texts, limit) for limit in set(limits)}
    with ThreadPoolExecutor(max_workers=4) as threads:
        found = list(threads.map(lambda limit: encode(tiny_tokenizer, texts, limit), limits))
    for limit, encoded in zip(limits, found, strict=True):
        assert encoded.truncated == expected[limit].truncated
        assert encoded.lengths.tolist() == expected[limit].lengths.tolist()

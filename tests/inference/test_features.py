"""Features of layers against plain transformers: one text per call, no padding, its own hidden states."""

from __future__ import annotations

import copy
import dataclasses
import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from emotune.folder.base import load_base
from emotune.inference.features import layer_features
from emotune.models.encoding import encode
from emotune.tasks.probe import side_by_side

from ..conftest import Recording
from ..tiny_models import CONFIGS, HIDDEN, LAYERS, make_folder

if TYPE_CHECKING:
    from transformers import BertTokenizer

    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier


@pytest.fixture(scope="module")
def texts(tiny_data: TextDataset) -> list[str]:
    """Texts of 3 to 32 tokens, in no order of length."""
    generator = random.Random(1)
    words = [text.split() for text in tiny_data.test.texts]
    return [" ".join(row * generator.randint(1, 4)) for row in words]


def plain_features(base: Classifier, texts: list[str]) -> NDArray[np.float32]:
    """The reference: every text on its own, the mean of each hidden state over its tokens."""
    rows = []
    with torch.no_grad():
        for text in texts:
            batch = base.tokenizer(text, return_tensors="pt", truncation=True, max_length=base.max_length)
            outputs = base.model.base_model(input_ids=batch["input_ids"], output_hidden_states=True)
            rows.append(np.stack([state[0].mean(0).numpy() for state in outputs.hidden_states]))
    return np.stack(rows, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("family", CONFIGS)
def test_equal_the_hidden_states_of_transformers_in_every_family(
    family: str,
    fast: bool,
    tiny_data: TextDataset,
    tiny_tokenizer: BertTokenizer,
    texts: list[str],
    tmp_path: Path,
) -> None:
    base = load_base(make_folder(family, tmp_path / family, tiny_tokenizer), labels=tiny_data.labels, max_length=32)
    assert len(set(encode(base.tokenizer, texts, 32).lengths.tolist())) > 3
    found = layer_features(base, texts, fast=fast)
    assert found.dtype == np.float32
    assert found.shape == (LAYERS + 1, len(texts), HIDDEN)
    np.testing.assert_allclose(found, plain_features(base, texts), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fast", [True, False])
class TestBatches:
    @pytest.mark.parametrize("max_tokens", [1, 40, 4096])
    def test_neither_padding_nor_neighbours_change_a_text(
        self, tiny_base: Classifier, texts: list[str], fast: bool, max_tokens: int
    ) -> None:
        expected = plain_features(tiny_base, texts)
        found = layer_features(tiny_base, texts, fast=fast, max_tokens=max_tokens)
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
        order = np.random.default_rng(2).permutation(len(texts))
        shuffled = layer_features(tiny_base, [texts[i] for i in order], fast=fast, max_tokens=max_tokens)
        np.testing.assert_allclose(shuffled, expected[:, order], atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("layers", [[0], [1], [0, 2], [0, 1, 2]])
    def test_some_layers_are_those_of_all(
        self, tiny_base: Classifier, texts: list[str], fast: bool, layers: list[int]
    ) -> None:
        every = layer_features(tiny_base, texts, fast=fast)
        np.testing.assert_array_equal(layer_features(tiny_base, texts, fast=fast, layers=layers), every[layers])

    @pytest.mark.parametrize("layers", [[], [3], [-1], [1, 0], [1, 1]])
    def test_layers_that_there_are_not(
        self, tiny_base: Classifier, texts: list[str], fast: bool, layers: list[int]
    ) -> None:
        with pytest.raises(ValueError, match=r"layers is .*; the model has states 0 to 2"):
            layer_features(tiny_base, texts, fast=fast, layers=layers)

    def test_takes_token_ids_cuts_at_the_limit_and_shows_a_bar(
        self, tiny_base: Classifier, texts: list[str], fast: bool
    ) -> None:
        base = dataclasses.replace(tiny_base, max_length=9)
        expected = plain_features(base, texts)
        progress = Recording()
        found = layer_features(base, texts, fast=fast, progress=progress, description="features of train")
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
        assert progress.bars == [("features of train", len(texts), len(texts))]
        np.testing.assert_array_equal(layer_features(tiny_base, encode(base.tokenizer, texts, 9), fast=fast), found)

    def test_no_dropout_and_the_mode_is_as_before(self, tiny_base: Classifier, texts: list[str], fast: bool) -> None:
        base = dataclasses.replace(tiny_base, model=copy.deepcopy(tiny_base.model).train())
        state = torch.get_rng_state()
        found = layer_features(base, texts, fast=fast)
        np.testing.assert_allclose(found, plain_features(tiny_base, texts), atol=1e-5, rtol=1e-5)
        assert torch.equal(torch.get_rng_state(), state)
        assert all(module.training for module in base.model.modules())
        assert all(parameter.grad is None for parameter in base.model.parameters())

    def test_bfloat16_is_near(self, tiny_base: Classifier, texts: list[str], fast: bool) -> None:
        expected = plain_features(tiny_base, texts)
        found = layer_features(tiny_base, texts, fast=fast, dtype=torch.bfloat16)
        assert not np.array_equal(found, expected)
        assert np.abs(found - expected).mean() < 0.01 * np.abs(expected).mean()


def test_without_texts(tiny_base: Classifier) -> None:
    with pytest.raises(ValueError, match="no texts"):
        layer_features(tiny_base, [])


def test_side_by_side_keeps_rows_and_copies_nothing(tiny_base: Classifier, texts: list[str]) -> None:
    features = layer_features(tiny_base, texts)
    found = side_by_side(features)
    np.testing.assert_array_equal(found, np.concatenate(list(features), axis=1))
    assert np.shares_memory(found, features)

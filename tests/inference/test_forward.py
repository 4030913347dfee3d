"""Logits in batches against one plain model call a text."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from emotune.inference.forward import compute_logits
from emotune.models.encoding import encode
from emotune.system.progress import Advance, Silent

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier


@pytest.fixture(scope="module")
def texts(tiny_data: TextDataset) -> list[str]:
    """Texts of 3 to 32 tokens."""
    generator = random.Random(1)
    words = [text.split() for text in tiny_data.test.texts]
    return [" ".join(row[:1] * generator.randint(1, 30)) for row in words]


@pytest.fixture(scope="module")
def plain(tiny_tuned: Classifier, texts: list[str]) -> NDArray[np.float32]:
    """The reference: every text on its own, no padding."""
    with torch.no_grad():
        rows = [tiny_tuned.model(**tiny_tuned.tokenizer(text, return_tensors="pt")).logits.numpy()[0] for text in texts]
    return np.stack(rows)


@pytest.mark.parametrize("max_tokens", [1, 40, 4096])
def test_equal_one_call_a_text_in_the_order_given(
    tiny_tuned: Classifier, texts: list[str], plain: NDArray[np.float32], max_tokens: int
) -> None:
    encoded = encode(tiny_tuned.tokenizer, texts, 32)
    assert len(set(encoded.lengths.tolist())) > 10
    found = compute_logits(tiny_tuned.model, encoded, max_tokens=max_tokens)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-5)
    order = np.random.default_rng(2).permutation(len(texts))
    shuffled = compute_logits(tiny_tuned.model, encode(tiny_tuned.tokenizer, [texts[i] for i in order], 32))
    np.testing.assert_allclose(shuffled, plain[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_no_dropout_and_the_mode_is_as_before(
    tiny_tuned: Classifier, texts: list[str], plain: NDArray[np.float32], training: bool
) -> None:
    model = copy.deepcopy(tiny_tuned.model).train(training)
    found = compute_logits(model, encode(tiny_tuned.tokenizer, texts, 32))
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-5)
    assert all(module.training is training for module in model.modules())


def test_the_mode_is_as_before_after_a_failure(tiny_tuned: Classifier) -> None:
    model = copy.deepcopy(tiny_tuned.model).train()
    encoded = encode(tiny_tuned.tokenizer, ["badi"], 32)
    encoded.ids[0][1] = 100_000  # a token that the model has no embedding for
    with pytest.raises((IndexError, RuntimeError)):
        compute_logits(model, encoded)
    assert model.training


def test_leaves_no_gradients_and_draws_no_random_numbers(tiny_tuned: Classifier, texts: list[str]) -> None:
    model = copy.deepcopy(tiny_tuned.model).train()
    state = torch.get_rng_state()
    compute_logits(model, encode(tiny_tuned.tokenizer, texts, 32))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_autocast_is_close_and_gives_float32(
    tiny_tuned: Classifier, texts: list[str], plain: NDArray[np.float32]
) -> None:
    encoded = encode(tiny_tuned.tokenizer, texts, 32)
    found = compute_logits(tiny_tuned.model, encoded, dtype=torch.bfloat16)
    assert found.dtype == np.float32
    assert not np.array_equal(found, plain)
    # bfloat16 keeps 8 bits: a few of its rounding errors on logits of this size.
    np.testing.assert_allclose(found, plain, atol=0.05 * np.abs(plain).max())


def test_the_bar_counts_every_text(tiny_tuned: Classifier, texts: list[str]) -> None:
    class Counting(Silent):
        done = 0

        @contextmanager
        def bar(self, description: str, total: int) -> Iterator[Advance]:
            assert (description, total) == ("scoring", len(texts))

            def advance(units: int) -> None:
                self.done += units

            yield advance

    progress = Counting()
    encoded = encode(tiny_tuned.tokenizer, texts, 32)
    compute_logits(tiny_tuned.model, encoded, max_tokens=40, progress=progress, description="scoring")
    assert progress.done == len(texts)

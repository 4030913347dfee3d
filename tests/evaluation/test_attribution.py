"""Words that drove a prediction: against integrated gradients written out, and text kept as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from emotune.evaluation.attribution import explain

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier


def by_hand(classifier: Classifier, text: str, label: int, steps: int = 400) -> list[float]:
    """Integrated gradients by the midpoint rule, from padding to the text, one token a word."""
    encoded = classifier.tokenizer(text, return_tensors="pt")
    embeddings = classifier.model.get_input_embeddings()
    end = embeddings(encoded["input_ids"]).detach()
    start = end.clone()
    start[:, 1:-1] = embeddings(torch.tensor(classifier.tokenizer.pad_token_id)).detach()
    total = torch.zeros_like(end)
    for step in range(steps):
        point = (start + (step + 0.5) / steps * (end - start)).requires_grad_()
        logits = classifier.model(inputs_embeds=point, attention_mask=encoded["attention_mask"]).logits
        total += torch.autograd.grad(logits[0, label], point)[0] / steps
    words = ((end - start) * total).sum(-1)[0, 1:-1].clamp_min(0)
    return (words / words.max()).tolist()


@pytest.mark.slow
def test_is_integrated_gradients(tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
    texts, labels = tiny_data.test.texts[:4], tiny_data.test.label_ids[:4].tolist()
    found = explain(tiny_tuned, texts, labels)
    assert found is not None
    for text, label, words in zip(texts, labels, found, strict=True):
        assert words.pieces == tuple(text.split())
        assert "".join(gap + piece for gap, piece in zip(words.gaps, words.pieces, strict=True)) == text.rstrip()
        np.testing.assert_allclose(words.weights, by_hand(tiny_tuned, text, label), atol=0.05)
        assert max(words.weights) == 1


def test_tokens_of_a_word_are_added_up(tiny_tuned: Classifier) -> None:
    text = "badi,  xyz!\tbadi"
    (words,) = explain(tiny_tuned, [text], [0]) or []
    assert words.pieces == ("badi,", "xyz!", "badi")
    assert len(words.weights) == 3


def test_long_texts_are_explained_as_far_as_they_are_read(tiny_tuned: Classifier) -> None:
    (words,) = explain(tiny_tuned, ["badi " * 200], [0]) or []
    assert len(words.pieces) == 200
    assert words.weights[-1] == 0


def test_leaves_the_model_as_it_was(tiny_tuned: Classifier) -> None:
    explain(tiny_tuned, ["badi"], [0])
    assert not tiny_tuned.model.training
    assert all(parameter.grad is None for parameter in tiny_tuned.model.parameters())


def test_a_tokenizer_that_does_not_say_where_tokens_come_from(
    tiny_tuned: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = replace(tiny_tuned)
    monkeypatch.setattr(type(slow.tokenizer), "is_fast", property(lambda _: False))
    assert explain(slow, ["badi"], [0]) is None

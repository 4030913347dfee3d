"""Scoring a classifier: plain transformers' predictions, scikit-learn's scores, and the right name on the number."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss

from emotune.evaluation.evaluate import evaluate
from emotune.system.errors import DataError, ModelError

from ..facts import facts

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier


def test_scores_are_those_of_plain_calls(tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
    split = tiny_data.test
    found = evaluate(tiny_tuned, split)
    with torch.no_grad():
        logits = torch.cat(
            [tiny_tuned.model(**tiny_tuned.tokenizer(text, return_tensors="pt")).logits for text in split.texts]
        )
    assert found.logits is not None
    assert found.probabilities is not None
    np.testing.assert_allclose(found.logits, logits.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.probabilities, logits.softmax(-1).numpy(), rtol=1e-4, atol=1e-6)
    predictions = logits.argmax(-1).numpy()
    assert found.predictions.tolist() == predictions.tolist()
    assert found.metrics.accuracy == accuracy_score(split.label_ids, predictions)
    assert found.metrics.macro_f1 == pytest.approx(f1_score(split.label_ids, predictions, average="macro"))
    expected = log_loss(split.label_ids, logits.double().softmax(-1).numpy(), labels=range(6))
    assert found.metrics.loss == pytest.approx(expected, rel=1e-4)
    assert found.correct.tolist() == (predictions == split.label_ids).tolist()
    assert found.split is split


def test_a_base_model_is_called_untrained_and_says_that_it_measures_chance(
    tiny_base: Classifier, tiny_data: TextDataset
) -> None:
    found = evaluate(tiny_base, tiny_data.test)
    assert found.name == "base (untrained head)"
    assert "chance" in found.note
    named = evaluate(tiny_base, tiny_data.test, name="mine")
    assert named.name == "mine"
    assert named.note == found.note  # another name does not hide what the number is


def test_a_tuned_model_needs_no_such_note(tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
    found = evaluate(tiny_tuned, tiny_data.test)
    assert (found.name, found.note) == ("tuned", "")


def test_other_labels_are_refused(tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
    swapped = (tiny_data.labels[1], tiny_data.labels[0], *tiny_data.labels[2:])
    with pytest.raises(DataError, match=facts("labels are sadness, joy", "'test' are joy, sadness")):
        evaluate(tiny_tuned, dataclasses.replace(tiny_data.test, labels=swapped))


def test_no_rows_are_refused(tiny_tuned: Classifier, tiny_data: TextDataset) -> None:
    with pytest.raises(DataError, match="'test' has no rows"):
        evaluate(tiny_tuned, tiny_data.test.take([]))


def test_logits_that_are_not_finite_are_refused(
    tiny_base: Classifier, tiny_data: TextDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = np.zeros((len(tiny_data.test), 6), dtype=np.float32)
    logits[[1, 3], 2] = [np.nan, np.inf]
    monkeypatch.setattr("emotune.evaluation.evaluate.compute_logits", lambda *args, **kwargs: logits)
    with pytest.raises(ModelError, match=facts(f"2 rows of {len(logits)}", "'test'", "not finite")):
        evaluate(tiny_base, tiny_data.test)

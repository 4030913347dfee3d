"""Baselines: the majority class by hand, logistic regression on frozen features against scikit-learn on plain features."""

from __future__ import annotations

import copy
import dataclasses
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from emotune.evaluation.baselines import STRENGTHS, frozen_features, majority_class, mean_features

from .conftest import MakeSplit

if TYPE_CHECKING:
    from emotune.data.dataset import Split, TextDataset
    from emotune.models.classifier import Classifier


class TestMajorityClass:
    def test_by_hand(self, make_split: MakeSplit) -> None:
        train, test = make_split([1, 0, 1, 1, 0, 2, 1, 1], name="train"), make_split([0, 1, 1, 2])
        found = majority_class(train, test)
        assert found.predictions.tolist() == [1, 1, 1, 1]
        assert found.metrics.accuracy == 0.5
        assert found.metrics.macro_f1 == pytest.approx((2 * 0.5 * 1 / 1.5) / 3)
        # In training: 2 of 8, 5 of 8, 1 of 8.
        assert found.metrics.loss == pytest.approx(-np.log([2 / 8, 5 / 8, 5 / 8, 1 / 8]).mean())
        assert found.probabilities is not None
        assert found.probabilities.tolist() == [[0.25, 0.625, 0.125]] * 4
        assert "'joy'" in found.note

    def test_is_the_commonest_label_of_training_not_of_the_scored_rows(self, make_split: MakeSplit) -> None:
        found = majority_class(make_split([2, 2, 0], name="train"), make_split([0, 0, 0, 1]))
        assert found.predictions.tolist() == [2, 2, 2, 2]
        assert found.metrics.accuracy == 0


def plain_features(base: Classifier, split: Split) -> NDArray[np.float32]:
    """The reference: every text on its own, the mean over its tokens."""
    encoder = base.model.base_model
    with torch.no_grad():
        rows = [
            encoder(**base.tokenizer(text, return_tensors="pt")).last_hidden_state.mean(1).numpy()[0]
            for text in split.texts
        ]
    return np.stack(rows)


class TestFrozenFeatures:
    def test_features_are_the_mean_over_the_tokens_and_not_the_padding(
        self, tiny_base: Classifier, tiny_data: TextDataset
    ) -> None:
        texts = tuple(" ".join([text] * (row % 4 + 1)) for row, text in enumerate(tiny_data.test.texts))
        split = dataclasses.replace(tiny_data.test, texts=texts)
        found = mean_features(tiny_base, split)
        np.testing.assert_allclose(found, plain_features(tiny_base, split), rtol=1e-4, atol=1e-5)

    def test_is_scikit_learn_on_those_features_with_the_strength_that_validation_likes_best(
        self, tiny_base: Classifier, tiny_data: TextDataset
    ) -> None:
        features = {split.name: plain_features(tiny_base, split) for split in tiny_data.splits}
        scaler = StandardScaler().fit(features["train"])
        models = {
            strength: LogisticRegression(C=strength, max_iter=2000).fit(
                scaler.transform(features["train"]), tiny_data.train.label_ids
            )
            for strength in STRENGTHS
        }
        scores = {
            strength: f1_score(
                tiny_data.validation.label_ids,
                model.predict(scaler.transform(features["validation"])),
                average="macro",
                zero_division=0.0,
            )
            for strength, model in models.items()
        }
        best = max(scores, key=lambda strength: scores[strength])
        found = frozen_features(tiny_base, tiny_data)
        assert _strength(found.note) == best
        expected = models[best].predict_proba(scaler.transform(features["test"]))
        assert found.probabilities is not None
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-3)
        assert found.predictions.tolist() == expected.argmax(axis=1).tolist()

    def test_is_better_than_chance(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        found = frozen_features(tiny_base, tiny_data)
        assert found.metrics.accuracy > 2 / len(tiny_data.labels)
        assert found.metrics.accuracy > majority_class(tiny_data.train, tiny_data.test).metrics.accuracy

    def test_the_test_labels_decide_nothing(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        permuted = np.random.default_rng(0).permutation(tiny_data.test.label_ids)
        other = dataclasses.replace(tiny_data, test=dataclasses.replace(tiny_data.test, label_ids=permuted))
        expected, found = frozen_features(tiny_base, tiny_data), frozen_features(tiny_base, other)
        assert found.note == expected.note
        assert found.predictions.tolist() == expected.predictions.tolist()
        assert found.metrics.accuracy != expected.metrics.accuracy

    def test_the_head_plays_no_part(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        model = copy.deepcopy(tiny_base.model)
        torch.nn.init.zeros_(model.classifier.weight)
        expected = frozen_features(tiny_base, tiny_data)
        found = frozen_features(dataclasses.replace(tiny_base, model=model), tiny_data)
        assert found.probabilities is not None
        assert expected.probabilities is not None
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)


def _strength(note: str) -> float:
    match = re.search(r"C=([\d.e-]+)", note)
    assert match
    return float(match[1])

"""Baselines: the majority class by hand, logistic regression on frozen features against scikit-learn on plain features."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.preprocessing import StandardScaler

from emotune.evaluation.baselines import frozen_features, majority_class
from emotune.inference.features import layer_features
from emotune.tasks.choosing import Judges
from emotune.tasks.probe import STRENGTHS

from ..conftest import EMOTIONS
from .conftest import MakeSplit

if TYPE_CHECKING:
    from emotune.data.dataset import Split, TextDataset
    from emotune.evaluation.scores import Evaluation
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
        assert found.validation_macro_f1 is None

    def test_its_macro_f1_on_validation_by_hand(self, make_split: MakeSplit) -> None:
        train, validation = make_split([1, 0, 1], name="train"), make_split([1, 1, 0, 2], name="validation")
        found = majority_class(train, make_split([0]), validation)
        assert found.validation_macro_f1 == pytest.approx((2 * 0.5 * 1 / 1.5) / 3)

    def test_is_the_commonest_label_of_training_not_of_the_scored_rows(self, make_split: MakeSplit) -> None:
        found = majority_class(make_split([2, 2, 0], name="train"), make_split([0, 0, 0, 1]))
        assert found.predictions.tolist() == [2, 2, 2, 2]
        assert found.metrics.accuracy == 0


def plain_features(base: Classifier, split: Split) -> NDArray[np.float32]:
    """The reference: every text on its own, the mean of each hidden state over its tokens. Shape (states, rows, hidden)."""
    encoder = base.model.base_model
    with torch.no_grad():
        rows = [
            np.concatenate(
                [
                    state.mean(1).numpy()
                    for state in encoder(
                        **base.tokenizer(text, return_tensors="pt"), output_hidden_states=True
                    ).hidden_states
                ]
            )
            for text in split.texts
        ]
    return np.stack(rows, axis=1)


class Reference:
    """Plain scikit-learn on plain features, by the setting that a note names."""

    def __init__(self, base: Classifier, data: TextDataset, found: Evaluation) -> None:
        match = re.search(r"\(C=([\d.]+)\) on the means? of (all 3|the embeddings|layer 1|the last layer)", found.note)
        assert match
        self.strength = float(match[1])
        self.states = {"all 3": [0, 1, 2], "the embeddings": [0], "layer 1": [1], "the last layer": [2]}[match[2]]
        self.data = data
        self.judges = Judges.of(data.train, data.validation)
        self.features = {split.name: plain_features(base, split) for split in data.splits}

    def fit(
        self, states: list[int], strength: float, rows: NDArray[np.int64] | None = None
    ) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
        """Logits of a classifier that learns from some training rows; features are standardized over all."""
        together = np.concatenate(self.features["train"][states], axis=1)
        scaler = StandardScaler().fit(together)
        rows = np.arange(len(together)) if rows is None else rows
        model = LogisticRegression(C=strength, tol=1e-7, max_iter=5000)
        model.fit(scaler.transform(together[rows]), self.data.train.label_ids[rows])
        return lambda features: model.decision_function(scaler.transform(np.concatenate(features[states], axis=1)))

    def judged(self, states: list[int], strength: float) -> tuple[float, float]:
        """Loss at the best temperature, and macro-F1, of validation and the training rows out of fold."""
        parts = [self.features["validation"], *(self.features["train"][:, part] for part in self.judges.parts)]
        logits = np.concatenate(
            [self.fit(states, strength, rows)(part) for rows, part in zip(self.judges.learners, parts, strict=True)]
        )
        losses = [
            log_loss(self.judges.truth, softmax(logits / temperature, axis=1), labels=range(len(EMOTIONS)))
            for temperature in np.geomspace(0.1, 10, 200)
        ]
        f1 = f1_score(self.judges.truth, logits.argmax(axis=1), average="macro", zero_division=0)
        return min(losses), float(f1)


@pytest.fixture(scope="module")
def scored(tiny_base: Classifier, tiny_data: TextDataset) -> Evaluation:
    return frozen_features(tiny_base, tiny_data)


@pytest.fixture(scope="module")
def reference(tiny_base: Classifier, tiny_data: TextDataset, scored: Evaluation) -> Reference:
    return Reference(tiny_base, tiny_data, scored)


class TestFrozenFeatures:
    def test_is_scikit_learn_on_plain_features_with_the_setting_that_its_note_names(
        self, scored: Evaluation, reference: Reference, tiny_data: TextDataset
    ) -> None:
        logits = reference.fit(reference.states, reference.strength)
        assert scored.probabilities is not None
        np.testing.assert_allclose(scored.probabilities, softmax(logits(reference.features["test"]), axis=1), atol=5e-3)
        validated = logits(reference.features["validation"]).argmax(axis=1)
        expected = f1_score(tiny_data.validation.label_ids, validated, average="macro", zero_division=0)
        assert scored.validation_macro_f1 == pytest.approx(expected)

    @pytest.mark.slow
    def test_no_neighbouring_strength_and_no_single_state_is_better(
        self, scored: Evaluation, reference: Reference
    ) -> None:
        loss, f1 = reference.judged(reference.states, reference.strength)
        place = STRENGTHS.index(reference.strength)
        for neighbour in STRENGTHS[max(0, place - 1) : place + 2]:
            assert reference.judged(reference.states, neighbour)[0] > loss - 2e-3
        for state in range(3):
            assert reference.judged([state], 0.01)[1] <= f1 + 0.01

    def test_is_better_than_chance(self, scored: Evaluation, tiny_data: TextDataset) -> None:
        assert scored.metrics.accuracy > 2 / len(tiny_data.labels)
        assert scored.metrics.accuracy > majority_class(tiny_data.train, tiny_data.test).metrics.accuracy

    def test_the_test_labels_decide_nothing(
        self, tiny_base: Classifier, tiny_data: TextDataset, scored: Evaluation
    ) -> None:
        permuted = np.random.default_rng(0).permutation(tiny_data.test.label_ids)
        other = dataclasses.replace(tiny_data, test=dataclasses.replace(tiny_data.test, label_ids=permuted))
        found = frozen_features(tiny_base, other)
        assert found.note == scored.note
        assert found.predictions.tolist() == scored.predictions.tolist()
        assert found.metrics.accuracy != scored.metrics.accuracy

    def test_the_head_plays_no_part(self, tiny_base: Classifier, tiny_data: TextDataset, scored: Evaluation) -> None:
        model = copy.deepcopy(tiny_base.model)
        torch.nn.init.zeros_(model.classifier.weight)
        found = frozen_features(dataclasses.replace(tiny_base, model=model), tiny_data)
        assert found.probabilities is not None
        assert scored.probabilities is not None
        np.testing.assert_array_equal(found.probabilities, scored.probabilities)

    def test_test_rows_are_encoded_in_float32_whatever_the_others_are(
        self, tiny_base: Classifier, tiny_data: TextDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: dict[str, set[torch.dtype | None]] = {}

        def spy(*arguments: Any, **options: Any) -> NDArray[np.float32]:
            seen.setdefault(options["description"], set()).add(options["dtype"])
            return layer_features(*arguments, **options)

        monkeypatch.setattr("emotune.evaluation.frozen.layer_features", spy)
        frozen_features(tiny_base, tiny_data, dtype=torch.bfloat16)
        assert seen == {
            "features of train": {torch.bfloat16},
            "features of validation": {torch.bfloat16},
            "features of test": {None},
        }

    def test_learns_from_a_part_of_many_rows_and_says_so(self, tiny_base: Classifier, tiny_data: TextDataset) -> None:
        hidden_states, hidden = 3, 32
        found = frozen_features(tiny_base, tiny_data, most_numbers=60 * hidden_states * hidden)
        assert "Learned and chosen with 60 of 120 training rows" in found.note
        # Validation may hold a quarter as much, and is scored whole all the same.
        assert found.validation_macro_f1 is not None
        assert found.metrics.accuracy > 1 / len(tiny_data.labels)

    def test_many_test_rows_are_scored_in_parts(
        self, tiny_base: Classifier, tiny_data: TextDataset, scored: Evaluation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("emotune.evaluation.frozen.ROWS_AT_A_TIME", 7)
        found = frozen_features(tiny_base, tiny_data)
        assert found.probabilities is not None
        assert scored.probabilities is not None
        np.testing.assert_allclose(found.probabilities, scored.probabilities, atol=1e-5)

    @pytest.mark.parametrize("rare", [1, 2])
    def test_small_classes(self, tiny_base: Classifier, tiny_data: TextDataset, rare: int) -> None:
        of_label = np.flatnonzero(tiny_data.train.label_ids == 5)
        kept = np.setdiff1d(np.arange(len(tiny_data.train)), of_label[rare:])
        found = frozen_features(tiny_base, dataclasses.replace(tiny_data, train=tiny_data.train.take(kept)))
        assert found.probabilities is not None
        assert np.isfinite(found.probabilities).all()
        assert found.probabilities.shape == (36, 6)

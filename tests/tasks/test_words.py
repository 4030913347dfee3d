"""The words' baseline against plain scikit-learn pipelines of the setting that its note names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from emotune.data.dataset import Split, TextDataset
from emotune.data.load import load_data
from emotune.evaluation.baselines import bag_of_words
from emotune.tasks.choosing import Judges
from emotune.tasks.words import LEARNERS, VOCABULARIES, WORD, Learner, Vocabulary

if TYPE_CHECKING:
    from emotune.evaluation.scores import Evaluation


def pipeline(vocabulary: Vocabulary, learner: Learner) -> Any:
    """The reference."""
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2 if vocabulary.pairs else 1),
        min_df=vocabulary.least_rows,
        sublinear_tf=True,
        token_pattern=WORD,
        dtype=np.float32,
    )
    weights = "balanced" if learner.balanced else None
    if learner.svm:
        return make_pipeline(vectorizer, LinearSVC(C=learner.strength, class_weight=weights, random_state=0))
    return make_pipeline(
        vectorizer, LogisticRegression(C=learner.strength, class_weight=weights, max_iter=300, tol=1e-3)
    )


def named(found: Evaluation) -> tuple[Vocabulary, Learner]:
    """The setting that a note names."""
    match = re.search(r"(linear SVM|logistic regression) \(C=([\d.]+)(, classes weighted alike)?\) on", found.note)
    assert match
    learner = Learner(match[1] == "linear SVM", float(match[2]), match[3] is not None)
    return Vocabulary("pairs of words" in found.note, 2 if "stand in 2 training rows" in found.note else 1), learner


def data_of(
    train: Sequence[tuple[str, int]], others: Sequence[tuple[str, int]], labels: tuple[str, ...]
) -> TextDataset:
    """A data set whose validation and test rows are the same."""

    def split(name: str, rows: Sequence[tuple[str, int]]) -> Split:
        return Split(name, tuple(text for text, _ in rows), np.array([i for _, i in rows], dtype=np.int64), labels)

    return TextDataset("made", labels, split("train", train), split("validation", others), split("test", others))


@pytest.fixture(scope="module")
def noisy(tiny_data: TextDataset) -> TextDataset:
    """The tiny data with words taken off, so that mistakes are made."""

    def shorter(split: Split) -> Split:
        return dataclasses.replace(split, texts=tuple(" ".join(text.split()[:3]) for text in split.texts))

    return dataclasses.replace(
        tiny_data,
        train=shorter(tiny_data.train),
        validation=shorter(tiny_data.validation),
        test=shorter(tiny_data.test),
    )


@pytest.fixture(scope="module")
def scored(noisy: TextDataset) -> Evaluation:
    return bag_of_words(noisy)


def test_equals_the_pipeline_that_its_note_names(noisy: TextDataset, scored: Evaluation) -> None:
    model = pipeline(*named(scored)).fit(noisy.train.texts, noisy.train.label_ids)
    assert scored.predictions.tolist() == model.predict(noisy.test.texts).tolist()
    validated = model.predict(noisy.validation.texts)
    expected = f1_score(noisy.validation.label_ids, validated, average="macro", zero_division=0)
    assert scored.validation_macro_f1 == pytest.approx(expected)
    assert scored.parameters == model[-1].coef_.size + model[-1].intercept_.size


def test_is_the_best_learner_on_its_vocabulary(noisy: TextDataset, scored: Evaluation) -> None:
    judges = Judges.of(noisy.train, noisy.validation)
    assert len(judges.parts) == 5
    vocabulary, chosen = named(scored)
    texts = np.array(noisy.train.texts, dtype=object)
    weighted = pipeline(vocabulary, chosen)[0].fit(texts)

    def judged(learner: Learner) -> float:
        predictions = []
        for rows, part in zip(
            judges.learners, [noisy.validation.texts, *(texts[part] for part in judges.parts)], strict=True
        ):
            model = pipeline(vocabulary, learner)[-1].fit(weighted.transform(texts[rows]), noisy.train.label_ids[rows])
            predictions.append(model.predict(weighted.transform(part)))
        return float(f1_score(judges.truth, np.concatenate(predictions), average="macro", zero_division=0))

    assert judged(chosen) == pytest.approx(max(judged(learner) for learner in LEARNERS))


def test_probabilities_are_calibrated_and_change_no_label(noisy: TextDataset, scored: Evaluation) -> None:
    assert scored.probabilities is not None
    np.testing.assert_allclose(scored.probabilities.sum(axis=1), 1)
    assert scored.probabilities.argmax(axis=1).tolist() == scored.predictions.tolist()
    model = pipeline(*named(scored)).fit(noisy.train.texts, noisy.train.label_ids)
    decisions = model.decision_function(noisy.test.texts)
    raw = np.exp(decisions) / np.exp(decisions).sum(axis=1, keepdims=True)
    assert scored.metrics.loss is not None
    assert scored.metrics.loss < log_loss(noisy.test.label_ids, raw)
    # One temperature: logarithms of odds are those of the decision values, but for a factor.
    logs = np.log(scored.probabilities)
    odds, values = logs - logs[:, :1], decisions - decisions[:, :1]
    np.testing.assert_allclose(odds[:, 1:] / values[:, 1:], (odds[0, 1] / values[0, 1]), rtol=1e-6)


def test_the_test_rows_decide_nothing(noisy: TextDataset, scored: Evaluation) -> None:
    permuted = np.random.default_rng(0).permutation(noisy.test.label_ids)
    found = bag_of_words(dataclasses.replace(noisy, test=dataclasses.replace(noisy.test, label_ids=permuted)))
    assert found.note == scored.note
    assert found.validation_macro_f1 == scored.validation_macro_f1
    assert found.predictions.tolist() == scored.predictions.tolist()


def test_two_labels() -> None:
    rows = [(f"{'good fine' if row % 2 else 'bad poor'} thing {row % 7}", row % 2) for row in range(40)]
    found = bag_of_words(data_of(rows, rows[:9], ("no", "yes")))
    assert found.metrics.accuracy == 1
    assert found.probabilities is not None
    assert found.probabilities.shape == (9, 2)


def test_words_that_never_come_twice_leave_a_vocabulary() -> None:
    rows = [(f"a{row} b{row}", row % 3) for row in range(12)]
    found = bag_of_words(data_of(rows, rows[:6], ("a", "b", "c")))
    assert "stand in 2 training rows" not in found.note
    assert found.metrics.accuracy == 1


@pytest.mark.parametrize("rare", [1, 2, 3])
def test_small_classes(rare: int) -> None:
    rows = [(f"{'red' if row % 2 else 'blue'} word{row % 5}", row % 2) for row in range(30)]
    rows += [(f"green word{row}", 2) for row in range(rare)]
    found = bag_of_words(data_of(rows, rows[:4] + rows[-1:], ("blue", "red", "green")))
    assert found.predictions.tolist() == [0, 1, 0, 1, 2]
    assert found.probabilities is not None
    assert np.isfinite(found.probabilities).all()


def test_every_vocabulary_and_learner_is_another() -> None:
    assert len({str(found) for found in VOCABULARIES}) == len(VOCABULARIES)
    assert len({str(found) for found in LEARNERS}) == len(LEARNERS)


@pytest.mark.slow
@pytest.mark.real
def test_on_the_real_data_it_is_a_competent_opponent(real_data: str) -> None:
    found = bag_of_words(load_data(real_data))
    assert found.metrics.accuracy >= 0.89
    assert found.metrics.macro_f1 >= 0.845

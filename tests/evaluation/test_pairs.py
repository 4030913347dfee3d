"""Pairs of texts from a split to files of predictions and back, in baselines, explanations and scores."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from emotune.data.dataset import Split
from emotune.evaluation.attribution import explain
from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.foreign import read_foreign
from emotune.evaluation.saved import read_predictions, write_evaluation
from emotune.evaluation.scores import Evaluation, score
from emotune.folder.tuned import TunedClassifier
from emotune.inference.predictor import Predictor
from emotune.system.errors import DataError
from emotune.system.pairs import TextPair
from emotune.tasks.words import _Sides

LABELS = ("a", "b")
PAIRS = (TextPair("badi bedo", "luvu"), TextPair("luvu", "badi"), TextPair("badi bedo", "badi"))


def make_evaluation() -> Evaluation:
    split = Split("test", PAIRS, np.array([0, 1, 0]), LABELS)
    probabilities = np.array([[0.75, 0.25], [0.25, 0.75], [0.25, 0.75]])
    predictions = probabilities.argmax(axis=1)
    return Evaluation("m", split, probabilities, None, predictions, score(split, predictions, probabilities), 0.0)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_files_of_predictions_hold_both_texts(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"predictions{suffix}"
    write_evaluation(make_evaluation(), path, suffix)
    found = read_foreign(path)
    assert found.texts == PAIRS
    assert all(isinstance(text, TextPair) for text in found.texts)
    if suffix == ".parquet":
        again = read_predictions(path, LABELS, "m").split
        assert again.pairs == ("luvu", "badi", "badi")
        assert again.fingerprint == make_evaluation().split.fingerprint


def test_a_model_of_pairs_takes_pairs_only(tiny_tuned: TunedClassifier) -> None:
    pairs = dataclasses.replace(tiny_tuned, pairs=True)
    with Predictor(pairs) as predictor:
        found = predictor.predict([("badi bedo", "luvu"), ("luvu", "badi"), PAIRS[2]])
        assert found.texts == PAIRS
        for wrong, said in [
            (["badi"], "Text 1 is a single text, where pairs"),
            ([("a", "b"), ("a", " ")], "The second text of pair 2 is blank"),
            ([("a", "b", "c")], "Text 1 is tuple"),
        ]:
            with pytest.raises(DataError, match=said):
                predictor.predict(wrong)  # type: ignore[arg-type]
        with pytest.raises(DataError, match="Text 1 is a single text"):
            list(predictor.stream(iter(["badi"])))
    with pytest.raises(DataError, match="Text 1 is a pair, where single texts"):
        Predictor(tiny_tuned).predict([("a", "b")])
    split = Split("test", ("badi",), np.array([0]), tiny_tuned.labels)
    with pytest.raises(DataError, match="was trained on pairs of texts"):
        evaluate(pairs, split)
    with pytest.raises(DataError, match="was trained on single texts"):
        evaluate(tiny_tuned, dataclasses.replace(split, texts=PAIRS[:1]))


@pytest.mark.slow
def test_words_of_both_texts_are_explained(tiny_tuned: TunedClassifier) -> None:
    found = explain(dataclasses.replace(tiny_tuned, pairs=True), PAIRS, [0, 0, 1])
    assert found is not None
    assert found[0].pieces == ("badi", "bedo", "\u241f", "luvu")
    for words in found:
        assert max(words.weights) == 1
        assert words.weights[words.pieces.index("\u241f")] == 0  # it is not in the model's input


def test_the_words_baseline_tells_the_sides_apart() -> None:
    analyze = _Sides(str.split)
    assert analyze(TextPair("x y", "x")) == ["x", "y", "\u241fx"]
    assert analyze("x y") == ["x", "y"]

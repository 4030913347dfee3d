"""The scores without leaked rows are scikit-learn's on the other rows, near repeats among those left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from emotune.data.auditing.audit import audit_data
from emotune.data.dataset import Split, TextDataset
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.leaks import find_leaks
from emotune.evaluation.scores import Evaluation, score
from emotune.evaluation.words.leaks import leaks_sentence

from ..facts import states

LABELS = ("bad", "good")
TRAIN = (
    "the waiter was rude and the soup was cold again",
    "we loved every minute of our stay by the sea",
    "nobody ever answered the phone when i called them",
    "a lovely small place with the kindest people in town",
)
EXACT, TRIVIAL, NEAR = TRAIN[0], TRAIN[1].upper() + "!", TRAIN[2].replace("phone", "bell")
OTHERS = tuple(f"sentence about thing{i} that shares item{i} with no row{i} at all{i} really{i}" for i in range(5))


def split_of(name: str, texts: tuple[str, ...], ids: list[int]) -> Split:
    return Split(name, texts, np.array(ids, dtype=np.int64), LABELS)


def evaluation_of(name: str, split: Split, predictions: list[int], validation: float | None = None) -> Evaluation:
    found = np.array(predictions, dtype=np.int64)
    return Evaluation(name, split, None, None, found, score(split, found, None), 0.0, validation_macro_f1=validation)


@pytest.fixture
def data() -> TextDataset:
    test = split_of("test", (EXACT, OTHERS[0], TRIVIAL, OTHERS[1], NEAR, *OTHERS[2:]), [0, 1, 1, 0, 0, 1, 1, 0])
    train = split_of("train", TRAIN, [0, 1, 0, 1])
    validation = split_of("validation", ("something that stands for itself", "and this as well"), [0, 1])
    return TextDataset("made up", LABELS, train, validation, test)


@pytest.fixture
def comparison(data: TextDataset) -> Comparison:
    return Comparison(
        evaluation_of("before", data.test, [1, 1, 1, 1, 1, 1, 1, 1]),
        evaluation_of("after", data.test, [0, 0, 1, 0, 0, 1, 0, 0]),
        (
            evaluation_of("weak", data.test, [0, 0, 0, 0, 0, 0, 0, 0], 0.3),
            evaluation_of("strong", data.test, [0, 1, 1, 0, 0, 1, 0, 0], 0.6),
        ),
    )


def test_near_repeats_are_left_out_as_well(data: TextDataset, comparison: Comparison) -> None:
    leaks = find_leaks(comparison, audit_data(data))
    assert leaks is not None
    assert leaks.kinds == {"exact": 1, "trivial": 1, "near": 1}
    assert leaks.rows.tolist() == [0, 2, 4]
    assert (leaks.count, leaks.others) == (3, 5)
    assert leaks.without is not None
    kept = [1, 3, 5, 6, 7]
    truth = data.test.label_ids[kept]
    pairs = zip(
        (comparison.before, comparison.after, *comparison.baselines),
        (leaks.without.before, leaks.without.after, *leaks.without.baselines),
        strict=True,
    )
    for whole, rest in pairs:
        assert rest.split.texts == OTHERS
        assert rest.metrics.accuracy == accuracy_score(truth, whole.predictions[kept])
        assert rest.metrics.macro_f1 == pytest.approx(f1_score(truth, whole.predictions[kept], average="macro"))
    assert leaks.without.best_baseline is leaks.without.baselines[1]
    assert leaks.figures()["leaked"] == leaks.kinds
    assert leaks.figures()["after"]["accuracy"] == 0.6


def test_the_sentence_has_the_counts_and_both_models(data: TextDataset, comparison: Comparison) -> None:
    leaks = find_leaks(comparison, audit_data(data))
    assert leaks is not None
    said, baseline = leaks_sentence(leaks).split("; ")
    assert states(said, "Without the 3 test rows", "1 identical", "1 the same but for case", "1 nearly the same")
    assert states(said, "accuracy 0.6000 instead of 0.7500", "macro-F1 0.5833 instead of 0.7333", "on 5 rows")
    assert states(baseline, "best baseline", "'strong'", "0.8000 and 0.8000")


def test_of_several_seeds_the_sentence_has_the_means(data: TextDataset, comparison: Comparison) -> None:
    """The second seed is right on every row, the first on 6 of 8, and on 3 of the 5 that do not leak."""
    perfect = replace(comparison.after, predictions=data.test.label_ids, probabilities=None, logits=None)
    perfect = replace(perfect, metrics=score(data.test, perfect.predictions, None))
    leaks = find_leaks(replace(comparison, seeds=(comparison.after, perfect)), audit_data(data))
    assert leaks is not None
    said = leaks_sentence(leaks)
    assert "accuracy 0.8000 instead of 0.8750" in said
    assert "(mean of 2 seeds), on 5 rows" in said


def test_no_leaks_no_second_score(data: TextDataset, comparison: Comparison) -> None:
    apart = replace(data, train=split_of("train", ("one text", "another one"), [0, 1]))
    assert find_leaks(comparison, audit_data(apart)) is None


def test_where_every_row_leaks_nothing_is_scored(data: TextDataset, comparison: Comparison) -> None:
    leaks = find_leaks(comparison, audit_data(replace(data, train=replace(data.test, name="train"))))
    assert leaks is not None
    assert leaks.without is None
    assert leaks.figures()["after"] is None
    assert states(leaks_sentence(leaks), "Every test row", "8 identical", "none is left")

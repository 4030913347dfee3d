"""Models that number the same labels differently are compared by the labels' names; the reference is scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from emotune.data.dataset import Split
from emotune.evaluation.compare import compare
from emotune.evaluation.label_order import with_labels_of
from emotune.evaluation.saved import read_predictions, write_evaluation
from emotune.evaluation.scores import Evaluation, score
from emotune.evaluation.several import SeveralComparison
from emotune.system.errors import DataError
from emotune.tasks.base import Task
from emotune.tasks.multi_label import MULTI_LABEL
from emotune.tasks.ordered import ORDERED
from emotune.tasks.single_label import SINGLE_LABEL

LABELS = ("joy", "anger", "fear", "love")
OTHER = ("love", "joy", "anger", "fear")
PLACES = [LABELS.index(label) for label in OTHER]
THRESHOLDS = (0.2, 0.7, 0.5, 0.9)


def made_up(task: Task, name: str = "one", seed: int = 0, rows: int = 60) -> Evaluation:
    """An evaluation of random logits; the rows do not depend on the seed."""
    truth = np.random.default_rng(7)
    shape = (rows, len(LABELS))
    targets = truth.integers(0, 2, shape).astype(np.int8) if task.several else truth.integers(0, len(LABELS), rows)
    logits = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    split = Split("test", tuple(f"text {row}" for row in range(rows)), targets, LABELS, task=task)
    probabilities = task.probabilities(logits)
    predictions = task.decide(logits)
    return Evaluation(name, split, probabilities, logits, predictions, score(split, predictions, probabilities), 0.0)


def numbered_otherwise(found: Evaluation, task: Task) -> Evaluation:
    """The same model and rows with the labels in the other order, permuted by hand."""
    split, ids = found.split, found.split.label_ids
    assert found.logits is not None
    assert found.probabilities is not None
    targets = ids[:, PLACES] if task.several else np.array([PLACES.index(number) for number in ids])
    other = replace(split, label_ids=targets, labels=OTHER, task=task)
    logits, probabilities = found.logits[:, PLACES], found.probabilities[:, PLACES]
    predictions = task.decide(logits)
    return Evaluation("other", other, probabilities, logits, predictions, score(other, predictions, probabilities), 0.0)


TASKS = {
    "single-label": (SINGLE_LABEL, SINGLE_LABEL),
    "multi-label": (MULTI_LABEL.deciding(THRESHOLDS), MULTI_LABEL.deciding([THRESHOLDS[place] for place in PLACES])),
    "multi-label, at least one": (MULTI_LABEL.answering(at_least_one=True),) * 2,
}


def by_scikit_learn(found: Evaluation) -> dict[str, tuple[float, ...]]:
    """Precision, recall, F1 and rows of each label, from names only."""
    split = found.split
    truth, given = (split.task.written(values, split.labels) for values in (split.label_ids, found.predictions))
    if split.task.several:
        truth, given = ([[label in row for label in LABELS] for row in rows] for rows in (truth, given))
        scores: Any = precision_recall_fscore_support(truth, given, zero_division=0)
    else:
        scores = precision_recall_fscore_support(truth, given, labels=list(LABELS), zero_division=0)
    return dict(zip(LABELS, map(tuple, np.transpose(scores).tolist()), strict=True))


def by_label(found: Evaluation) -> dict[str, tuple[float, ...]]:
    """The same as emotune has them."""
    return {label: (one.precision, one.recall, one.f1, one.support) for label, one in found.metrics.per_class.items()}


@pytest.mark.parametrize("kind", TASKS)
def test_a_permuted_copy_differs_in_nothing(kind: str) -> None:
    task, other_task = TASKS[kind]
    one = made_up(task)
    other = numbered_otherwise(one, other_task)
    aligned = with_labels_of(one, other)
    assert aligned.split.fingerprint == one.split.fingerprint
    assert aligned.split.task == task
    assert aligned.metrics == one.metrics
    np.testing.assert_array_equal(aligned.predictions, one.predictions)
    np.testing.assert_array_equal(aligned.logits, one.logits)
    np.testing.assert_array_equal(aligned.probabilities, one.probabilities)

    found: Any = compare(one, other)
    if isinstance(found, SeveralComparison):
        statistics = found.statistics["one"]
        assert (statistics.fixed, statistics.broken) == (0, 0)
        assert statistics.micro_f1_difference == 0
        assert all(one.f1_difference == one.fixed == one.broken == 0 for one in statistics.per_class.values())
    else:
        assert len(found.fixed) == len(found.broken) == 0
        assert found.statistics.accuracy.estimate == 0
    assert not (found.before.predictions != found.after.predictions).any()


@pytest.mark.parametrize("kind", TASKS)
def test_scores_of_labels_keep_their_names(kind: str) -> None:
    task, other_task = TASKS[kind]
    one, second = made_up(task), made_up(task, "two", seed=1)
    other = numbered_otherwise(second, other_task)
    found: Any = compare(one, other, other)
    for model in (found.after, *found.baselines):
        assert model.split.labels == LABELS
        found_scores = by_label(model)
        for reference in (by_scikit_learn(second), by_scikit_learn(other)):
            for label in LABELS:
                assert found_scores[label] == pytest.approx(reference[label])
        assert model.metrics.macro_f1 == second.metrics.macro_f1
    straight: Any = compare(one, second)
    assert str(found.after.metrics) == str(straight.after.metrics)


@pytest.mark.parametrize("kind", ["single-label", "multi-label"])
def test_saved_predictions_likewise(kind: str, tmp_path: Any) -> None:
    task, other_task = TASKS[kind]
    one = made_up(task)
    write_evaluation(numbered_otherwise(one, other_task), tmp_path / "other.parquet")
    other = read_predictions(tmp_path / "other.parquet", OTHER, "other", other_task)
    assert with_labels_of(one, other).metrics == one.metrics


def test_labels_whose_order_has_a_meaning_are_not_reordered() -> None:
    one = made_up(ORDERED)
    other = numbered_otherwise(one, ORDERED)
    assert with_labels_of(one, other) is other
    with pytest.raises(DataError, match=r"meaningful order, and it differs \(joy, .* against love, .*--labels"):
        compare(one, other)


def test_other_labels_stay_as_they_are() -> None:
    one = made_up(SINGLE_LABEL)
    split = replace(one.split, labels=("joy", "anger", "fear", "hate"))
    other = replace(one, split=split)
    assert with_labels_of(one, other) is other

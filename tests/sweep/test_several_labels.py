"""Sweeps over rows with several labels: the same statistics, about subset accuracy, with the thresholds of each model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score

from emotune.data.dataset import Split
from emotune.evaluation.differences import differences
from emotune.evaluation.scores import Evaluation, score
from emotune.evaluation.seeds import SeedStudy
from emotune.tasks.multi_label import MULTI_LABEL

LABELS = ("joy", "fear", "love")


def evaluations(rows: int, seed: int) -> tuple[Evaluation, Evaluation]:
    """Two models of the same rows, of which the second makes fewer mistakes."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((rows, 3)) < 0.4).astype(np.int8)
    split = Split("test", tuple(f"text {row}" for row in range(rows)), truth, LABELS, task=MULTI_LABEL)
    found = []
    for name, wrong in (("first", 0.25), ("second", 0.1)):
        predictions = np.where(rng.random((rows, 3)) < wrong, 1 - truth, truth).astype(np.int8)
        given: Any = predictions
        found.append(Evaluation(name, split, None, None, given, score(split, given, None), 0.0, has_seed=True))
    return found[0], found[1]


def test_one_seed_is_compared_row_by_row() -> None:
    first, second = evaluations(300, 0)
    (found,) = differences(SeedStudy.of([{0: first}, {0: second}]), [(0, 1)], margin=0.05)
    assert found is not None
    truth = first.split.label_ids
    gained = accuracy_score(truth, second.predictions) - accuracy_score(truth, first.predictions)
    assert found.accuracy.estimate == pytest.approx(gained)
    exact = binomtest(found.fixed, found.fixed + found.broken).pvalue
    assert found.p_value <= exact  # the mid-p is smaller
    assert found.macro_f1 is not None
    macro = [f1_score(truth, model.predictions, average="macro") for model in (first, second)]
    assert found.macro_f1.estimate == pytest.approx(macro[1] - macro[0])
    assert found.macro_f1_p is None
    assert found.not_worse is not None


def test_seeds_are_pooled_as_of_one_label() -> None:
    groups = [dict(enumerate(models)) for models in zip(*(evaluations(200, 1) for _ in range(2)), strict=True)]
    study = SeedStudy.of(groups)
    assert study.right == "subset accuracy"
    found = study.difference(0, 1)
    assert found is not None
    truth = groups[0][0].split.label_ids
    assert found.accuracy.estimate == pytest.approx(
        accuracy_score(truth, groups[1][0].predictions) - accuracy_score(truth, groups[0][0].predictions)
    )
    assert found.accuracy.low < found.accuracy.estimate < found.accuracy.high

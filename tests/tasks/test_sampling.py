"""Balanced sampling: classes equally often, rows of a class equally often, decided by seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emotune.tasks.sampling import draw_balanced


@pytest.fixture
def label_ids() -> NDArray[np.int64]:
    """103 rows of four classes, shuffled; no row has label 2."""
    labels = np.repeat(np.array([0, 1, 3, 4]), [70, 25, 7, 1])
    return np.random.default_rng(0).permutation(labels)


def test_an_epoch_has_as_many_rows_and_the_classes_equally_often(label_ids: NDArray[np.int64]) -> None:
    in_all = np.zeros(5, dtype=np.int64)
    for epoch in range(4):
        rows = draw_balanced(label_ids, 0, epoch)
        assert len(rows) == len(label_ids)
        counts = np.bincount(label_ids[rows], minlength=5)
        assert sorted(counts.tolist()) == [0, 25, 26, 26, 26]
        in_all += counts
    assert in_all.tolist() == [103, 103, 0, 103, 103]  # the remainder goes round


def test_rows_of_a_class_come_equally_often_from_the_first_epoch_to_any(label_ids: NDArray[np.int64]) -> None:
    drawn = np.zeros(len(label_ids), dtype=np.int64)
    for epoch in range(12):
        drawn += np.bincount(draw_balanced(label_ids, 3, epoch), minlength=len(label_ids))
        for label in (0, 1, 3, 4):
            own = drawn[label_ids == label]
            assert own.max() - own.min() <= 1


def test_seed_and_epoch_decide_and_nothing_else(label_ids: NDArray[np.int64]) -> None:
    first = draw_balanced(label_ids, 5, 2)
    np.random.seed(1)
    np.testing.assert_array_equal(draw_balanced(label_ids, 5, 2), first)
    assert sorted(draw_balanced(label_ids, 6, 2)) != sorted(first)
    assert sorted(draw_balanced(label_ids, 5, 3)) != sorted(first)


def test_equal_classes_come_whole() -> None:
    labels = np.arange(30) % 3
    for epoch in range(3):
        assert sorted(draw_balanced(labels, 0, epoch)) == list(range(30))

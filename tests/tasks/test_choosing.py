"""Which rows choose: validation, and training rows out of fold where it has few."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from emotune.tasks.choosing import ENOUGH_ROWS, FOLDS, Judges, held_out, macro_f1

from ..evaluation.conftest import MakeSplit
from ..evaluation.conftest import make_split as make_split


def test_enough_validation_rows_choose_alone(make_split: MakeSplit) -> None:
    train, validation = make_split([0, 1, 2] * 50, name="train"), make_split([0, 1, 2, 0] * 250, name="validation")
    assert len(validation) == ENOUGH_ROWS
    judges = Judges.of(train, validation)
    assert judges.parts == ()
    assert [rows.tolist() for rows in judges.learners] == [list(range(150))]
    assert judges.said == "on validation"


def test_training_rows_make_up_for_what_validation_lacks(make_split: MakeSplit) -> None:
    train, validation = make_split([0, 1, 2] * 500, name="train"), make_split([0, 1, 2] * 200, name="validation")
    judges = Judges.of(train, validation)
    assert [len(part) for part in judges.parts] == [300, 300]
    assert judges.said == "on validation and 600 training rows out of fold"
    for part, rest in zip(judges.parts, judges.learners[1:], strict=True):
        assert sorted([*part, *rest]) == list(range(1500))
        assert np.bincount(train.label_ids[part]).tolist() == [100, 100, 100]
    assert not set(judges.parts[0]) & set(judges.parts[1])
    expected = [*validation.label_ids, *train.label_ids[judges.parts[0]], *train.label_ids[judges.parts[1]]]
    assert judges.truth.tolist() == expected


@pytest.mark.parametrize("labels", [[0] * 40 + [1] * 3 + [2] * 2, [0, 0, 1, 1], [0] * 9 + [1] * 2])
def test_a_class_of_two_rows_is_learned_beside_every_part(make_split: MakeSplit, labels: list[int]) -> None:
    train = make_split(labels, name="train")
    parts = held_out(train, ENOUGH_ROWS)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for part in parts:
        assert set(np.delete(train.label_ids, part)) == set(labels)


def test_a_class_of_one_row_never_leaves_a_single_class(make_split: MakeSplit) -> None:
    train = make_split([0] * 6 + [1], name="train")
    parts = held_out(train, ENOUGH_ROWS)
    assert len(parts) == FOLDS - 1
    assert 6 not in np.concatenate(parts)


def test_copies_of_a_text_share_a_part(make_split: MakeSplit) -> None:
    from dataclasses import replace

    train = make_split([0, 1] * 50, name="train")
    texts = tuple(f"Text {row % 40}" if row % 3 else f"TEXT {row % 40}" for row in range(100))
    part_of: dict[str, set[int]] = {}
    for number, part in enumerate(held_out(replace(train, texts=texts), ENOUGH_ROWS)):
        for row in part:
            part_of.setdefault(texts[row].lower(), set()).add(number)
    assert len(part_of) == 40
    assert all(len(found) == 1 for found in part_of.values())


def test_macro_f1_counts_classes_without_rows() -> None:
    truth, predictions = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    expected = f1_score(truth, predictions, labels=[0, 1, 2], average="macro", zero_division=0)
    assert macro_f1(truth, predictions, 3) == pytest.approx(expected)

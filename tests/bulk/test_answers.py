"""Columns of predictions, in tables and in objects."""

from __future__ import annotations

import numpy as np
import pytest

from emotune.bulk.answers import AnswerColumns, Wanted
from emotune.inference.predictor import Predictions
from emotune.system.errors import ConfigError
from emotune.tasks.single_label import SINGLE_LABEL

LABELS = ("sadness", "joy", "fear")
FOUND = Predictions(
    texts=("a", "b"),
    labels=("joy", "sadness"),
    probabilities=np.array([[0.1, 0.7, 0.2], [0.4, 0.35, 0.25]]),
    label_names=LABELS,
    truncated=0,
)


def columns(wanted: Wanted, own: tuple[str, ...] = ("text",), *, nested: bool = False) -> AnswerColumns:
    return AnswerColumns(SINGLE_LABEL, LABELS, wanted, own, nested=nested)


def test_of_a_table() -> None:
    made = columns(Wanted(least_probability=0.5, probabilities=True, top_k=2))
    values = {name: list(column) for name, column in made.values(FOUND).items()}
    assert values == {
        "label": ["joy", None],
        "probability": [0.7, 0.4],
        "label_2": ["fear", "joy"],
        "probability_2": [0.2, 0.35],
        "p_sadness": [0.1, 0.4],
        "p_joy": [0.7, 0.35],
        "p_fear": [0.2, 0.25],
    }
    assert made.names == tuple(values)


def test_of_objects() -> None:
    values = columns(Wanted(probabilities=True, top_k=2), nested=True).values(FOUND)
    assert values["top"][0] == [{"label": "joy", "probability": 0.7}, {"label": "fear", "probability": 0.2}]
    assert values["probabilities"][1] == {"sadness": 0.4, "joy": 0.35, "fear": 0.25}


def test_equally_likely_labels_are_ranked_in_their_order() -> None:
    assert SINGLE_LABEL.ranked(np.array([[0.25, 0.25, 0.5]]), LABELS, 3) == [
        [("fear", 0.5), ("sadness", 0.25), ("joy", 0.25)]
    ]


@pytest.mark.parametrize(("own", "label"), [(("text",), "label"), (("text", "probability"), "predicted_label")])
def test_all_get_a_prefix_if_one_name_is_taken(own: tuple[str, ...], label: str) -> None:
    assert columns(Wanted(), own).label == label


def test_more_labels_than_there_are_are_refused() -> None:
    with pytest.raises(ConfigError, match="--top-k is 4, and the model has 3 labels"):
        columns(Wanted(top_k=4))


def test_names_taken_twice_are_refused() -> None:
    with pytest.raises(ConfigError, match="'predicted_label'"):
        columns(Wanted(), ("label", "predicted_label"))

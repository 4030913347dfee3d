"""Columns that a file of predictions adds to the rows of its input."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.inference.predictor import Predictions
from emotune.system.errors import ConfigError
from emotune.system.wording import counted, listed
from emotune.tasks.base import Task

_PREFIX = "predicted_"


@dataclass(frozen=True)
class Wanted:
    """Columns to add.

    Attributes:
        least_probability: Lowest probability of an answer that is given.
        probabilities: Add the probability of every label.
        top_k: Number of likeliest labels to add; 1 adds none besides the answer.
    """

    least_probability: float = 0.0
    probabilities: bool = False
    top_k: int = 1

    def check(self, labels: Sequence[str]) -> None:
        """Refuse what a model cannot give.

        Args:
            labels: Label names of the model.

        Raises:
            ConfigError: It has fewer labels than are wanted.
        """
        if self.top_k > len(labels):
            raise ConfigError(
                f"--top-k is {self.top_k}, and the model has {counted(len(labels), 'label')}: {listed(labels)}. "
                f"Give at most {len(labels)}, or --probabilities."
            )


class AnswerColumns:
    """Names and values of the added columns.

    Args:
        task: Kind of label.
        labels: Label names of the model.
        wanted: Columns to add.
        own: Columns of the input; if one has a name of an added column, all of these get the prefix "predicted_".
        nested: True if the output can hold lists and objects; then all probabilities are one object, and the likeliest
            labels one list.

    Raises:
        ConfigError: The names with the prefix occur in the input too, or the model has fewer labels than are wanted.
    """

    def __init__(
        self, task: Task, labels: Sequence[str], wanted: Wanted, own: Collection[str], *, nested: bool
    ) -> None:
        self._task = task
        self._labels = tuple(labels)
        self._wanted = wanted
        self._nested = nested
        wanted.check(self._labels)
        self._prefix = ""
        if set(self.names) & set(own):
            self._prefix = _PREFIX
        taken = [name for name in self.names if name in set(own)]
        if taken:
            raise ConfigError(
                f"The input has columns with the names of the predictions' columns: {listed(taken)}. "
                "Rename them in the input."
            )

    @property
    def label(self) -> str:
        """Name of the column of labels."""
        return f"{self._prefix}label"

    @property
    def probability(self) -> str:
        """Name of the column of their probabilities."""
        return f"{self._prefix}probability"

    @property
    def is_prefixed(self) -> bool:
        """True if the names have the prefix."""
        return bool(self._prefix)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(f"{self._prefix}{name}" for name in self._plain_names())

    def values(self, predictions: Predictions) -> dict[str, Any]:
        """Return the added columns of predictions, by name."""
        given = (predictions.probabilities, self._labels, self._wanted.least_probability, predictions.decisions)
        answers, confidence = self._task.answers(*given)
        if self._nested:
            answers = self._task.nested_answers(*given)
        columns: list[Any] = [answers, confidence.tolist() if self._nested else confidence]
        if self._wanted.top_k > 1:
            ranked = self._task.ranked(predictions.probabilities, self._labels, self._wanted.top_k)
            if self._nested:
                columns.append([[{"label": label, "probability": share} for label, share in row] for row in ranked])
            else:
                for place in range(1, self._wanted.top_k):
                    columns.append([row[place][0] for row in ranked])
                    columns.append(np.array([row[place][1] for row in ranked]))
        if self._wanted.probabilities:
            if self._nested:
                rows = predictions.probabilities.tolist()
                columns.append([dict(zip(self._labels, row, strict=True)) for row in rows])
            else:
                columns += list(predictions.probabilities.T)
        return dict(zip(self.names, columns, strict=True))

    def _plain_names(self) -> list[str]:
        names = ["label", "probability"]
        if self._wanted.top_k > 1:
            places = range(2, self._wanted.top_k + 1)
            names += ["top"] if self._nested else [f"{name}_{place}" for place in places for name in names[:2]]
        if self._wanted.probabilities:
            names += ["probabilities"] if self._nested else [f"p_{label}" for label in self._labels]
        return names

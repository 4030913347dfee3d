"""Predictions from elsewhere: a CSV, TSV, JSON Lines or Parquet file with the columns text, label and prediction.

Probabilities are optional, in one column per label: `p_<label>`. `emotune evaluate --output` writes such files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.data.formats.files import open_table
from emotune.data.formats.reading import Reading
from emotune.data.labels import LabelError, label_name, ordered_labels
from emotune.data.options import MAX_CHARACTERS
from emotune.data.table import Table
from emotune.data.unlabelled import all_texts, column_of
from emotune.evaluation.scores import Evaluation, restrict, score
from emotune.folder.predictions import PAIR
from emotune.system.errors import DataError
from emotune.system.wording import counted, listed, quoted
from emotune.tasks.base import Targets, Task
from emotune.tasks.multi_label import SEPARATOR, MultiLabel
from emotune.tasks.single_label import SINGLE_LABEL

TEXT, LABEL, PREDICTION, PROBABILITY = "text", "label", "prediction", "p_"


@dataclass(frozen=True, eq=False)
class Foreign:
    """A file of predictions as it was read; names of labels are not yet checked.

    Attributes:
        source: The file, for messages.
        unit: "line" or "row".
        numbers: Line or row number of each row.
        texts: The texts.
        truth: Names of the true labels; a list of names for each row of several labels.
        predictions: Names of the predicted labels, likewise.
        probabilities: Shape (rows,) by label; empty if there are none.
    """

    source: str
    unit: str
    numbers: tuple[int, ...]
    texts: tuple[str, ...]
    truth: tuple[str | list[str], ...]
    predictions: tuple[str | list[str], ...]
    probabilities: dict[str, NDArray[np.float64]]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in order: those with probabilities, or else all that occur."""
        return tuple(self.probabilities) or ordered_labels(_all_names([self]))

    def at(self, row: int) -> str:
        """Return the place of a row, counted from 0."""
        return f"{self.source}, {self.unit} {self.numbers[row]:,}"


def _all_names(files: Sequence[Foreign]) -> set[str]:
    return {
        name
        for file in files
        for given in (*file.truth, *file.predictions)
        for name in ([given] if isinstance(given, str) else given)
    }


def read_foreign(path: Path, *, several: bool = False) -> Foreign:
    """Read a file of predictions.

    Args:
        path: The file.
        several: Rows have several labels: lists, or as text joined by a comma and a space; an empty cell is none.

    Raises:
        DataError: It cannot be read, a column is missing, or a cell is empty or of another kind.
    """
    table = open_table(path, Reading(MAX_CHARACTERS))
    wanted = (TEXT, LABEL, PREDICTION)
    missing = [column for column in wanted if column not in table.columns]
    if missing:
        raise DataError(
            f"{table.source} has no column {listed(missing)}; its columns are {listed(table.columns)}. A file of predictions has the "
            f"columns {listed(wanted)}, and if there are probabilities one for each label, as in 'p_joy'. "
            "emotune evaluate --output writes one."
        )
    columns = [column for column in table.columns if column.startswith(PROBABILITY) and column != PROBABILITY]
    texts = list(all_texts(column_of(table, TEXT, pair=PAIR if PAIR in table.columns else None)))
    truth, predictions = [], []
    numbers: list[list[float]] = []
    for number, (label, prediction, *cells) in table.read((LABEL, PREDICTION, *columns)):
        truth.append(_label(table, number, LABEL, _listed(label) if several else label))
        predictions.append(_label(table, number, PREDICTION, _listed(prediction) if several else prediction))
        numbers.append([_number(table, number, name, cell) for name, cell in zip(columns, cells, strict=True)])
    values = np.array(numbers, dtype=np.float64).reshape(len(texts), len(columns))
    return Foreign(
        source=table.source,
        unit=table.unit,
        numbers=tuple(number for number, _ in texts),
        texts=tuple(text for _, text in texts),
        truth=tuple(truth),
        predictions=tuple(predictions),
        probabilities={name.removeprefix(PROBABILITY): values[:, place] for place, name in enumerate(columns)},
    )


def common_labels(files: Sequence[Foreign]) -> tuple[str, ...]:
    """Return the labels of several files, in order: those of the first with probabilities, or else all that occur."""
    first = next((file for file in files if file.probabilities), None)
    if first is not None:
        return first.labels
    return ordered_labels(_all_names(files))


def foreign_evaluation(found: Foreign, labels: tuple[str, ...], name: str, task: Task = SINGLE_LABEL) -> Evaluation:
    """Score the predictions of a file.

    Args:
        found: The file.
        labels: The labels in the order of their ids.
        name: The model's name in tables.
        task: The kind of label.

    Raises:
        DataError: A name is none of the labels; a label has no column of probabilities though others have; or a row's
            probabilities are not valid, or contradict its prediction.
    """
    truth = _targets(found, found.truth, LABEL, labels, task)
    predictions = _targets(found, found.predictions, PREDICTION, labels, task)
    split = Split("test", found.texts, truth, labels, task=task)
    probabilities = _probabilities(found, predictions, labels, task)
    return Evaluation(
        name=name,
        split=split,
        probabilities=probabilities,
        logits=None,
        predictions=predictions,
        metrics=score(split, predictions, probabilities),
        seconds=0.0,
        note=f"Predictions read from {Path(found.source).name}. What this model was trained on is not known.",
    )


def matched(first: Evaluation, other: Evaluation) -> Evaluation | None:
    """Return another evaluation with its rows in the order of the first.

    The texts must all be different, and the same with the same labels on both sides, so that each row has exactly one
    partner.

    Returns:
        None if the order is the same already, or the rows cannot be matched so; `compare` then says how they differ.
    """
    same = first.split.fingerprint == other.split.fingerprint
    if same or first.split.labels != other.split.labels or len(first.split) != len(other.split):
        return None
    place = {text: row for row, text in enumerate(other.split.texts)}
    if len(place) < len(other.split) or set(place) != set(first.split.texts):
        return None
    moved = restrict(other, np.array([place[text] for text in first.split.texts], dtype=np.int64))
    return moved if moved.split.fingerprint == first.split.fingerprint else None


def _label(table: Table, number: int, column: str, cell: object) -> str | list[str]:
    if isinstance(cell, (list, tuple)):  # several labels, or none
        return [str(_label(table, number, column, one)) for one in cell]
    try:
        name = label_name(cell, table.class_names.get(column))
    except LabelError as error:
        raise DataError(f"{table.at(number)}, column {column!r}: {error}.") from None
    if name is None:
        raise DataError(f"{table.at(number)}: the {column} is missing. Fill it in, or remove the row from every file.")
    return name


def _listed(cell: object) -> object:
    """Return the labels of a cell as a list, where they are joined as `emotune evaluate` writes them in CSV."""
    if cell is None or cell == "":
        return []
    return cell.split(SEPARATOR) if isinstance(cell, str) else cell


def _number(table: Table, number: int, column: str, cell: object) -> float:
    try:
        if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
            raise ValueError
        return float(cell)
    except ValueError:
        raise DataError(
            f"{table.at(number)}: {column} is {quoted(cell)}; expected a probability, a number from 0 to 1. "
            "Leave all columns of probabilities out if there are none."
        ) from None


def _targets(
    found: Foreign, names: Sequence[str | list[str]], column: str, labels: tuple[str, ...], task: Task
) -> Targets:
    try:
        return task.read_names(names, labels)
    except ValueError as error:
        (row,) = error.args
        raise DataError(
            f"{found.at(row)}: the {column} is {quoted(names[row])}, which is none of the labels compared: {listed(labels)}. "
            "Models are compared on the same labels."
        ) from None


def _probabilities(
    found: Foreign, predictions: Targets, labels: tuple[str, ...], task: Task
) -> NDArray[np.float64] | None:
    if not found.probabilities:
        return None
    missing = [label for label in labels if label not in found.probabilities]
    unknown = [label for label in found.probabilities if label not in labels]
    if missing or unknown:
        faults = [f"no column of {listed(missing)}"] * bool(missing) + [f"columns of {listed(unknown)}"] * bool(unknown)
        raise DataError(
            f"{found.source} has {' and '.join(faults)} among its probabilities; the labels compared are {listed(labels)}. "
            "Give one column p_<label> for each of them, or none."
        )
    probabilities = task.without_rounding(np.column_stack([found.probabilities[label] for label in labels]))
    if isinstance(task, MultiLabel):  # the thresholds of another program are not known
        predictions = task.decide_by(probabilities)
    wrong = task.wrong_rows(predictions, probabilities, labels)
    if wrong:
        row = min(wrong)
        raise DataError(
            f"{found.at(row)}: {wrong[row]} ({counted(len(wrong), 'such row')}). Correct the file, or leave the columns of "
            "probabilities out."
        )
    return probabilities

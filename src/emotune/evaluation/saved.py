"""Evaluations read from a saved folder: the predictions on its test rows, without loading the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.evaluation.scores import Evaluation, score
from emotune.folder.format import PREDICTIONS, read_description, sha256
from emotune.folder.predictions import numbers_of, read_table, texts_of, write_predictions
from emotune.system.errors import ArtifactError
from emotune.system.wording import counted, listed, quoted
from emotune.tasks.base import Task
from emotune.tasks.single_label import SINGLE_LABEL


def write_evaluation(
    evaluation: Evaluation, path: Path, suffix: str = ".parquet", *, further: Mapping[str, Sequence[Any]] | None = None
) -> None:
    """Write an evaluation's predictions.

    Args:
        evaluation: The evaluation.
        path: The file to write.
        suffix: The format, one of `folder.predictions.FORMATS`.
        further: Further columns by name, behind the others.

    Raises:
        ValueError: It has no probabilities.
    """
    if evaluation.probabilities is None:
        raise ValueError(f"'{evaluation.name}' has no probabilities to write")
    write_predictions(evaluation.split, evaluation.predictions, evaluation.probabilities, path, suffix, further)


def read_evaluation(folder: str | Path, *, name: str | None = None) -> Evaluation:
    """Read the predictions of a saved folder.

    Args:
        folder: A folder saved by `emotune run`.
        name: The model's name in tables; the folder's name if not given.

    Raises:
        ArtifactError: The folder holds no predictions, or they were changed or are damaged.
    """
    folder = Path(folder)
    description = read_description(folder)
    path = folder / PREDICTIONS
    if not path.is_file() and PREDICTIONS in description.left_out:
        raise ArtifactError(
            f"'{folder}' has no {PREDICTIONS}: it was left out when the folder was pushed (--without-texts). "
            "Score the model again with emotune evaluate, or use the folder that was pushed."
        )
    if not path.is_file():
        raise ArtifactError(
            f"'{folder}' has no {PREDICTIONS}, so there is nothing to compare. emotune run writes it; save does not."
        )
    expected = description.files.get(PREDICTIONS)
    if expected is not None and sha256(path) != expected:
        raise ArtifactError(
            f"'{path}' is not the file that was saved: its checksum differs. Restore it, or run the job again."
        )
    return read_predictions(path, description.labels, name or folder.resolve().name, description.kind)


def read_predictions(path: Path, labels: tuple[str, ...], name: str, task: Task = SINGLE_LABEL) -> Evaluation:
    """Read a file of predictions of the test split.

    Args:
        path: A file written by `write_evaluation`.
        labels: The labels in the order of their ids.
        name: The model's name in tables.
        task: The kind of label.

    Raises:
        ArtifactError: It is damaged.
    """
    table = read_table(path, labels)
    split = Split("test", tuple(texts_of(table)), _targets(table["label"], task, labels, path), labels, task=task)
    probabilities = numbers_of(table, labels, path)
    predictions = _targets(table["prediction"], task, labels, path)
    _refuse_wrong_rows(predictions, probabilities, task, labels, path)
    return Evaluation(
        name=name,
        split=split,
        probabilities=probabilities,
        logits=None,
        predictions=predictions,
        metrics=score(split, predictions, probabilities),
        seconds=0.0,
        has_seed=True,
    )


def _targets(names: list[Any], task: Task, labels: tuple[str, ...], path: Path) -> NDArray[Any]:
    try:
        return task.read_names(names, labels)
    except ValueError as error:
        (row,) = error.args
        raise ArtifactError(
            f"'{path}', row {row + 1:,}: {quoted(names[row])} is none of the model's labels, {listed(labels)}. Restore the file."
        ) from None


def _refuse_wrong_rows(
    predictions: NDArray[Any], probabilities: NDArray[np.float64], task: Task, labels: tuple[str, ...], path: Path
) -> None:
    """Refuse a file with invalid probabilities, or with predictions that do not match them."""
    wrong = task.wrong_rows(predictions, probabilities, labels)
    if wrong:
        row = min(wrong)
        raise ArtifactError(
            f"'{path}', row {row + 1:,}: {wrong[row]} ({counted(len(wrong), 'such row')}). Restore the file, or run the job again."
        )

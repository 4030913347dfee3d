"""An evaluation read back from a saved folder: its predictions on its test rows, without loading the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.evaluation.scores import Evaluation, score
from emotune.folder.format import PREDICTIONS, read_description, sha256
from emotune.folder.predictions import numbers_of, read_table, write_predictions
from emotune.system.errors import ArtifactError
from emotune.system.wording import counted, listed, quoted

# How far the probabilities of a row may be from adding up to 1: they are written in float64.
SUM_TOLERANCE = 1e-8


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write an evaluation's predictions as Parquet.

    Raises:
        ValueError: It has no probabilities.
    """
    if evaluation.probabilities is None:
        raise ValueError(f"'{evaluation.name}' has no probabilities to write")
    write_predictions(evaluation.split, evaluation.predictions, evaluation.probabilities, path)


def read_evaluation(folder: str | Path, *, name: str | None = None) -> Evaluation:
    """Read the predictions of a saved folder.

    Args:
        folder: What `emotune run` saved.
        name: What to call the model; the folder's name if not given.

    Raises:
        ArtifactError: The folder holds no predictions, or they were changed or are damaged.
    """
    folder = Path(folder)
    description = read_description(folder)
    path = folder / PREDICTIONS
    if not path.is_file():
        raise ArtifactError(
            f"'{folder}' has no {PREDICTIONS}, so there is nothing to compare. It comes with emotune run, and not with save alone."
        )
    expected = description.files.get(PREDICTIONS)
    if expected is not None and sha256(path) != expected:
        raise ArtifactError(
            f"'{path}' is not the file that was saved: its checksum differs. Restore it, or run the job again."
        )
    return read_predictions(path, description.labels, name or folder.resolve().name)


def read_predictions(path: Path, labels: tuple[str, ...], name: str) -> Evaluation:
    """Read a file of predictions of the test split.

    Args:
        path: What `write_evaluation` wrote.
        labels: The labels in the order of their ids.
        name: What to call the model.

    Raises:
        ArtifactError: It is damaged.
    """
    table = read_table(path, labels)
    split = Split("test", tuple(table["text"]), _ids(table["label"], labels, path), labels)
    probabilities = _checked(numbers_of(table, labels, path), path)
    predictions = _ids(table["prediction"], labels, path)
    _refuse_disagreement(predictions, probabilities, labels, path)
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


def _ids(names: list[Any], labels: tuple[str, ...], path: Path) -> NDArray[np.int64]:
    numbers = {label: number for number, label in enumerate(labels)}
    for row, name in enumerate(names, start=1):
        if not isinstance(name, str) or name not in numbers:
            raise ArtifactError(
                f"'{path}', row {row:,}: {quoted(name)} is none of the model's labels, {listed(labels)}. Restore the file."
            )
    return np.fromiter((numbers[name] for name in names), np.int64, len(names))


def _refuse_disagreement(
    predictions: NDArray[np.int64], probabilities: NDArray[np.float64], labels: tuple[str, ...], path: Path
) -> None:
    """Refuse a file whose predictions are not the likeliest labels; of equally likely ones any will do."""
    others = np.flatnonzero(probabilities[np.arange(len(predictions)), predictions] < probabilities.max(axis=1))
    if len(others):
        row = int(others[0])
        raise ArtifactError(
            f"'{path}', row {row + 1:,}: the prediction is {quoted(labels[predictions[row]])}, and its probabilities say "
            f"{quoted(labels[int(probabilities[row].argmax())])} ({counted(len(others), 'such row')}). "
            "Restore the file, or run the job again."
        )


def _checked(probabilities: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    good = np.isfinite(probabilities).all(axis=1) & (probabilities >= 0).all(axis=1)
    good &= np.abs(probabilities.sum(axis=1) - 1) < SUM_TOLERANCE
    if not good.all():
        row = int(np.argmin(good))
        shown = ", ".join(f"{value:.4g}" for value in probabilities[row])
        raise ArtifactError(
            f"'{path}', row {row + 1:,}: the probabilities {shown} are out of range or do not add up to 1 "
            f"({counted(int((~good).sum()), 'such row')}). "
            "Restore the file, or run the job again."
        )
    return probabilities

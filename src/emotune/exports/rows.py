"""The rows that an export is checked on, and the texts that int8 is calibrated on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from emotune.data.columns import pair_columns, text_only_column
from emotune.data.dataset import Split
from emotune.data.kept import CALIBRATION_TEXTS
from emotune.data.load import load_split, open_splits
from emotune.data.options import DataSource
from emotune.data.places.texts import open_unlabelled
from emotune.data.unlabelled import all_texts, column_of
from emotune.evaluation.saved import read_evaluation
from emotune.folder.columns import described_columns, unlabelled_columns
from emotune.folder.format import KEPT, PREDICTIONS, Description
from emotune.folder.kept import read_kept
from emotune.system.errors import ArtifactError, ConfigError, DataError
from emotune.system.pairs import are_pairs
from emotune.system.wording import counted, quoted

_LEAST_TEXTS = 16
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Calibration:
    """Texts to calibrate int8 on.

    Attributes:
        texts: The texts.
        note: Where they come from, in words.
    """

    texts: tuple[str, ...]
    note: str


def rows_to_check(
    folder: Path, description: Description, data: str | Path | None, reading: Mapping[str, Any] = NO_OPTIONS
) -> Split:
    """Return the labelled rows to compare the export with the original on.

    Args:
        folder: The exported folder.
        description: Its description.
        data: Labelled rows given by the caller: a file, a folder, a data set; None for the test rows in the folder.
        reading: Arguments of `load_split` that say how they are read.

    Raises:
        ArtifactError: None are given, and the folder keeps none.
        DataError: The given rows cannot be read, or have other labels.
    """
    if data is not None:
        chosen = described_columns(description, reading.get("text_column"), reading.get("text_pair_column"))
        found = load_split(data, labels=description.labels, task=description.kind, **{**reading, **chosen})
        if are_pairs(found.texts) != description.pairs:
            seen, expected = ("pairs", "single texts") if are_pairs(found.texts) else ("single texts", "pairs")
            raise DataError(f"{quoted(str(data))} has {seen}, and '{folder}' was trained on {expected}.")
        return found
    if not (folder / PREDICTIONS).is_file():
        raise ArtifactError(
            f"'{folder}' has no {PREDICTIONS}, so it keeps no test rows to check the export with. "
            "Give labelled rows that were not trained on: --data FILE (data=... in Python)."
        )
    if description.cross_validation is not None:
        raise ArtifactError(
            f"'{folder}' was trained on all rows that it keeps, after cross-validation, so they cannot check the export. "
            "Give labelled rows that were not trained on: --data FILE (data=... in Python)."
        )
    return read_evaluation(folder).split


def calibration_texts(
    folder: Path,
    description: Description,
    given: str | Path | None,
    checked: Collection[str],
    reading: Mapping[str, Any] = NO_OPTIONS,
) -> Calibration:
    """Return training texts to calibrate int8 on; none of them is among the rows that the export is checked on.

    Args:
        folder: The exported folder.
        description: Its description.
        given: File of texts, or data set with a training split, given by the caller; None for those that the folder keeps.
        checked: Texts of the rows that the export is checked on.
        reading: Arguments of `load_data` that say how the given texts are read.

    Raises:
        ConfigError: The folder keeps no training texts, and none are given.
        DataError: The texts cannot be read, or are too few.
    """
    texts, name = (
        _own_texts(folder, description)
        if given is None
        else (_texts_of(given, description, reading), Path(str(given)).name)
    )
    left = [text for text in dict.fromkeys(texts) if text not in checked]
    if len(left) < _LEAST_TEXTS:
        raise DataError(
            f"{quoted(name)} has {counted(len(left), 'different text')} that the export is not checked on; calibrating int8 needs at "
            f"least {_LEAST_TEXTS}. Give the training texts: --calibration FILE."
        )
    rows = np.random.default_rng(0).permutation(len(left))[:CALIBRATION_TEXTS]
    return Calibration(tuple(left[row] for row in np.sort(rows)), f"{counted(len(rows), 'training text')} of {name}")


def _own_texts(folder: Path, description: Description) -> tuple[Sequence[str], str]:
    """Return the training texts that the folder keeps, and the data's name."""
    if not (folder / KEPT).is_file():
        raise ConfigError(
            f"int8 is calibrated on training texts, and '{folder}' keeps none: it was pushed without texts, or saved by an "
            "earlier version. Give the training data: --calibration FILE (calibration=... in Python)."
        )
    data = description.data
    return read_kept(folder, description).calibration, "its training data" if data is None else data.name


def _texts_of(source: str | Path, description: Description, reading: Mapping[str, Any]) -> Sequence[str]:
    """Return the texts of a file, or of the training split of anything else."""
    asked = DataSource(source=source, **reading)
    if Path(source).expanduser().is_file():
        of_texts = {name: value for name, value in reading.items() if name != "label_column"}
        roles = unlabelled_columns(description, asked.text_column, asked.text_pair_column)
        return [text for _, text in all_texts(open_unlabelled(source, **{**of_texts, **roles}))]
    _, tables = open_splits(asked)
    if "train" not in tables:
        raise DataError(f"{quoted(source)} has no train split to calibrate int8 on. Give a file of training texts.")
    table = tables["train"]
    chosen = described_columns(description, asked.text_column, asked.text_pair_column)
    column, pair = (
        pair_columns(table, **chosen) if description.pairs else (text_only_column(table, asked.text_column), None)
    )
    return [text for _, text in all_texts(column_of(table, column, asked.max_characters, pair))]

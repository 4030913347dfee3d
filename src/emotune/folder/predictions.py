"""Files of predictions: predictions.parquet, a saved folder's predictions of the test rows, and others like it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Split
from emotune.system.errors import ArtifactError
from emotune.system.pairs import TextPair, sides_of
from emotune.system.text import reason_of
from emotune.system.wording import listed

# Formats of files of predictions, by suffix.
FORMATS = (".parquet", ".csv")
# Column of second texts.
PAIR = "text_pair"


def write_predictions(
    split: Split,
    predictions: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    path: Path,
    suffix: str = ".parquet",
    further: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Write a split's predictions: `text`, `label`, `prediction` (names), and `p_<label>` for each label.

    Rows that are pairs have their second text in `text_pair`.

    Args:
        split: The rows.
        predictions: Shape (rows,), label ids.
        probabilities: Shape (rows, classes).
        path: The file to write.
        suffix: The format: ".parquet", or ".csv" with numbers that are read back exactly.
        further: Further columns by name, behind the others.
    """
    firsts, seconds = sides_of(split.texts)
    columns: dict[str, Any] = {
        "text": firsts,
        **({} if seconds is None else {PAIR: seconds}),
        **split.task.columns(split.label_ids, predictions, probabilities, split.labels),
        **{name: list(values) for name, values in (further or {}).items()},
    }
    if suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            # A cell of CSV holds no list: the labels of a row are joined.
            rows = zip(*map(list, columns.values()), strict=True)
            writer.writerows([", ".join(cell) if isinstance(cell, list) else cell for cell in row] for row in rows)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)


def read_table(path: Path, labels: tuple[str, ...]) -> dict[str, list[Any]]:
    """Return the columns of a file of predictions by name; only texts are checked.

    Args:
        path: The file.
        labels: The model's labels.

    Returns:
        "text", "label", "prediction", and "p_<label>" for each label; and "text_pair" if rows are pairs of texts.

    Raises:
        ArtifactError: The file is damaged, lacks a column or a text, or has no rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(
            f"'{path}' is damaged: {reason_of(error)}. Restore the file, or run the job again."
        ) from None
    texts = ["text", PAIR] if PAIR in table.column_names else ["text"]
    wanted = [*texts, "label", "prediction", *(f"p_{label}" for label in labels)]
    missing = [column for column in wanted if column not in table.column_names]
    if missing:
        raise ArtifactError(f"'{path}' has no column {listed(missing)}. Restore the file, or run the job again.")
    if not len(table):
        raise ArtifactError(f"'{path}' has no rows. Restore the file, or run the job again.")
    columns = {column: table.column(column).to_pylist() for column in wanted}
    if not all(isinstance(text, str) and text.strip() for column in texts for text in columns[column]):
        raise ArtifactError(f"'{path}': a text is missing. Restore the file, or run the job again.")
    return columns


def texts_of(table: dict[str, list[Any]]) -> list[str]:
    """Return the texts of a table, as pairs if it has second texts."""
    return list(map(TextPair, table["text"], table[PAIR])) if PAIR in table else table["text"]


def numbers_of(table: dict[str, list[Any]], labels: tuple[str, ...], path: Path) -> NDArray[np.float64]:
    """Return the probabilities of a table, shape (rows, classes); NaN where one is missing.

    Raises:
        ArtifactError: A probability is not a number.
    """
    columns = [table[f"p_{label}"] for label in labels]
    # Checked one by one, since NumPy would convert strings and booleans to numbers.
    if not all(value is None or type(value) in (int, float) for column in columns for value in column):
        raise ArtifactError(f"'{path}': the probabilities are not all numbers. Restore the file, or run the job again.")
    return np.column_stack([np.array(column, np.float64) for column in columns])

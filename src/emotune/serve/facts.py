"""What the page tells about a model beside its predictions, all from the saved folder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.data.column_names import KNOWN_NAMES
from emotune.evaluation.saved import read_evaluation
from emotune.folder.columns import described_columns
from emotune.folder.format import PREDICTIONS, read_description
from emotune.system.output import DESCRIPTION
from emotune.tasks.base import Targets, Task
from emotune.tasks.calibration import Temperature

# The page's slider has steps of 1 %.
THRESHOLDS = np.arange(101) / 100
EXAMPLES = 3
LONGEST_EXAMPLE = 60


def facts_of(folder: Path) -> dict[str, Any]:
    """Return examples, names of columns, and coverage and risk by threshold on the test rows.

    An example is a list of one text, or of the two of a pair. A model of pairs names the columns that it was trained on.

    Raises:
        ArtifactError: The folder is damaged.
    """
    # A folder is replaced as a whole, and this file is written last.
    return _facts_of(folder, (folder / DESCRIPTION).stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _facts_of(folder: Path, changed: int) -> dict[str, Any]:
    description = read_description(folder)
    stored = description.verification
    sides = (stored.texts,) if stored.seconds is None else (stored.texts, stored.seconds)
    examples = [found for found in zip(*sides, strict=True) if all(10 < len(text) <= LONGEST_EXAMPLE for text in found)]
    columns = described_columns(description, None, None)
    return {
        "examples": examples[:EXAMPLES],
        "text_columns": list(KNOWN_NAMES["text"]),
        "pair_columns": [name for name in columns.values() if name is not None] if description.pairs else [],
        "answered": None
        if description.kind.several or not (folder / PREDICTIONS).is_file()
        else _answered(folder, description.temperature),
    }


def _answered(folder: Path, temperature: Temperature | None) -> dict[str, Any]:
    """Return coverage and risk on the test rows by threshold, of plain and of calibrated probabilities."""
    found = read_evaluation(folder)
    probabilities, truth = found.probabilities, found.split.label_ids
    if probabilities is None:
        raise RuntimeError("predictions.parquet holds probabilities")
    task = found.split.task
    return {
        "rows": len(found.split),
        "plain": by_threshold(task, truth, probabilities),
        "calibrated": None if temperature is None else by_threshold(task, truth, probabilities, temperature),
    }


def by_threshold(
    task: Task, truth: Targets, probabilities: NDArray[np.float64], temperature: Temperature | None = None
) -> dict[str, list[float | None]]:
    """Return the share of answered rows and the share of wrong ones among them, for thresholds of 0, 1, ... 100 %.

    Args:
        task: The kind of label.
        truth: The targets.
        probabilities: Shape (rows, classes), without scaling.
        temperature: Divisor of the logits; None for plain probabilities.

    Returns:
        "coverage" and "risk"; the risk of a threshold that no row reaches is None.
    """
    curve = task.trust(truth, probabilities, temperature).curve
    # The curve's thresholds fall; a row is answered if its confidence is at least the threshold.
    points = len(curve.thresholds) - np.searchsorted(curve.thresholds[::-1], THRESHOLDS, side="left")
    return {
        "coverage": [float(curve.coverage[point - 1]) if point else 0.0 for point in points],
        "risk": [float(curve.risk[point - 1]) if point else None for point in points],
    }

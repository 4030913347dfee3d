"""Pictures of a saved folder: PNG files 1,200 pixels wide, which the model card shows."""

from __future__ import annotations

from pathlib import Path

from emotune.evaluation.scores import Evaluation
from emotune.folder.record import TrainingRecord
from emotune.report.confusion import draw_confusion_matrix
from emotune.report.curves import draw_training_curve
from emotune.report.drawing import write_png


def confusion_matrix(evaluation: Evaluation, path: str | Path) -> None:
    """Write the confusion matrix as a PNG file; see `draw_confusion_matrix`.

    Raises:
        OutputError: The file cannot be written.
    """
    write_png(draw_confusion_matrix(evaluation), path)


def training_curve(record: TrainingRecord, path: str | Path) -> None:
    """Write the training curve as a PNG file; see `draw_training_curve`.

    Raises:
        OutputError: The file cannot be written.
    """
    write_png(draw_training_curve(record), path)

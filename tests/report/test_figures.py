"""The pictures of a saved folder: readable files, no warnings (they are errors here), whatever the labels hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotune.evaluation.comparison import Comparison
from emotune.folder.record import TrainingRecord
from emotune.report.figures import confusion_matrix, training_curve
from emotune.system.errors import OutputError

from .conftest import HOSTILE, UNTRAINED, make_evaluation, make_record, make_split


def assert_picture(path: Path) -> None:
    """A PNG file, 1,200 pixels wide, small, and not one flat colour."""
    from PIL import Image

    assert path.stat().st_size < 150_000
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width == 1200
        assert len(picture.convert("RGB").getcolors(100_000) or ()) > 20


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 6, 30])
def test_confusion_matrix_from_few_to_many_classes(tmp_path: Path, classes: int) -> None:
    labels = [f"feeling number {i}" for i in range(classes)]
    confusion_matrix(make_evaluation(make_split(labels, 3000)), tmp_path / "matrix.png")
    assert_picture(tmp_path / "matrix.png")


def test_labels_of_any_kind_are_drawn(tmp_path: Path) -> None:
    labels = (*HOSTILE, "🫠", "x" * 500)
    evaluation = make_evaluation(make_split(labels, 300), name="$\\alpha$", note=UNTRAINED)
    confusion_matrix(evaluation, tmp_path / "matrix.png")
    assert_picture(tmp_path / "matrix.png")


def test_a_class_without_rows_has_no_shares(tmp_path: Path) -> None:
    split = make_split(rows=60)
    kept = split.take(np.flatnonzero(split.label_ids != 5))
    confusion_matrix(make_evaluation(kept), tmp_path / "matrix.png")
    assert_picture(tmp_path / "matrix.png")


@pytest.mark.parametrize("epochs", [1, 2, 4, 25])
def test_training_curve_of_any_length(tmp_path: Path, epochs: int) -> None:
    training_curve(make_record(epochs), tmp_path / "curve.png")
    assert_picture(tmp_path / "curve.png")


@pytest.mark.slow
def test_equal_numbers_give_equal_bytes(tmp_path: Path, comparison: Comparison, record: TrainingRecord) -> None:
    for name in ("one", "two"):
        confusion_matrix(comparison.after, tmp_path / f"{name}-matrix.png")
        training_curve(record, tmp_path / f"{name}-curve.png")
    for kind in ("matrix", "curve"):
        assert (tmp_path / f"one-{kind}.png").read_bytes() == (tmp_path / f"two-{kind}.png").read_bytes()


def test_a_folder_that_is_not_there(tmp_path: Path, record: TrainingRecord) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        training_curve(record, tmp_path / "missing" / "curve.png")

"""The pictures: right numbers in them, readable files, no warnings (they are errors here), whatever the labels hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as reference_confusion_matrix

from emotune.evaluation.comparison import Comparison
from emotune.folder.record import TrainingRecord
from emotune.report.figures import (
    confusion_counts,
    confusion_matrix,
    draw_confusion_matrix,
    draw_training_curve,
    training_curve,
)
from emotune.system.errors import OutputError

from .conftest import EMOTIONS, HOSTILE, UNTRAINED, make_evaluation, make_record, make_split


def assert_picture(path: Path) -> None:
    """A PNG file, 1,200 pixels wide, small, and not one flat colour."""
    from PIL import Image

    assert path.stat().st_size < 150_000
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width == 1200
        assert len(picture.convert("RGB").getcolors(100_000) or ()) > 20


def test_counts_are_those_of_scikit_learn() -> None:
    evaluation = make_evaluation(make_split(rows=500), right=0.4)
    expected = reference_confusion_matrix(
        evaluation.split.label_ids, evaluation.predictions, labels=range(len(EMOTIONS))
    )
    np.testing.assert_array_equal(confusion_counts(evaluation), expected)


def test_cells_show_counts_and_shares_of_their_row() -> None:
    evaluation = make_evaluation(make_split(("yes", "no"), 100), right=0.6)
    (first, second), _ = counts = confusion_counts(evaluation)
    axes = draw_confusion_matrix(evaluation).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert f"{first}" in texts
    assert f"\n{first / (first + second):.2f}" in texts
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), counts / counts.sum(axis=1, keepdims=True))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["yes", "no"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"yes ({first + second})",
        f"no ({counts[1].sum()})",
    ]
    assert "tuned on 100 rows of test" in axes.get_title(loc="left")


@pytest.mark.parametrize("classes", [2, 6, 30])
def test_confusion_matrix_from_few_to_many_classes(tmp_path: Path, classes: int) -> None:
    labels = [f"feeling number {i}" for i in range(classes)]
    confusion_matrix(make_evaluation(make_split(labels, 3000)), tmp_path / "matrix.png")
    assert_picture(tmp_path / "matrix.png")


def test_labels_are_drawn_as_they_are(tmp_path: Path) -> None:
    labels = (*HOSTILE, "🫠", "x" * 500)
    evaluation = make_evaluation(make_split(labels, 300), name="$\\alpha$", note=UNTRAINED)
    confusion_matrix(evaluation, tmp_path / "matrix.png")
    assert_picture(tmp_path / "matrix.png")
    figure = draw_confusion_matrix(evaluation)
    drawn = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert drawn[0] == "[bold red]joy[/]"
    assert drawn[5:7] == ["two\\nlines", "$\\frac{$"]
    assert drawn[10] == "\\u559c\\u3073"  # the font has no such characters
    assert len(drawn[-1]) < 30
    assert UNTRAINED in figure.get_supxlabel()


def test_a_class_without_rows_has_no_shares(tmp_path: Path) -> None:
    split = make_split(rows=60)
    kept = split.take(np.flatnonzero(split.label_ids != 5))
    confusion_matrix(make_evaluation(kept), tmp_path / "matrix.png")
    assert_picture(tmp_path / "matrix.png")


@pytest.mark.parametrize("epochs", [1, 2, 4, 25])
def test_training_curve_of_any_length(tmp_path: Path, epochs: int) -> None:
    training_curve(make_record(epochs), tmp_path / "curve.png")
    assert_picture(tmp_path / "curve.png")


def test_training_curve_draws_the_record(record: TrainingRecord) -> None:
    losses, quality = draw_training_curve(record).axes
    for axes, expected in (
        (losses, {"training, with dropout": "train_loss", "validation": "validation_loss"}),
        (quality, {"accuracy": "validation_accuracy", "macro-F1": "validation_macro_f1"}),
    ):
        lines = {line.get_label(): line for line in axes.lines}
        np.testing.assert_array_equal(lines["best epoch"].get_xdata(), record.best_epoch)
        for name, attribute in expected.items():
            np.testing.assert_array_equal(lines[name].get_xdata(), [epoch.number for epoch in record.epochs])
            np.testing.assert_array_equal(
                lines[name].get_ydata(), [getattr(epoch, attribute) for epoch in record.epochs]
            )
    assert "cross-entropy" in losses.texts[0].get_text()


def test_equal_numbers_give_equal_bytes(tmp_path: Path, comparison: Comparison, record: TrainingRecord) -> None:
    for name in ("one", "two"):
        confusion_matrix(comparison.after, tmp_path / f"{name}-matrix.png")
        training_curve(record, tmp_path / f"{name}-curve.png")
    for kind in ("matrix", "curve"):
        assert (tmp_path / f"one-{kind}.png").read_bytes() == (tmp_path / f"two-{kind}.png").read_bytes()


def test_a_folder_that_is_not_there(tmp_path: Path, record: TrainingRecord) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        training_curve(record, tmp_path / "missing" / "curve.png")


def test_no_pyplot_and_no_global_settings(tmp_path: Path) -> None:
    script = """
import sys, matplotlib
from tests.report.conftest import make_record
from emotune.report.figures import training_curve
def settings():
    # Reading the backend is left out: that alone imports pyplot.
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}
before = settings()
training_curve(make_record(), sys.argv[1])
assert settings() == before
assert "matplotlib.pyplot" not in sys.modules
"""
    folders = [str(Path(__file__).parents[2]), *sys.path]
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"import sys; sys.path[:0] = {folders!r}\n{script}",
            str(tmp_path / "curve.png"),
        ],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")

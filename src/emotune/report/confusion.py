"""The confusion matrix: numbers and tints for the page's table, and the picture for the model card."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.scores import Evaluation
from emotune.evaluation.words.formats import share
from emotune.report.drawing import FAINT, INK, SECOND, draw_title, drawable, new_figure
from emotune.system.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The scale is not linear: a linear one would leave the mistakes, which matter most, nearly white.
_TINT_POWER = 0.5
# Cells with a larger share are so dark that their text is light.
_DARK = 0.4
_MOST_WITH_SHARES = 12


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Rows by true label (down) and predicted label (across).

    Attributes:
        counts: Shape (classes, classes), int64: entry [i, j] counts the rows of label i that were predicted as label j.
    """

    counts: NDArray[np.int64]

    @classmethod
    def of(cls, evaluation: Evaluation) -> ConfusionMatrix:
        """Count the predictions of an evaluation."""
        classes = len(evaluation.split.labels)
        pairs = evaluation.split.label_ids * classes + evaluation.predictions
        return cls(np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64))

    @property
    def support(self) -> NDArray[np.int64]:
        """Number of rows of each true label."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def shares(self) -> NDArray[np.float64]:
        """Shares of the true label's rows; 0 for a label without rows."""
        return np.asarray(self.counts / np.maximum(self.support, 1)[:, None])

    @property
    def tints(self) -> NDArray[np.float64]:
        """Intensity of each cell's colour, from 0 to 1."""
        return np.asarray(self.shares**_TINT_POWER)

    @property
    def is_dark(self) -> NDArray[np.bool_]:
        """Mask of the cells whose text must be light to be readable."""
        return np.asarray(self.shares > _DARK)


def draw_confusion_matrix(evaluation: Evaluation) -> Figure:
    """Draw counts by true (rows) and predicted label (columns); the colour is the share of the true label's rows.

    With up to 12 classes, each cell also shows its share. Cells without rows stay empty.
    """
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    matrix = ConfusionMatrix.of(evaluation)
    classes = len(matrix.counts)
    few = classes <= _MOST_WITH_SHARES
    names = [drawable(label) for label in evaluation.split.labels]
    name_size = 10.0 if few else 170.0 / (classes + 5)

    figure = new_figure(8.0, 5.2 if classes <= 3 else 7.0)
    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#9cc6e3", SECOND, "#003b5c"])
    scale = PowerNorm(_TINT_POWER, vmin=0.0, vmax=1.0)
    image = axes.imshow(matrix.shares, cmap=colours, norm=scale, aspect="auto")
    _write_counts(axes, matrix, with_shares=few)

    axes.set_xticks(range(classes), names, fontsize=name_size, **_slant(names))
    names_with_rows = [f"{name} ({rows:,})" for name, rows in zip(names, matrix.support, strict=True)]
    axes.set_yticks(range(classes), names_with_rows, fontsize=name_size)
    axes.set_xlabel("predicted label", color=INK)
    axes.set_ylabel("true label (rows)", color=INK)
    axes.tick_params(length=0)
    # White lines between the cells, and no frame around them.
    axes.set_xticks(np.arange(classes - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(classes - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5 if few else 0.8)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], format="{x:g}", aspect=28, pad=0.02)
    bar.set_label("share of the true label's rows", color=INK)
    bar.ax.tick_params(labelsize=9, color=FAINT)
    bar.outline.set_visible(False)
    rows_of = counted(len(evaluation.split), "row")
    draw_title(
        axes,
        f"{drawable(evaluation.name, 50)} on {rows_of} of {drawable(evaluation.split.name)}",
        f"accuracy {share(evaluation.metrics.accuracy)}, macro-F1 {share(evaluation.metrics.macro_f1)}",
    )
    if evaluation.note:
        figure.supxlabel("\n".join(textwrap.wrap(drawable(evaluation.note, 500), 115)), fontsize=8, color=INK)
    return figure


def _write_counts(axes: Axes, matrix: ConfusionMatrix, *, with_shares: bool) -> None:
    """Write each cell's count, and below it its share if the cells are large enough."""
    counts, shares, is_dark = matrix.counts, matrix.shares, matrix.is_dark
    # The cells are about 5.6 inches wide, and a digit is about 0.62 times as wide as its size in points.
    widest = len(f"{counts.max():,}")
    size = min(11.0, 5.6 * 72 / len(counts) / (0.62 * widest) * 0.8)
    for (row, column), count in np.ndenumerate(counts):
        if count == 0:
            continue
        style: dict[str, Any] = {"ha": "center", "color": "white" if is_dark[row, column] else INK}
        axes.text(column, row, f"{count:,}", va="bottom" if with_shares else "center_baseline", fontsize=size, **style)
        if with_shares:
            axes.text(column, row, f"\n{shares[row, column]:.2f}", va="center", fontsize=size * 0.75, **style)


def _slant(names: list[str]) -> dict[str, Any]:
    """Return the rotation of the names below the columns: upright for many, slanted for long ones, else horizontal."""
    if len(names) > _MOST_WITH_SHARES:
        return {"rotation": 90}
    if max(map(len, names)) > 60 / len(names):
        return {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    return {}

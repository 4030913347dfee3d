"""Pictures: the confusion matrix of an evaluation and the curve of a training run, as PNG files of 1,200 pixels' width.

They are drawn with matplotlib's `Figure` and its Agg canvas alone. pyplot, which keeps global state and may look for a
display, is never imported. The same numbers give the same bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emotune.report.formats import share
from emotune.system.errors import OutputError
from emotune.system.text import printable
from emotune.system.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from emotune.evaluation.scores import Evaluation
    from emotune.training.record import TrainingRecord

_FONT = "DejaVu Sans"  # comes with matplotlib, so pictures do not depend on the fonts of a machine
_WIDTH = 8.0  # inches; with the resolution below, 1,200 pixels
_DOTS_PER_INCH = 150
_LONGEST_LABEL = 24

# From the palette of Okabe and Ito (2008), which people with any common colour blindness can tell apart.
_BLUE, _ORANGE = "#0072B2", "#D55E00"
_INK, _FAINT = "#222222", "#8A8A8A"


def confusion_matrix(evaluation: Evaluation, path: str | Path) -> None:
    """Write the confusion matrix as a PNG file; see `draw_confusion_matrix`.

    Raises:
        OutputError: The file cannot be written.
    """
    _write(draw_confusion_matrix(evaluation), path)


def training_curve(record: TrainingRecord, path: str | Path) -> None:
    """Write the training curve as a PNG file; see `draw_training_curve`.

    Raises:
        OutputError: The file cannot be written.
    """
    _write(draw_training_curve(record), path)


def confusion_counts(evaluation: Evaluation) -> NDArray[np.int64]:
    """Rows by true and predicted label.

    Returns:
        Shape (classes, classes), int64: entry [i, j] counts the rows of label i that were predicted as label j.
    """
    classes = len(evaluation.split.labels)
    pairs = evaluation.split.label_ids * classes + evaluation.predictions
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def draw_confusion_matrix(evaluation: Evaluation) -> Figure:
    """Draw counts by true (rows) and predicted label (columns); the colour is the share of the true label's rows.

    Up to 12 classes, each cell shows its share too. Cells without rows stay empty. The colour follows the square root
    of the share: the interesting cells are the mistakes, which a linear scale would leave nearly white.
    """
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm
    from matplotlib.figure import Figure

    counts = confusion_counts(evaluation)
    classes = len(counts)
    support = counts.sum(axis=1)
    shares = counts / np.maximum(support, 1)[:, None]
    names = [_drawable(label) for label in evaluation.split.labels]
    name_size = 10.0 if classes <= 12 else 170.0 / (classes + 5)

    figure = Figure(figsize=(_WIDTH, 5.2 if classes <= 3 else 7.0), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("shares", ["#FFFFFF", "#9CC6E3", _BLUE, "#003B5C"])
    image = axes.imshow(shares, cmap=colours, norm=PowerNorm(0.5, vmin=0.0, vmax=1.0), aspect="auto")
    _write_counts(axes, counts, shares)

    axes.set_xticks(range(classes), names, fontsize=name_size, **_slant(names))
    names_with_rows = [f"{name} ({rows:,})" for name, rows in zip(names, support, strict=True)]
    axes.set_yticks(range(classes), names_with_rows, fontsize=name_size)
    axes.set_xlabel("predicted label", color=_INK)
    axes.set_ylabel("true label (rows)", color=_INK)
    axes.tick_params(length=0)
    # White lines between the cells, and no frame around them.
    axes.set_xticks(np.arange(classes - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(classes - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5 if classes <= 12 else 0.8)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], format="{x:g}", aspect=28, pad=0.02)
    bar.set_label("share of the true label's rows", color=_INK)
    bar.ax.tick_params(labelsize=9, color=_FAINT)
    bar.outline.set_visible(False)
    rows_of = counted(len(evaluation.split), "row")
    _title(
        axes,
        f"{_drawable(evaluation.name, 50)} on {rows_of} of {_drawable(evaluation.split.name)}",
        f"accuracy {share(evaluation.metrics.accuracy)}, macro-F1 {share(evaluation.metrics.macro_f1)}",
    )
    if evaluation.note:
        figure.supxlabel("\n".join(textwrap.wrap(_drawable(evaluation.note, 500), 115)), fontsize=8, color=_INK)
    return _with_plain_text(figure)


def draw_training_curve(record: TrainingRecord) -> Figure:
    """Draw losses to the left, validation accuracy and macro-F1 to the right, by epoch, with the best epoch marked."""
    from matplotlib.figure import Figure

    epochs = [epoch.number for epoch in record.epochs]
    figure = Figure(figsize=(_WIDTH, 3.8), dpi=_DOTS_PER_INCH, layout="constrained")
    losses, quality = figure.subplots(1, 2)
    _curves(
        losses,
        epochs,
        {
            "training, with dropout": [epoch.train_loss for epoch in record.epochs],
            "validation": [epoch.validation_loss for epoch in record.epochs],
        },
        record.best_epoch,
    )
    _curves(
        quality,
        epochs,
        {
            "accuracy": [epoch.validation_accuracy for epoch in record.epochs],
            "macro-F1": [epoch.validation_macro_f1 for epoch in record.epochs],
        },
        record.best_epoch,
    )
    _title(losses, "Loss", "cross-entropy, lower is better")
    _title(quality, "Validation scores", "higher is better")
    return _with_plain_text(figure)


def _write_counts(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    """Write each cell's count, and below it its share where the cells are large enough."""
    classes = len(counts)
    with_share = classes <= 12
    # About 5.6 inches of cells, and a digit is about 0.62 times as wide as its size in points.
    widest = len(f"{counts.max():,}")
    size = min(11.0, 5.6 * 72 / classes / (0.62 * widest) * 0.8)
    for (row, column), count in np.ndenumerate(counts):
        if count == 0:
            continue
        colour = "white" if shares[row, column] > 0.4 else _INK
        style: dict[str, Any] = {"ha": "center", "color": colour}
        axes.text(column, row, f"{count:,}", va="bottom" if with_share else "center_baseline", fontsize=size, **style)
        if with_share:
            axes.text(column, row, f"\n{shares[row, column]:.2f}", va="center", fontsize=size * 0.75, **style)


def _slant(names: list[str]) -> dict[str, Any]:
    """How to turn the names below the columns: upright for many, slanted for long ones, level where all have room."""
    if len(names) > 12:
        return {"rotation": 90}
    if max(map(len, names)) > 60 / len(names):
        return {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    return {}


def _curves(axes: Axes, epochs: list[int], series: dict[str, list[float]], best_epoch: int) -> None:
    """Draw two curves over epochs in colours, markers and strokes that differ, and mark the best epoch."""
    looks = ((_ORANGE, "s", "--"), (_BLUE, "o", "-"))
    axes.axvline(best_epoch, color=_FAINT, linewidth=1, linestyle=":", label="best epoch")
    for (name, values), (colour, marker, stroke) in zip(series.items(), looks, strict=True):
        axes.plot(
            epochs, values, color=colour, marker=marker, markersize=4.5, linestyle=stroke, linewidth=1.8, label=name
        )
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.set_xticks(epochs if len(epochs) <= 12 else np.unique(np.linspace(epochs[0], epochs[-1], 8).round()))
    axes.set_xlabel("epoch", color=_INK)
    axes.margins(y=0.12)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(color=_FAINT, labelcolor=_INK, labelsize=9)
    # Below the axes, where it cannot cover a curve.
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        ncols=3,
        frameon=False,
        fontsize=8.5,
        handlelength=1.6,
        handletextpad=0.5,
        columnspacing=1.0,
    )


def _title(axes: Axes, title: str, remark: str) -> None:
    axes.set_title(f"{title}\n", loc="left", fontsize=11, fontweight="bold", color=_INK)
    axes.annotate(remark, (0, 1), (0, 6), "axes fraction", textcoords="offset points", fontsize=9.5, color="#555555")


def _drawable(text: str, limit: int = _LONGEST_LABEL) -> str:
    """Text for a picture: characters that the font lacks are written as escapes, where it would draw empty boxes."""
    known = _characters()
    return printable("".join(c if ord(c) in known else c.encode("unicode_escape").decode("ascii") for c in text), limit)


@cache
def _characters() -> frozenset[int]:
    """The code points for which the font has a picture."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(_FONT)).get_charmap())


def _with_plain_text(figure: Figure) -> Figure:
    """The figure with all its text in one font and taken literally: a dollar sign in a label begins no formula."""
    from matplotlib.text import Text

    texts: Iterable[Any] = figure.findobj(Text)
    for text in texts:
        text.set(fontfamily=_FONT, parse_math=False, usetex=False)
    return figure


def _write(figure: Figure, path: str | Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # A palette makes the file a third of the size. Maximum coverage keeps rare colours true, such as the colour bar's.
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    try:
        picture.save(path, format="PNG", optimize=True)
    except OSError as error:
        raise OutputError(
            f"The picture {path} cannot be written: {error.strerror or error}. Choose a folder that can be written to."
        ) from error

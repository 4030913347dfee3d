"""Line charts: a training run by epoch, the reliability of probabilities, and risk by coverage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emotune.folder.record import TrainingRecord
from emotune.report.drawing import CHART, FAINT, FIRST, GRID, INK, SECOND, draw_title, new_figure
from emotune.tasks.calibration import Calibration, RiskCoverage, Trust

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase


LEAST_IN_BIN = 5
"""Least number of rows in a bin of the diagram; smaller bins say nothing about how often the model is right."""

_MOST_EPOCHS_NAMED = 12
_MOST_POINTS = 200


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: Its name in the legend.
        x: Horizontal coordinates, from left to right.
        y: Vertical coordinates, of the same length.
        looks: Keyword arguments of matplotlib's `plot`.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    looks: dict[str, Any]


# Colours, markers and strokes all differ, for readers who cannot distinguish the colours.
_FIRST = {"color": FIRST, "marker": "s", "linestyle": "--"}
_SECOND = {"color": SECOND, "marker": "o", "linestyle": "-"}


def draw_training_curve(record: TrainingRecord) -> Figure:
    """Draw losses to the left, validation accuracy and macro-F1 to the right, by epoch, with the best epoch marked."""
    figure = new_figure(8.0, 3.8)
    if not record.is_validated:
        draw_title(
            draw_losses(figure, record), "Loss", "in training, lower is better; cross-validation chose the epoch"
        )
        return figure
    halves: Any = figure.subfigures(1, 2)
    left, right = halves
    draw_title(draw_losses(left, record), "Loss", "cross-entropy, lower is better")
    draw_title(draw_scores(right, record), "Validation scores", "higher is better")
    return figure


def draw_losses(paper: FigureBase, record: TrainingRecord) -> Axes:
    """Draw the loss in training and on validation by epoch."""
    training = [epoch.train_loss for epoch in record.epochs]
    validation = [epoch.validation_loss for epoch in record.epochs] if record.is_validated else []
    axes = new_axes(paper, "epoch", "cross-entropy", nice_ticks(0, max([*training, *validation])))
    numbers = _epochs(axes, record)
    lines = [Line("training, with dropout", numbers, training, _FIRST)]
    if validation:
        lines.append(Line("validation", numbers, validation, _SECOND))
    _draw(axes, lines)
    paper.legend(**_LEGEND)
    return axes


def draw_scores(paper: FigureBase, record: TrainingRecord) -> Axes:
    """Draw accuracy and macro-F1 on validation by epoch."""
    accuracy = [epoch.validation_accuracy for epoch in record.epochs]
    macro_f1 = [epoch.validation_macro_f1 for epoch in record.epochs]
    ticks = nice_ticks(min(*accuracy, *macro_f1), max(*accuracy, *macro_f1), most=1.0)
    axes = new_axes(paper, "epoch", "score", ticks)
    numbers = _epochs(axes, record)
    _draw(axes, [Line("accuracy", numbers, accuracy, _FIRST), Line("macro-F1", numbers, macro_f1, _SECOND)])
    paper.legend(**_LEGEND)
    return axes


def draw_reliability(found: Trust) -> Figure:
    """Draw accuracy against confidence, of the unscaled and the scaled probabilities."""
    figure = new_figure(*CHART)
    axes = new_axes(figure, "confidence", "right", _TENTHS, percent=True)
    _shares_across(axes)
    lines = [
        Line("perfect", (0, 1), (0, 1), {"color": FAINT, "linestyle": ":", "linewidth": 1.2}),
        Line("unscaled", *_reliability(found.plain), _FIRST),
    ]
    if found.scaled is not None:
        lines.append(Line("scaled", *_reliability(found.scaled), _SECOND))
    _draw(axes, lines)
    figure.legend(**_LEGEND)
    return figure


def draw_risk(curve: RiskCoverage) -> Figure:
    """Draw the share of wrong answers against the share of rows that are answered."""
    figure = new_figure(*CHART)
    risks = nice_ticks(0, float(curve.risk.max()) or 0.01, 4)
    axes = new_axes(figure, "answered", "wrong among the answered", risks, percent=True)
    _shares_across(axes)
    keep = np.unique(np.linspace(0, len(curve.risk) - 1, _MOST_POINTS).astype(int))
    _draw(axes, [Line("risk", curve.coverage[keep].tolist(), curve.risk[keep].tolist(), {"color": SECOND})])
    return figure


def new_axes(paper: FigureBase, across: str, up: str, ticks: Sequence[float], *, percent: bool = False) -> Axes:
    """Return empty axes with a horizontal line at each tick of the vertical axis.

    Args:
        paper: The figure or subfigure that gets the axes.
        across: Label of the horizontal axis.
        up: Label of the vertical axis, which ends at its first and last tick.
        ticks: Its ticks.
        percent: Show them, which are shares, as percentages.
    """
    axes: Axes = paper.add_subplot()
    axes.set_xlabel(across, color=INK, fontsize=9)
    axes.set_ylabel(up, color=INK, fontsize=9)
    axes.set_yticks(ticks)
    axes.set_ylim(ticks[0], ticks[-1])
    if percent:
        axes.set_yticks(ticks, list(map(_percent, ticks)))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=6, labelcolor=INK, labelsize=9)
    return axes


def nice_ticks(low: float, high: float, count: int = 5, *, least: float = 0.01, most: float = math.inf) -> list[float]:
    """Return about `count` round numbers that span a range, from at or below `low` to at or above `high`.

    Args:
        low: The smallest value shown, at least 0.
        high: The largest.
        count: Approximate number of ticks.
        least: The narrowest range: a narrower one is widened, so that a flat line looks flat and the numbers stay
            short.
        most: Upper limit of all values.
    """
    if high - low < least:
        low = max(0.0, min((low + high - least) / 2, most - least))
        high = low + least
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    start = math.floor(low / step + 1e-9)
    stop = math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(start, stop + 1)]


_TENTHS = [tick / 5 for tick in range(6)]
_LEGEND: dict[str, Any] = {
    "loc": "outside lower center",  # where it cannot cover a curve
    "ncols": 3,
    "frameon": False,
    "fontsize": 9,
    "labelcolor": INK,
    "handlelength": 1.6,
    "handletextpad": 0.5,
    "columnspacing": 1.0,
}


def _epochs(axes: Axes, record: TrainingRecord) -> list[int]:
    """Number the epochs along the horizontal axis and mark the best."""
    numbers = [epoch.number for epoch in record.epochs]
    axes.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    few = len(numbers) <= _MOST_EPOCHS_NAMED
    axes.set_xticks(numbers if few else np.unique(np.linspace(numbers[0], numbers[-1], 8).round()))
    axes.axvline(record.best_epoch, color=FAINT, linewidth=1, linestyle=":", label="best epoch")
    return numbers


def _shares_across(axes: Axes) -> None:
    """Make the horizontal axis one of shares."""
    axes.set_xticks(_TENTHS, list(map(_percent, _TENTHS)))
    axes.set_xlim(0, 1)


def _percent(value: float) -> str:
    return f"{100 * value:g} %"


def _draw(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw lines without clipping them at the edges."""
    for line in lines:
        looks: dict[str, Any] = {"linewidth": 1.8, "markersize": 4.5, "label": line.name, "clip_on": False}
        axes.plot(line.x, line.y, **looks | line.looks)


def _reliability(calibration: Calibration) -> tuple[list[float], list[float]]:
    """Return confidence and accuracy of the bins with enough rows."""
    bins = [part for part in calibration.bins if part.rows >= LEAST_IN_BIN]
    return [part.confidence for part in bins], [part.accuracy for part in bins]

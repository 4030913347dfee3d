"""Scatter charts: a score against a cost on a logarithmic axis, with marks readable where points crowd."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emotune.report.curves import new_axes, nice_ticks
from emotune.report.drawing import CHART, FIRST, INK, SECOND, drawable, name_artist, new_figure, settle
from emotune.report.placing import FONT_SIZE, RADIUS, place_marks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Room around the outermost points, as a share of their range, so that marks beside them stay inside.
_ROOM = 0.08
_LEAST_Y = 0.01
_LEAST_X = 2.0  # a factor
_MOST_TICKS = 7
# With fewer scores than this, none is called an outlier.
_FEWEST = 5


@dataclass(frozen=True)
class Point:
    """A point of a scatter chart.

    Attributes:
        x: Horizontal coordinate, above 0.
        y: Vertical coordinate.
        mark: Text beside it, a word or less.
        name: Its name, shown for the pointer and to screen readers.
    """

    x: float
    y: float
    mark: str
    name: str


def draw_scatter(
    points: Sequence[Point], front: Sequence[int], *, x_label: str, y_label: str, x_number: Callable[[float], str]
) -> Figure:
    """Draw points over a logarithmic axis, and a line through some of them.

    Points far below the others are drawn as triangles at the lower edge and are not on the line, so that the
    differences between the others stay visible.

    Args:
        points: At least one.
        front: Indices of the points that the line joins, from left to right.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        x_number: Formats a number of the horizontal axis.
    """
    below = far_below([point.y for point in points])
    x_range = _x_range([point.x for point in points])
    y_range, y_ticks = _y_axis([point.y for number, point in enumerate(points) if number not in below])
    figure = new_figure(*CHART)
    axes = new_axes(figure, x_label, y_label, y_ticks)
    axes.set_ylim(*y_range)
    axes.set_xscale("log")
    ticks = log_ticks(*x_range)
    axes.set_xticks(ticks, [x_number(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(*x_range)
    settle(figure)

    # Marks keep their size whatever the axes span, so their positions are found in points.
    to_points = 72 / figure.dpi
    corners = axes.transAxes.transform([(0, 0), (1, 1)]) * to_points
    (left, bottom), (right, top) = corners.tolist()
    edge = float(axes.transData.inverted().transform((0, (bottom + RADIUS + 1.5) / to_points))[1])
    shown = [(point.x, edge if number in below else point.y) for number, point in enumerate(points)]
    places = [(float(x), float(y)) for x, y in axes.transData.transform(shown) * to_points]
    joined = [i for i in front if i not in below]
    axes.plot([points[i].x for i in joined], [points[i].y for i in joined], color=SECOND, linewidth=1.6, clip_on=False)
    marks = place_marks(
        places, [point.mark for point in points], [places[i] for i in joined], (left, bottom, right + 8, top)
    )
    for number, (point, at, place, mark) in enumerate(zip(points, shown, places, marks, strict=True)):
        (dot,) = axes.plot(
            *at,
            color=SECOND if number in front else FIRST,
            marker="v" if number in below else "o",
            markersize=2 * RADIUS,
            linestyle="",
            clip_on=False,
        )
        text = axes.annotate(
            drawable(point.mark),
            at,
            (mark[0] - place[0], mark[1] - place[1]),
            textcoords="offset points",
            fontsize=FONT_SIZE,
            color=INK,
        )
        for artist in (dot, text):
            name_artist(artist, point.name)
    return figure


def far_below(scores: Sequence[float]) -> tuple[int, ...]:
    """Select outliers: scores more than 1.5 interquartile ranges (Tukey, 1977) and one point below the lower quartile.

    Args:
        scores: Any number; of fewer than five, none is an outlier.

    Returns:
        Their indices.
    """
    if len(scores) < _FEWEST:
        return ()
    low, high = np.quantile(scores, [0.25, 0.75])
    return tuple(i for i, score in enumerate(scores) if score < low - max(1.5 * (high - low), _LEAST_Y))


def log_ticks(low: float, high: float) -> list[float]:
    """Return up to seven round numbers within a range: 1, 1.5, 2, 3, 5, 7 times powers of ten, or fewer if it is wide.

    Args:
        low: Above 0.
        high: Above `low`.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3)):
        found = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        found = [number for number in found if low * (1 - 1e-9) <= number <= high * (1 + 1e-9)]
        if len(found) <= _MOST_TICKS:
            return found
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    return [10.0**power for power in powers[:: math.ceil(len(powers) / _MOST_TICKS)]]


def _x_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of the horizontal axis."""
    low, high = math.log10(min(values)), math.log10(max(values))
    room = max(_ROOM * (high - low), (math.log10(_LEAST_X) - (high - low)) / 2)
    return float(10 ** (low - room)), float(10 ** (high + room))


def _y_axis(values: Sequence[float]) -> tuple[tuple[float, float], list[float]]:
    """Return the range of the vertical axis, and its ticks."""
    low, high = min(values), max(values)
    room = max(_ROOM * (high - low), (_LEAST_Y - (high - low)) / 2)
    low, high = low - 2 * room, high + room  # room for triangles at the lower edge
    return (low, high), [tick for tick in nice_ticks(max(low, 0.0), min(high, 1.0)) if low <= tick <= high]

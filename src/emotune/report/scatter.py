"""Scatter charts as SVG: a score against a cost on a logarithmic axis, with marks that can be read where points crowd."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from emotune.report.charts import RIGHT, WIDTH, drawn_text, frame, nice_ticks, number_text

_RADIUS = 4
# Room around the outermost points, as a share of what they span, so that marks beside them stay inside.
_ROOM = 0.08
_LEAST_Y = 0.01
_LEAST_X = 2.0  # a factor
_MOST_TICKS = 7
# With fewer scores than this, none is said to be unlike the others.
_FEWEST = 5
# What a mark takes: the width of a character and the height of a line at the stylesheet's 12 px.
_CHARACTER, _LINE = 6.7, 10.0
_LINE_STEP = 3.0  # what of the line between points counts as one box
# Where a mark may stand, by its lower left corner from the middle of its point: a multiple of its width, and pixels right and down.
_PLACES = tuple(
    (share, away * right, 4 + away * down)
    for away in (1, 2, 3)
    for share, right, down in (
        (0, 6, -9),
        (0, 7, 0),
        (-1, -6, -9),
        (0, 6, 10),
        (-1, -7, 0),
        (-1, -6, 10),
        (-0.5, 0, -12),
        (-0.5, 0, 12),
    )
)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Point:
    """A point of a scatter chart.

    Attributes:
        x: Where it is along the horizontal axis, above 0.
        y: Where it is along the vertical one.
        mark: What stands beside it: a word or less.
        name: What it is, for those who point at it or do not see it.
    """

    x: float
    y: float
    mark: str
    name: str


def scatter_chart(
    points: Sequence[Point],
    front: Sequence[int],
    *,
    title: str,
    description: str,
    x_label: str,
    y_label: str,
    x_number: Callable[[float], str],
) -> str:
    """Points over a logarithmic axis, with a line through some of them, as an `svg` element.

    Points far below the others stand as triangles at the lower edge, and the line leaves them out: the differences between the
    others are what there is to see.

    Args:
        points: At least one.
        front: Positions of those that the line joins, from left to right.
        title: What it shows.
        description: What there is to see, in a sentence.
        x_label: What is along the horizontal axis.
        y_label: What is along the vertical one.
        x_number: Writes a number of the horizontal axis.
    """
    below = far_below([point.y for point in points])
    x_range = _x_range([point.x for point in points])
    y_range, y_ticks = _y_axis([point.y for number, point in enumerate(points) if number not in below])
    parts, x, y = frame(
        title,
        description,
        x_label,
        y_label,
        x_range,
        y_range,
        [(tick, x_number(tick)) for tick in log_ticks(*x_range)],
        [(tick, number_text(tick)) for tick in y_ticks],
        log=True,
    )
    line = [(x(points[i].x), y(points[i].y)) for i in front if i not in below]
    path = " ".join(f"{across:.1f},{down:.1f}" for across, down in line)
    parts.append(f'<polyline class="line second" points="{path}"/>')
    edge = y(y_range[0]) - _RADIUS - 2
    places = [(x(point.x), edge if number in below else y(point.y)) for number, point in enumerate(points)]
    marks = _marks(places, [point.mark for point in points], line, y(y_range[1]), y(y_range[0]))
    for number, (point, (across, down), (left, bottom)) in enumerate(zip(points, places, marks, strict=True)):
        style = "second" if number in front else "first"
        parts.append(
            f"<g><title>{drawn_text(point.name)}</title>{_shape(style, across, down, number in below)}"
            f'<text class="mark" x="{left:.1f}" y="{bottom:.1f}">{drawn_text(point.mark)}</text></g>'
        )
    parts.append("</svg>")
    return "".join(parts)


def far_below(scores: Sequence[float]) -> tuple[int, ...]:
    """Which scores are far below the others: more than one and a half times the middle half's width under it (Tukey, 1977), and a point.

    Args:
        scores: Any number; of fewer than five, none is unlike the others.

    Returns:
        Their positions.
    """
    if len(scores) < _FEWEST:
        return ()
    low, high = np.quantile(scores, [0.25, 0.75])
    return tuple(i for i, score in enumerate(scores) if score < low - max(1.5 * (high - low), _LEAST_Y))


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range, at most seven: 1, 1.5, 2, 3, 5, 7 times powers of ten, or fewer of them where it is wide.

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
    """What the horizontal axis spans."""
    low, high = math.log10(min(values)), math.log10(max(values))
    room = max(_ROOM * (high - low), (math.log10(_LEAST_X) - (high - low)) / 2)
    return float(10 ** (low - room)), float(10 ** (high + room))


def _y_axis(values: Sequence[float]) -> tuple[tuple[float, float], list[float]]:
    """What the vertical axis spans, and its numbers."""
    low, high = min(values), max(values)
    room = max(_ROOM * (high - low), (_LEAST_Y - (high - low)) / 2)
    low, high = low - 2 * room, high + room  # triangles may stand at the lower edge
    return (low, high), [tick for tick in nice_ticks(max(low, 0.0), min(high, 1.0)) if low <= tick <= high]


def _shape(style: str, across: float, down: float, at_edge: bool) -> str:
    """A dot, or a triangle that points down."""
    if not at_edge:
        return f'<circle class="dot {style}" cx="{across:.1f}" cy="{down:.1f}" r="{_RADIUS}"/>'
    top = down - _RADIUS
    return f'<path class="dot {style}" d="M{across - 5:.1f},{top:.1f} h10 l-5,9 z"/>'


def _marks(
    places: Sequence[tuple[float, float]],
    texts: Sequence[str],
    line: Sequence[tuple[float, float]],
    top: float,
    bottom: float,
) -> list[tuple[float, float]]:
    """Where the marks' lower left corners go.

    By turns, each where it hides least of points, line, marks before it, and of itself, and does not seem to be another point's.
    """
    taken: list[Box] = [_around(across, down, _RADIUS) for across, down in places]
    taken += [_around(across, down, _LINE_STEP / 2) for across, down in _along(line)]
    found = []
    for (across, down), text in zip(places, texts, strict=True):
        width = _CHARACTER * len(text)
        boxes = []
        for share, right, lower in _PLACES:
            left, base = across + share * width + right, down + lower
            boxes.append((left, base - _LINE, left + width, base))
        own = (across, down)
        best = min(
            boxes,
            key=lambda box: (
                sum(_shared(box, other) for other in taken)
                + _outside(box, top, bottom)
                + (_LINE * width if _is_nearer_to_another(box, own, places) else 0.0)
            ),
        )
        taken.append(best)
        found.append((best[0], best[3]))
    return found


def _is_nearer_to_another(box: Box, own: tuple[float, float], places: Sequence[tuple[float, float]]) -> bool:
    """Whether a box's middle is nearer to another place than to its own."""
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    return any(math.dist(middle, place) < math.dist(middle, own) for place in places)


def _along(line: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Places along a line, a few pixels from each other."""
    found = []
    for (left, first), (right, last) in pairwise(line):
        count = max(2, math.ceil(math.hypot(right - left, last - first) / _LINE_STEP))
        found += list(
            zip(np.linspace(left, right, count).tolist(), np.linspace(first, last, count).tolist(), strict=True)
        )
    return found


def _around(across: float, down: float, reach: float) -> Box:
    return (across - reach, down - reach, across + reach, down + reach)


def _shared(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _outside(box: Box, top: float, bottom: float) -> float:
    """How much of a box lies outside of the chart."""
    left, upper, right, lower = box
    return (right - left) * (lower - upper) - _shared(box, (0.0, top, WIDTH - RIGHT / 2, bottom))

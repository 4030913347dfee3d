"""Small charts as SVG for the report: drawn in the page's own colours, so that they follow dark mode and print.

Every chart has a title and a description for those who do not see it; all text from outside is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from emotune.text import printable

_WIDTH, _HEIGHT = 420, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 12, 44
_MOST_TICKS = 7


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: What the legend calls it; "" leaves it out.
        points: x and y.
        style: "first", "second" or "faint": the page's stylesheet knows them.
        dots: Whether to mark the points.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: str = "first"
    dots: bool = True


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    description: str,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    percent: bool = False,
) -> str:
    """A chart as an `svg` element.

    Args:
        lines: The lines.
        title: What it shows.
        description: What there is to see, in a sentence.
        x_label: What is along the horizontal axis.
        y_label: What is along the vertical one.
        x_range: Least and most x.
        y_range: Least and most y.
        x_ticks: Where the horizontal axis has numbers.
        y_ticks: Where the vertical one has.
        percent: Whether the numbers are shares, shown as percentages.
    """
    parts, x, y = _frame(
        title,
        description,
        x_label,
        y_label,
        x_range,
        y_range,
        [(tick, _number(tick, percent)) for tick in x_ticks],
        [(tick, _number(tick, percent)) for tick in y_ticks],
    )
    for line in lines:
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line.points)
        parts.append(f'<polyline class="line {line.style}" points="{path}"/>')
        if line.dots:
            parts += [
                f'<circle class="dot {line.style}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="3"/>' for a, b in line.points
            ]
    parts.append("</svg>")
    legend = "".join(
        f'<span class="key"><span class="swatch {line.style}"></span>{_text(line.name)}</span>'
        for line in lines
        if line.name
    )
    return "".join(parts) + (f'<div class="legend">{legend}</div>' if legend else "")


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

    Args:
        points: At least one.
        front: Positions of those that the line joins, from left to right.
        title: What it shows.
        description: What there is to see, in a sentence.
        x_label: What is along the horizontal axis.
        y_label: What is along the vertical one.
        x_number: Writes a number of the horizontal axis.
    """
    x_ticks = log_ticks(min(point.x for point in points), max(point.x for point in points))
    y_ticks = nice_ticks(min(point.y for point in points), max(point.y for point in points), most=1.0)
    parts, x, y = _frame(
        title,
        description,
        x_label,
        y_label,
        (x_ticks[0], x_ticks[-1]),
        (y_ticks[0], y_ticks[-1]),
        [(tick, x_number(tick)) for tick in x_ticks],
        [(tick, _number(tick, False)) for tick in y_ticks],
        log=True,
    )
    path = " ".join(f"{x(points[i].x):.1f},{y(points[i].y):.1f}" for i in front)
    parts.append(f'<polyline class="line second" points="{path}"/>')
    for number, point in enumerate(points):
        style = "second" if number in front else "first"
        parts.append(
            f'<g><title>{_text(point.name)}</title><circle class="dot {style}" cx="{x(point.x):.1f}" cy="{y(point.y):.1f}" r="4"/>'
            f'<text class="tick" x="{x(point.x) + 6:.1f}" y="{y(point.y) - 6:.1f}">{_text(point.mark)}</text></g>'
        )
    parts.append("</svg>")
    return "".join(parts)


def _number(value: float, percent: bool) -> str:
    return f"{100 * value:g} %" if percent else f"{value:g}"


def _frame(
    title: str,
    description: str,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    *,
    log: bool = False,
) -> tuple[list[str], Callable[[float], float], Callable[[float], float]]:
    """The beginning of a chart, its axes and their numbers; and what turns values into places on it."""

    def scale(value: float) -> float:
        return math.log10(value) if log else value

    def x(value: float) -> float:
        start, end = map(scale, x_range)
        return _LEFT + (scale(value) - start) / (end - start) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - y_range[0]) / (y_range[1] - y_range[0]) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg class="chart" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-label="{_text(f"{title}. {description}")}">',
        f"<title>{_text(title)}</title><desc>{_text(description)}</desc>",
    ]
    parts += [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text class="tick" x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{_text(words)}</text>'
        for tick, words in y_ticks
    ]
    parts += [
        f'<text class="tick" x="{x(tick):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{_text(words)}</text>'
        for tick, words in x_ticks
    ]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{_text(x_label)}</text>')
    upright = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text class="axis" x="12" y="{upright}" text-anchor="middle" transform="rotate(-90 12 {upright})">{_text(y_label)}</text>'
    )
    return parts, x, y


def log_ticks(low: float, high: float) -> list[float]:
    """The numbers 1, 2 and 5 times powers of ten that span a range, from at or below `low` to at or above `high`; fewer where it is wide.

    Args:
        low: Above 0.
        high: At least `low`.
    """
    for factors in ((1, 2, 5), (1,)):
        powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
        numbers = [round(factor * 10.0**power, 10) for power in powers for factor in factors]
        start = max(i for i, number in enumerate(numbers) if number <= low * (1 + 1e-9))
        stop = min(i for i, number in enumerate(numbers) if number >= high * (1 - 1e-9))
        found = numbers[start : max(stop, start + 1) + 1]
        if len(found) <= _MOST_TICKS:
            break
    return found


def nice_ticks(low: float, high: float, count: int = 5, *, least: float = 0.01, most: float = math.inf) -> list[float]:
    """About so many round numbers that span a range, from at or below `low` to at or above `high`.

    Args:
        low: The least value shown, at least 0.
        high: The largest.
        count: About how many.
        least: The narrowest range: a narrower one is widened, so that a flat line looks flat and the numbers stay short.
        most: What no value can be above.
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


def _text(text: str) -> str:
    return escape(printable(text), quote=True)

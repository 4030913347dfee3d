"""Small charts as SVG for the report: drawn in the page's own colours, so that they follow dark mode and print.

Every chart has a title and a description for those who do not see it; all text from outside is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from emotune.system.text import printable

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 12, 44


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
    parts, x, y = frame(
        title,
        description,
        x_label,
        y_label,
        x_range,
        y_range,
        [(tick, number_text(tick, percent)) for tick in x_ticks],
        [(tick, number_text(tick, percent)) for tick in y_ticks],
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
        f'<span class="key"><span class="swatch {line.style}"></span>{drawn_text(line.name)}</span>'
        for line in lines
        if line.name
    )
    return "".join(parts) + (f'<div class="legend">{legend}</div>' if legend else "")


def number_text(value: float, percent: bool = False) -> str:
    """A number of an axis."""
    return f"{100 * value:g} %" if percent else f"{value:g}"


def frame(
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
        return LEFT + (scale(value) - start) / (end - start) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - y_range[0]) / (y_range[1] - y_range[0]) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-label="{drawn_text(f"{title}. {description}")}">',
        f"<title>{drawn_text(title)}</title><desc>{drawn_text(description)}</desc>",
    ]
    parts += [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{drawn_text(words)}</text>'
        for tick, words in y_ticks
    ]
    parts += [
        f'<text class="tick" x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{drawn_text(words)}</text>'
        for tick, words in x_ticks
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{drawn_text(x_label)}</text>')
    upright = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="axis" x="12" y="{upright}" text-anchor="middle" transform="rotate(-90 12 {upright})">{drawn_text(y_label)}</text>'
    )
    return parts, x, y


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


def drawn_text(text: str) -> str:
    """Text for an SVG, escaped."""
    return escape(printable(text), quote=True)

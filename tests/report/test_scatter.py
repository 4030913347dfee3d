"""Scatter charts: points where they belong, marks that can be read, round numbers, and nothing from outside obeyed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from emotune.report.drawing import FIRST, SECOND, inline_svg
from emotune.report.scatter import Point, draw_scatter, far_below, log_ticks

CROWD = [
    (75, 0.893),
    (72, 0.888),
    (79, 0.8985),
    (80, 0.8845),
    (82, 0.8837),
    (83, 0.8855),
    (111, 0.8987),
    (113, 0.8915),
    (115, 0.8917),
]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (34, 172, [50, 70, 100, 150]),
        (90, 130, [100]),
        (1, 10, [1, 1.5, 2, 3, 5, 7, 10]),
        (9, 300, [10, 20, 50, 100, 200]),
        (100, 2_200_000, [100, 1e3, 1e4, 1e5, 1e6]),
        (1e-3, 1e9, [1e-3, 1e-1, 1e1, 1e3, 1e5, 1e7, 1e9]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low: float, high: float, expected: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(expected)


def test_far_below_is_below_tukeys_fence() -> None:
    scores = [0.90, 0.89, 0.89, 0.88, 0.88, 0.87, 0.63, 0.50]
    quarter, three_quarters = np.quantile(scores, [0.25, 0.75])
    fence = quarter - 1.5 * (three_quarters - quarter)
    assert [scores[i] for i in far_below(scores)] == [score for score in scores if score < fence] == [0.63, 0.50]
    assert far_below([0.9, 0.9, 0.9, 0.9, 0.895]) == ()  # half a point is not far, however alike the others are
    assert far_below([0.9, 0.8, 0.1]) == ()  # too few to say what is usual


def chart(*points: Point, front: tuple[int, ...] = (0,)) -> Axes:
    figure = draw_scatter(points, front, x_label="cost", y_label="score", x_number=lambda value: f"{value:g}")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    return axes


def dots(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_linestyle() == "None"]


def corners(line: Line2D) -> list[list[float]]:
    return np.column_stack(line.get_data()).tolist()


def the_line(axes: Axes) -> Line2D:
    (line,) = (line for line in axes.lines if line.get_linestyle() != "None")
    return line


def test_points_stand_where_the_logarithmic_axis_has_them() -> None:
    points = (Point(1, 0.2, "1", "a"), Point(10, 0.4, "2", "b"), Point(100, 0.3, "3", "c"))
    axes = chart(*points, front=(0, 1))
    assert axes.get_xscale() == "log"
    assert [corners(dot) for dot in dots(axes)] == [[[1, 0.2]], [[10, 0.4]], [[100, 0.3]]]
    assert corners(the_line(axes)) == [[1, 0.2], [10, 0.4]]
    assert [dot.get_color() for dot in dots(axes)] == [SECOND, SECOND, FIRST]


def test_marks_stand_inside_the_picture_and_not_on_each_other() -> None:
    axes = chart(*(Point(x, y, str(number), "name") for number, (x, y) in enumerate(CROWD, start=1)))
    marks = [text for text in axes.texts if isinstance(text, Annotation)]
    assert [mark.get_text() for mark in marks] == [str(number) for number in range(1, len(CROWD) + 1)]
    boxes = [mark.get_window_extent() for mark in marks]
    width, height = axes.figure.bbox.size
    for i, box in enumerate(boxes):
        assert 0 <= box.x0 <= box.x1 <= width
        assert 0 <= box.y0 <= box.y1 <= height
        # What a font reserves below its digits may overlap; the digits may not.
        digits = box.shrunk(1, 0.75).translated(0, 0.25 * box.height)
        assert not [
            other for other in boxes[:i] if digits.overlaps(other.shrunk(1, 0.75).translated(0, 0.25 * other.height))
        ]


def test_a_point_far_below_stands_at_the_edge_and_does_not_press_the_others_together() -> None:
    axes = chart(*(Point(x, y, "a", "name") for x, y in [*CROWD, (40, 0.5)]), front=(9, 2, 6))
    assert [dot.get_marker() for dot in dots(axes)] == [*["o"] * len(CROWD), "v"]
    heights = [axes.transData.transform(corners(dot))[0, 1] for dot in dots(axes)]
    bottom, top = axes.bbox.y0, axes.bbox.y1
    assert max(heights[:-1]) - min(heights[:-1]) > 0.55 * (top - bottom)
    assert bottom < heights[-1] < min(heights[:-1])
    assert len(corners(the_line(axes))) == 2  # the line keeps to what stands where it says


def test_one_point_is_a_chart() -> None:
    axes = chart(Point(5, 0.5, "1", "only"))
    assert all(map(math.isfinite, (*axes.get_xlim(), *axes.get_ylim())))
    assert "nan" not in inline_svg(axes.get_figure(root=True), title="", description="")  # type: ignore[arg-type]


def test_names_are_escaped_and_read_to_those_who_do_not_see_it() -> None:
    figure = draw_scatter(
        [Point(5, 0.5, "<1>", '<script>"x"</script>')], [0], x_label="<x>", y_label="&", x_number=lambda value: "<>"
    )
    drawn = inline_svg(figure, title="T", description="D")
    assert "<script>" not in drawn
    assert drawn.count('<title>&lt;script&gt;"x"&lt;/script&gt;</title>') == 2  # of the dot and of its mark
    assert "&lt;1&gt;</text>" in drawn

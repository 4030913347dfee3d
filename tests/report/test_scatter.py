"""Scatter charts: points where they belong, marks that can be read, round numbers, and nothing from outside obeyed."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest

from emotune.report.scatter import Point, far_below, log_ticks, scatter_chart


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


def chart(*points: Point, front: tuple[int, ...] = (0,)) -> str:
    return scatter_chart(
        points, front, title="T", description="D", x_label="cost", y_label="score", x_number=lambda value: f"{value:g}"
    )


def test_points_stand_where_the_logarithmic_axis_has_them() -> None:
    drawn = chart(Point(1, 0.2, "1", "a"), Point(10, 0.4, "2", "b"), Point(100, 0.3, "3", "c"), front=(0, 1))
    places = [(float(x), float(y)) for x, y in re.findall(r'<circle [^>]*cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    assert places[1][0] - places[0][0] == pytest.approx(places[2][0] - places[1][0], abs=0.2)  # a factor of ten each
    assert places[0][1] > places[2][1] > places[1][1]  # higher scores stand higher, where y is less
    line = re.search(r'<polyline class="line second" points="([^"]+)"', drawn)
    assert line is not None
    assert [tuple(map(float, pair.split(","))) for pair in line[1].split()] == places[:2]
    assert drawn.count('class="dot second"') == 2
    assert drawn.count('class="dot first"') == 1


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


def test_marks_of_a_crowd_lie_neither_on_each_other_nor_on_points_nor_outside() -> None:
    drawn = chart(*(Point(x, y, str(number), "name") for number, (x, y) in enumerate(CROWD, start=1)))
    dots = [(float(x), float(y)) for x, y in re.findall(r'<circle [^>]*cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    marks = [
        (float(x), float(y), len(text) * 6.5)
        for x, y, text in re.findall(r'<text class="mark" x="([\d.]+)" y="([\d.]+)">([^<]*)</text>', drawn)
    ]
    assert len(dots) == len(marks) == len(CROWD)
    for i, (x, y, width) in enumerate(marks):
        assert 0 <= x <= 420 - width
        assert 10 <= y <= 260 - 44
        for a, b in dots:
            assert a + 3 < x or a - 3 > x + width or b + 3 < y - 9 or b - 3 > y
        for a, b, other in marks[:i]:
            assert a + other < x or a > x + width or b < y - 9 or b - 9 > y


def test_a_mark_is_nearest_to_its_own_point() -> None:
    crowd = ((32.2, 0.8792), (126, 0.8792), (98.9, 0.8987), (99.9, 0.8917), (103.5, 0.8915))
    drawn = chart(*(Point(x, y, str(number), "name") for number, (x, y) in enumerate(crowd)))
    dots = [(float(x), float(y)) for x, y in re.findall(r'<circle [^>]*cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    marks = re.findall(r'<text class="mark" x="([\d.]+)" y="([\d.]+)">(\d)</text>', drawn)
    assert len(dots) == len(marks) == len(crowd)
    for x, y, number in marks:
        middle = (float(x) + 6.7 / 2, float(y) - 5)
        assert min(range(len(dots)), key=lambda dot: math.dist(dots[dot], middle)) == int(number)


def test_marks_do_not_lie_on_the_line() -> None:
    drawn = chart(
        *(Point(x, y, str(number), "name") for number, (x, y) in enumerate(CROWD, start=1)), front=(1, 0, 2, 6)
    )
    line = re.search(r'<polyline class="line second" points="([^"]+)"', drawn)
    assert line is not None
    corners = [tuple(map(float, pair.split(","))) for pair in line[1].split()]
    for x, y, text in re.findall(r'<text class="mark" x="([\d.]+)" y="([\d.]+)">([^<]*)</text>', drawn):
        for (left, first), (right, last) in itertools.pairwise(corners):
            for share in np.linspace(0, 1, 200):
                across, down = left + share * (right - left), first + share * (last - first)
                inside = float(x) < across < float(x) + 6.5 * len(text) and float(y) - 9 < down < float(y)
                assert not inside, text


def test_a_point_far_below_stands_at_the_edge_and_does_not_press_the_others_together() -> None:
    drawn = chart(*(Point(x, y, "a", "name") for x, y in [*CROWD, (40, 0.5)]), front=(9, 2, 6))
    triangle = re.search(r'<path class="dot second" d="M([\d.]+),([\d.]+)', drawn)
    assert triangle is not None
    heights = [float(y) for y in re.findall(r'<circle [^>]*cy="([\d.]+)"', drawn)]
    assert len(heights) == len(CROWD)
    assert max(heights) - min(heights) > 120  # of the 204 that there are
    assert float(triangle[2]) > max(heights)
    line = re.search(r'<polyline class="line second" points="([^"]+)"', drawn)
    assert line is not None
    assert len(line[1].split()) == 2  # the line keeps to what stands where it says


def test_one_point_is_a_chart() -> None:
    drawn = chart(Point(5, 0.5, "1", "only"))
    assert "nan" not in drawn
    assert all(math.isfinite(float(x)) for x in re.findall(r'cx="([^"]+)"', drawn))


def test_names_are_escaped_and_read_to_those_who_do_not_see_it() -> None:
    drawn = chart(Point(5, 0.5, "<1>", '<script>"x"</script>'))
    assert "<script>" not in drawn
    assert "<title>&lt;script&gt;&quot;x&quot;&lt;/script&gt;</title>" in drawn
    assert 'role="img"' in drawn
    assert 'aria-label="T. D"' in drawn
    assert "<title>T</title><desc>D</desc>" in drawn

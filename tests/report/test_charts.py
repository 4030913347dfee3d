"""Charts as SVG: points where they belong, round numbers on the axes, and nothing from outside obeyed."""

from __future__ import annotations

import math
import re

import pytest

from emotune.report.charts import Point, log_ticks, scatter_chart


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (90, 300, [50, 100, 200, 500]),
        (100, 100, [100, 200]),
        (1, 10, [1, 2, 5, 10]),
        (3_000, 22_000_000, [1e3, 1e4, 1e5, 1e6, 1e7, 1e8]),
        (0.02, 0.03, [0.02, 0.05]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low: float, high: float, expected: list[float]) -> None:
    assert log_ticks(low, high) == expected


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

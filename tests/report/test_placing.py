"""Places of marks: neither on each other nor on points nor on the line nor outside, and nearest to their own point."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from emotune.report.placing import CHARACTER, LINE, RADIUS, Box, Place, place_marks

PAPER = (40.0, 30.0, 300.0, 200.0)
# Configurations of a sweep, many of which cost nearly the same.
CROWD: list[Place] = [
    (64.0, 103.0), (48.0, 70.0), (83.0, 162.0), (87.0, 47.0), (95.0, 42.0), (98.0, 54.0), (191.0, 165.0), (196.0, 118.0), (201.0, 119.0),
]  # fmt: skip


def boxes(places: list[Place], line: list[Place]) -> list[Box]:
    found = place_marks(places, [str(number) for number in range(len(places))], line, PAPER)
    return [(x, y, x + CHARACTER * len(str(number)), y + LINE) for number, (x, y) in enumerate(found)]


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_marks_of_a_crowd_lie_neither_on_each_other_nor_on_points_nor_outside() -> None:
    found = boxes(CROWD, [])
    for box in found:
        assert PAPER[0] <= box[0] <= box[2] <= PAPER[2]
        assert PAPER[1] <= box[1] <= box[3] <= PAPER[3]
        for x, y in CROWD:
            assert not overlap(box, (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS))
    assert not any(overlap(one, other) for one, other in itertools.combinations(found, 2))


def test_marks_do_not_lie_on_the_line() -> None:
    line = [CROWD[i] for i in (1, 0, 2, 6)]
    for left, lower, right, upper in boxes(CROWD, line):
        for start, end in itertools.pairwise(line):
            for share in np.linspace(0, 1, 200):
                x, y = (start[i] + share * (end[i] - start[i]) for i in (0, 1))
                assert not (left < x < right and lower < y < upper)


def test_a_mark_is_nearest_to_its_own_point() -> None:
    crowd = [(50.0, 60.0), (260.0, 60.0), (200.0, 165.0), (202.0, 118.0), (208.0, 117.0)]
    for number, (left, lower, right, upper) in enumerate(boxes(crowd, [])):
        middle = ((left + right) / 2, (lower + upper) / 2)
        assert min(range(len(crowd)), key=lambda other: math.dist(crowd[other], middle)) == number


@pytest.mark.parametrize("place", [(40.0, 30.0), (300.0, 200.0), (170.0, 200.0)])
def test_a_point_at_the_edge_has_its_mark_inside(place: Place) -> None:
    ((left, lower, right, upper),) = boxes([place], [])
    assert PAPER[0] <= left <= right <= PAPER[2]
    assert PAPER[1] <= lower <= upper <= PAPER[3]


def test_a_point_alone_has_its_mark_to_the_upper_right() -> None:
    ((left, lower, _, _),) = boxes([(150.0, 100.0)], [])
    assert (left, lower) == (154.5, 104.0)

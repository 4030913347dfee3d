"""Positions of marks beside points, readable where points crowd. All lengths are in points (1/72 inch)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

RADIUS = 3.0
"""Radius of a point."""
FONT_SIZE = 9.0
"""Font size of a mark."""
CHARACTER, LINE = 0.64 * FONT_SIZE, 0.74 * FONT_SIZE
"""Width and height of a digit."""

_STEP = 2.3  # length of a box on the line between points
# Possible positions of a mark: its lower left corner from the middle of its point, as a multiple of its width, then a
# shift to the right and up.
_PLACES = tuple(
    (share, away * right, away * up - 3.0)
    for away in (1, 2, 3)
    for share, right, up in (
        (0, 4.5, 7.0),
        (0, 5.5, 0),
        (-1, -4.5, 7.0),
        (0, 4.5, -7.5),
        (-1, -5.5, 0),
        (-1, -4.5, -7.5),
        (-0.5, 0, 9.0),
        (-0.5, 0, -9.5),
    )
)

Place = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, lower, right and upper end."""


def place_marks(places: Sequence[Place], marks: Sequence[str], line: Sequence[Place], paper: Box) -> list[Place]:
    """Find a position for the mark of each point, one after the other.

    Each mark goes where it hides least of the points, of the line and of the marks before it, where it stays on the
    paper, and where it does not seem to belong to another point.

    Args:
        places: The middles of the points.
        marks: The texts of the marks.
        line: The corners of a line between some of the points.
        paper: The area for marks.

    Returns:
        The lower left corners of the marks.
    """
    taken: list[Box] = [_around(place, RADIUS) for place in places]
    taken += [_around(place, _STEP / 2) for place in _along(line)]
    found = []
    for place, mark in zip(places, marks, strict=True):
        width = CHARACTER * len(mark)
        boxes = []
        for share, right, up in _PLACES:
            left, lower = place[0] + share * width + right, place[1] + up
            boxes.append((left, lower, left + width, lower + LINE))

        def cost(box: Box, own: Place = place, width: float = width) -> float:
            hidden = sum(_shared(box, other) for other in taken)
            outside = width * LINE - _shared(box, paper)
            mistaken = width * LINE if _is_nearer_to_another(box, own, places) else 0.0
            return round(hidden + outside + mistaken, 6)  # of positions equal up to rounding, the first is taken

        best = min(boxes, key=cost)
        taken.append(best)
        found.append((best[0], best[1]))
    return found


def _is_nearer_to_another(box: Box, own: Place, places: Sequence[Place]) -> bool:
    """Return whether a box's middle is nearer to another place than to its own."""
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    return any(math.dist(middle, place) < math.dist(middle, own) for place in places)


def _along(line: Sequence[Place]) -> list[Place]:
    """Return places along a line, a few points apart."""
    found: list[Place] = []
    for start, end in pairwise(line):
        count = max(2, math.ceil(math.dist(start, end) / _STEP))
        across, up = (np.linspace(start[i], end[i], count).tolist() for i in (0, 1))
        found += zip(across, up, strict=True)
    return found


def _around(place: Place, reach: float) -> Box:
    return (place[0] - reach, place[1] - reach, place[0] + reach, place[1] + reach)


def _shared(one: Box, other: Box) -> float:
    """Return the area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)

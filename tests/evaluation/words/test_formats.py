"""How single values are written."""

from __future__ import annotations

import pytest

from emotune.evaluation.words.formats import (
    bound,
    duration,
    interval_bounds,
    interval_in_points,
    magnitude,
    memory,
    nats,
    nats_difference,
    p_number,
    p_value,
    points,
    points_number,
    signed_points,
)
from emotune.statistics.paired import Interval
from emotune.system.text import printable
from emotune.system.wording import counted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcödé, 喜び, 🙂", "plain text, ünïcödé, 喜び, 🙂"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\u202eright to left", "\\u202eright to left"),
        ("no\xa0break", "no\\xa0break"),
        ("\ud800", "\\ud800"),
        ("\x9b2J", "\\x9b2J"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_printable_shows_what_would_steer_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_printable_keeps_to_its_limit() -> None:
    assert printable("x" * 30, 10) == "xxxxxxx..."
    assert printable("x" * 10, 10) == "x" * 10
    assert len(printable("\n" * 30, 10)) == 10


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (8.26, "8.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (271.4, "4 min 31 s"),
        (3840, "1 h 04 min"),
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_differences_are_signed_and_zero_is_not_negative() -> None:
    assert points(0.348, 0.929) == "+58.1 points"
    assert points(0.5, 0.25) == "-25.0 points"
    assert points(0.50001, 0.5) == "+0.0 points"
    assert nats_difference(1.801, 0.214) == "-1.587"


def test_a_number_under_a_heading_is_that_of_a_sentence() -> None:
    for value in (0.793, -0.0004, 0.0, -0.25):
        assert signed_points(value) == f"{points_number(value)} points"
    interval = Interval(0.79, 0.774, 0.811)
    assert (
        interval_in_points(interval) == f"95 % interval {interval_bounds(interval)}" == "95 % interval +77.4 to +81.1"
    )


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0341, "= 0.034"), (1.0, "= 1.000"), (0.0009, "< 0.001"), (0.001, "= 0.001")]
)
def test_a_p_value_in_a_sentence_and_under_a_heading(value: float, shown: str) -> None:
    assert p_value(value) == f"p {shown}"
    assert p_number(value) == shown.removeprefix("= ")


def test_a_missing_loss_is_not_a_number() -> None:
    assert nats(None) == "none"
    assert nats_difference(None, 0.2) == nats_difference(0.2, None) == "none"


def test_sizes_and_quantities() -> None:
    assert memory(812 * 2**20) == "812 MiB"
    assert memory(3 * 2**29) == "1.50 GiB"
    assert [counted(n, "row") for n in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]


@pytest.mark.parametrize(
    ("number", "shown"), [(None, ""), (6, "6"), (999, "999"), (148_230, "148 k"), (22_713_990, "22.7 M")]
)
def test_magnitude(number: int | None, shown: str) -> None:
    assert magnitude(number) == shown


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0131, "+1.3"), (-0.000377, "-0.0"), (0.0002, "+0.0"), (-0.0, "+0.0"), (-0.35, "-35.0")]
)
def test_an_end_of_an_interval_keeps_its_sign(value: float, expected: str) -> None:
    assert bound(value) == expected

"""Number formats, so that one number looks the same in a table, a picture and the model card."""

from __future__ import annotations

from emotune.statistics.paired import Interval

LONGEST_NAME = 60
"""Number of characters of a model's, a label's or a configuration's name that tables and sentences show."""


def share(value: float) -> str:
    """Format a score between 0 and 1: "0.9290"."""
    return f"{value:z.4f}"


def points(before: float, after: float) -> str:
    """Format the difference of two scores in percentage points: "+58.1 points"."""
    return signed_points(after - before)


def signed_points(value: float) -> str:
    """Format a difference in percentage points: "+79.3 points"."""
    return f"{points_number(value)} points"


def points_number(value: float) -> str:
    """Format a difference under a heading that says "points": "+79.3"."""
    return f"{100 * value:+z.1f}"


def interval_in_points(interval: Interval) -> str:
    """Format an interval in percentage points: "95 % interval +77.4 to +81.1"."""
    return f"{100 * interval.level:.0f} % interval {interval_bounds(interval)}"


def interval_bounds(interval: Interval) -> str:
    """Format an interval in percentage points under a heading that says so: "+77.4 to +81.1"."""
    return f"{bound(interval.low)} to {bound(interval.high)}"


def p_value(value: float) -> str:
    """Format a p-value in a sentence: "p = 0.034", "p < 0.001"."""
    number = p_number(value)
    return f"p {number}" if number.startswith("<") else f"p = {number}"


def p_number(value: float) -> str:
    """Format a p-value under a heading that says "p": "0.034", "< 0.001"."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def bound(value: float) -> str:
    """Format an end of an interval in percentage points: "+1.3"; "-0.0" if it is just below 0."""
    return f"{100 * value + 0.0:+.1f}"  # adding 0.0 turns a negative zero into 0


def nats(value: float | None) -> str:
    """Format a cross-entropy: "0.214", or "none" for a model that gives labels without probabilities."""
    return "none" if value is None else f"{value:.3f}"


def nats_difference(before: float | None, after: float | None) -> str:
    """Format a difference of two cross-entropies: "-1.587", or "none" if one is missing."""
    return "none" if before is None or after is None else f"{after - before:+z.3f}"


def percent(part: float, whole: float) -> str:
    """Format a part as a percentage of a whole: "2.95 %"."""
    return f"{100 * part / whole:.2f} %"


def duration(seconds: float) -> str:
    """Format a wall time: "8.3 s", "4 min 31 s", "1 h 04 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def memory(size: int) -> str:
    """Format a size in bytes: "812 MiB", "1.42 GiB"."""
    return f"{size / 2**20:.0f} MiB" if size < 2**30 else f"{size / 2**30:.2f} GiB"


def magnitude(number: int | None) -> str:
    """Format a large number briefly: "6", "148 k", "22.7 M"; "" if it is unknown."""
    if number is None:
        return ""
    if number < 1000:
        return f"{number}"
    return f"{number / 1e3:.0f} k" if number < 1_000_000 else f"{number / 1e6:.1f} M"

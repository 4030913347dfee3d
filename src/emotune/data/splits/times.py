"""Times of rows: dates, dates with times, Unix seconds and milliseconds, and whole numbers; one kind per column."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from emotune.system.errors import DataError
from emotune.system.wording import quoted

DATE, DATETIME, ZONED, NUMBER = "dates", "dates with times", "dates with times and time zones", "whole numbers"
# Whole numbers in these ranges are Unix times: seconds of 1973 to 2286, and milliseconds of the same years.
_SECONDS, _MILLISECONDS = (10**8, 10**10), (10**11, 10**13)
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(?:\.0*)?")
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
EXPECTED = (
    "an ISO date (2024-05-31), a date with a time (2024-05-31 18:30, 2024-05-31T18:30:00Z), Unix seconds or milliseconds, "
    "or a whole number"
)
"""What a time may be, in words."""


class TimeError(DataError):
    """Error of a cell that is no time.

    Attributes:
        cells: The cell.
    """

    def __init__(self, message: str, cell: object) -> None:
        super().__init__(message)
        self.cells = (cell,)


@dataclass(frozen=True, eq=False)
class Times:
    """Times of rows, in one order.

    Attributes:
        kind: Their kind in words.
        keys: Shape (rows,), int64; later rows have larger keys.
    """

    kind: str
    keys: NDArray[np.int64]

    def shown(self, key: int) -> str:
        """Return a key as a time in words: "2024-05-31", "2024-05-31 18:30:00 UTC", "17"."""
        if self.kind == DATE:
            return date.fromordinal(key).isoformat()
        if self.kind in (DATETIME, ZONED):
            return _moment(timedelta(microseconds=key), " UTC" if self.kind == ZONED else "")
        if self.kind == "Unix seconds":
            return _moment(timedelta(seconds=key), " UTC")
        if self.kind == "Unix milliseconds":
            return _moment(timedelta(milliseconds=key), " UTC")
        return str(key)


def _moment(since: timedelta, zone: str) -> str:
    moment = _EPOCH + since
    return moment.isoformat(" ", "milliseconds" if moment.microsecond else "seconds") + zone


def read_times(cells: Sequence[object], places: Sequence[str], column: str) -> Times:
    """Read the times of rows, all of one kind.

    Args:
        cells: The cells of their column.
        places: The place of each row, for messages.
        column: The column's name.

    Raises:
        DataError: A time is missing, is none of these, or is of another kind than the first one; or the numbers are a
            mixture of Unix seconds and milliseconds.
    """
    kind = ""
    keys = []
    for cell, place in zip(cells, places, strict=True):
        found, key = check_time(cell, place, column)
        if kind and found != kind:
            raise DataError(
                f"{place}: the time in column {quoted(column)} is {quoted(cell)}, one of {found}, and those before it are {kind}.\n"
                "All times of a column must be of one kind, or their order is not known. Write them all in one way."
            )
        kind = found
        keys.append(key)
    array = np.array(keys, dtype=np.int64)
    return Times(_kind_of_numbers(array, places, column) if kind == NUMBER else kind, array)


def check_time(cell: object, place: str, column: str) -> tuple[str, int]:
    """Return the kind of one row's time and its key.

    Args:
        cell: The cell of its column.
        place: The place of the row, for messages.
        column: The column's name.

    Raises:
        TimeError: The time is missing, or is none.
    """
    try:
        return _read(cell)
    except (ValueError, OverflowError):
        missing = cell is None or (isinstance(cell, str) and not cell.strip()) or cell != cell
        seen = "is missing" if missing else f"is {quoted(cell)}"
        raise TimeError(
            f"{place}: the time in column {quoted(column)} {seen}.\n"
            f"Expected {EXPECTED}. Correct or remove the row, or name another column with --time-column.",
            cell,
        ) from None


def _read(cell: object) -> tuple[str, int]:
    """Return the kind of a time and its key.

    Raises:
        ValueError: It is no time.
        OverflowError: It is too far from now.
    """
    if isinstance(cell, datetime):
        return _read_datetime(cell)
    if isinstance(cell, date):
        return DATE, cell.toordinal()
    if isinstance(cell, bool):
        raise ValueError(cell)
    if isinstance(cell, (int, np.integer)):
        return NUMBER, _whole(int(cell))
    if isinstance(cell, (float, np.floating)):
        if not math.isfinite(cell) or not float(cell).is_integer():
            raise ValueError(cell)
        return NUMBER, _whole(int(cell))
    if not isinstance(cell, str):
        raise ValueError(cell)
    text = cell.strip()
    if _WHOLE.fullmatch(text):
        return NUMBER, int(text.partition(".")[0])
    if len(text) <= len("2024-05-31"):
        return DATE, date.fromisoformat(text).toordinal()
    return _read_datetime(datetime.fromisoformat(text))


def _read_datetime(found: datetime) -> tuple[str, int]:
    if found.tzinfo is None:
        return DATETIME, (found - _EPOCH) // _MICROSECOND
    return ZONED, (found.astimezone(UTC).replace(tzinfo=None) - _EPOCH) // _MICROSECOND


def _whole(number: int) -> int:
    if abs(number) >= 10**18:
        raise OverflowError(number)
    return number


def _kind_of_numbers(keys: NDArray[np.int64], places: Sequence[str], column: str) -> str:
    """Return the unit of whole numbers, by their size."""
    seconds = (keys >= _SECONDS[0]) & (keys < _SECONDS[1])
    milliseconds = (keys >= _MILLISECONDS[0]) & (keys < _MILLISECONDS[1])
    if seconds.all():
        return "Unix seconds"
    if milliseconds.all():
        return "Unix milliseconds"
    if seconds.any() and milliseconds.any() and (seconds | milliseconds).all():
        row = int(np.flatnonzero(milliseconds if seconds[0] else seconds)[0])
        units = ("milliseconds", "seconds") if seconds[0] else ("seconds", "milliseconds")
        raise DataError(
            f"{places[row]}: the time in column {quoted(column)} is {keys[row]}, which looks like Unix {units[0]}; those before it "
            f"look like {units[1]}.\nWrite them all in one unit, or their order is wrong."
        )
    return NUMBER

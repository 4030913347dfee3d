"""Cells that are wrong in every row alike, such as 'yes' for 1 or 01/13/2024 for 2024-01-13, and how to convert them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from emotune.data.several import FlagError, is_flag
from emotune.data.splits.times import EXPECTED, TimeError
from emotune.system.wording import quoted

# Words for 1 and 0.
_ONES_AND_ZEROS = (("yes", "no"), ("y", "n"), ("t", "f"), ("on", "off"), ("x", ""))
_DATES = (
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%Y",
    "%d.%m.%y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d %B %Y",
)
_CLOCKS = (" %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_FORMATS = (*_DATES, *(date + clock for date in _DATES for clock in _CLOCKS), "%a %b %d %H:%M:%S %z %Y")
_EXAMPLE = "2024-01-13"


def said_of_all(message: str, errors: Collection[type[Exception]], cells: Sequence[tuple[object, ...]]) -> str:
    """Return the message on rows that cannot be used for one reason, with how to convert them; "" if there is no such.

    Args:
        message: The message on the first of them, with its place.
        errors: The kinds of their errors.
        cells: The cells of each row that these are about; all rows of the table.
    """
    if len(cells) < 2 or len(errors) > 1:
        return ""
    if FlagError in errors:
        words = _words(cell for row in cells for cell in row)
        return words and f"{message}\nAll {len(cells):,} rows hold {words} there: write 1 and 0."
    texts = [cell.strip() for row in cells for cell in row if isinstance(cell, str)]
    if TimeError not in errors or len(texts) < len(cells) or len(set(map(_form, texts))) > 1 or not texts[0]:
        return ""
    seen = message.splitlines()[0].removesuffix(".")
    return (
        f"{seen}, and all {len(texts):,} rows have this form.\nWrite them as {_converted(texts)}, or name another column with "
        f"--time-column. Expected {EXPECTED}."
    )


def _words(cells: Iterable[object]) -> str:
    """Return the two words that stand for 1 and 0 as they are written, "'Yes' or 'No'"; "" if there are others."""
    written: dict[str, str] = {}
    for cell in cells:
        text = "" if cell is None else str(cell).strip()
        if not is_flag(text):
            written.setdefault(text.lower(), quoted(text) if text else "nothing")
    for one, zero in _ONES_AND_ZEROS:
        if one in written and set(written) <= {one, zero}:
            return " or ".join(written[word] for word in (one, zero) if word in written)
    return ""


def _form(text: str) -> str:
    """Return a text with one digit for each number and one letter for each word."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", text))


def _converted(texts: Sequence[str]) -> str:
    """Return how to write times, by one of them that leaves no doubt about its day and month, if there is one."""
    formats = [form for form in _FORMATS if all(_parsed(text, form) is not None for text in texts)]
    if len(formats) != 1:
        return _EXAMPLE
    plain = next((text for text in texts if sum(_parsed(text, form) is not None for form in _FORMATS) == 1), texts[0])
    found = _parsed(plain, formats[0])
    if found is None:
        return _EXAMPLE
    return f"{found if '%M' in formats[0] else found.date()} for {quoted(plain)}"


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None

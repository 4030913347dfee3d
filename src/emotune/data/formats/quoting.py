"""Decide whether the quotes of a tab-separated file are quoting or text.

Programs write such files in two ways. Spreadsheets and CSV libraries put a field with a tab, a line end or a quote into
double quotes, and double the quotes inside. Other programs write one line per row and leave quotes as they are. If a
text of the second kind begins with a quote and is read as quoting, it swallows all rows up to the next quote without
any error. So a quote is text unless the whole file says otherwise.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TextIO

TAB = "\t"
QUOTE = '"'
_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class Quoting:
    """Interpretation of the quotes of a file.

    Attributes:
        is_quoting: True if they are quoting; otherwise every line is a row, and quotes are text.
        reason: The reason why they are quoting, as the end of a sentence; "" if they are text.
        obstacle: The reason against quoting, as a clause, if neither reading fits the whole file; else "".
        fields: Number of fields quoted as a whole, as by a CSV writer, although quotes are text.
    """

    is_quoting: bool
    reason: str = ""
    obstacle: str = ""
    fields: int = 0

    @property
    def note(self) -> str:
        """Note for the reader, as a clause; "" if no quote of the file could be read otherwise."""
        if self.is_quoting:
            return f"quotes are read as quoting, {self.reason}" if self.reason else ""
        if not self.fields:
            return ""
        begin = (
            "field begins and ends with one, and keeps it"
            if self.fields == 1
            else "fields begin and end with one, and keep it"
        )
        why = self.obstacle or "not every field with a quote in it is quoted as a whole"
        return f"quotes are read as text, since {why}; {self.fields:,} {begin}"


def decide_quoting(opened: Callable[[], AbstractContextManager[TextIO]], skipped: int = 0) -> Quoting:
    """Read a whole tab-separated file, in constant memory, and decide what its quotes are.

    They are quoting in two cases:

    - Every line has as many fields as the header, and every field with a quote begins and ends with one and doubles
      those inside, as a CSV writer does. Both readings then give the same rows.
    - Only with quoting does every row have as many fields as the header, and no line inside a field could be a row.

    Args:
        opened: Opens the file as text with its line ends as they are; it is opened up to four times.
        skipped: Number of lines before those.
    """
    with opened() as stream:
        if not any(QUOTE in part for part in iter(lambda: stream.read(_AT_A_TIME), "")):
            return Quoting(is_quoting=False)
    lines_are_rows, is_regular = _as_lines(opened)
    if lines_are_rows:
        if is_regular:
            return Quoting(is_quoting=True, reason="since every field with a quote in it is quoted as a whole")
        return Quoting(is_quoting=False, fields=_quoted_fields(opened))
    obstacle = _against_quoting(opened, skipped)
    if obstacle:
        return Quoting(is_quoting=False, obstacle=obstacle, fields=_quoted_fields(opened))
    return Quoting(is_quoting=True, reason="since otherwise rows would not have as many fields as the header")


def _as_lines(opened: Callable[[], AbstractContextManager[TextIO]]) -> tuple[bool, bool]:
    """Return whether all lines have as many fields as the header, and whether all fields with quotes are CSV-quoted."""
    width = 0
    is_regular = True
    with opened() as stream:
        for line in stream:
            row = line.rstrip("\r\n")
            if not row.strip():
                continue
            width = width or row.count(TAB) + 1
            if row.count(TAB) + 1 != width:
                return False, False
            if is_regular and QUOTE in row:
                is_regular = all(is_quoted(field) for field in row.split(TAB) if QUOTE in field)
    return True, is_regular


def _quoted_fields(opened: Callable[[], AbstractContextManager[TextIO]]) -> int:
    """Return the number of fields quoted as a whole, in a file where every line is a row."""
    with opened() as stream:
        return sum(is_quoted(field) for line in stream if QUOTE in line for field in line.rstrip("\r\n").split(TAB))


def _against_quoting(opened: Callable[[], AbstractContextManager[TextIO]], skipped: int) -> str:
    """Return the reason why a file cannot be read with quoting, or "" if it can."""
    width = 0
    read: list[str] = []

    def noted(stream: TextIO) -> Iterator[str]:
        for line in stream:
            read.append(line)
            yield line

    with opened() as stream:
        reader = csv.reader(noted(stream), delimiter=TAB, strict=True)
        start = skipped + 1
        try:
            for fields in reader:
                lines, read[:] = [line.rstrip("\r\n") for line in read], []
                blank = not fields or (len(fields) == 1 and not fields[0].strip())
                if not blank:
                    width = width or len(fields)
                    if len(fields) != width:
                        return f"line {start} would have {len(fields)} fields, and the header has {width}"
                    if swallows_rows(lines, width, TAB):
                        end = skipped + reader.line_num
                        return f"one field would hold lines {start} to {end}, which look like rows of their own"
                start = skipped + reader.line_num + 1
        except csv.Error:
            return f"a quote in line {start} is not closed where the field ends"
    return ""


def swallows_rows(lines: list[str], width: int, delimiter: str) -> bool:
    """Return whether lines joined by quotes are rows of their own: an inner one, or both the first and the last.

    Args:
        lines: The lines of one record.
        width: Number of fields of the header.
        delimiter: Separator of the fields.
    """
    whole = [line.count(delimiter) + 1 == width for line in lines]
    return len(lines) > 1 and width > 1 and (any(whole[1:-1]) or (whole[0] and whole[-1]))


def is_quoted(field: str) -> bool:
    """Return whether a field is quoted as a whole, as by a CSV writer."""
    inside = field[1:-1]
    return len(field) >= 2 and field[0] == field[-1] == QUOTE and QUOTE not in inside.replace(QUOTE * 2, "")

"""Dialects of delimited text: what quotes and escapes are, and whether a whole file fits one."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TextIO

from emotune.data.formats.quoting import QUOTE, is_quoted, swallows_rows

Opened = Callable[[], AbstractContextManager[TextIO]]
"""Opens a file as text, with its line ends as they are."""

_ESCAPE = "\\"


@dataclass(frozen=True)
class Dialect:
    """A way of writing rows.

    Attributes:
        delimiter: Separator of the fields.
        quote: The quoting character; None where every line is a row, and quotes are text.
        escape: The character that makes the next one text.
    """

    delimiter: str
    quote: str | None = QUOTE
    escape: str | None = None

    def reader(self, lines: Iterator[str] | TextIO) -> Any:
        """Return a strict reader of the csv module."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            strict=True,
            quoting=csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL,
            quotechar=self.quote or QUOTE,
            escapechar=self.escape,
        )

    @property
    def words(self) -> str:
        """What its quotes and escapes are, as a clause."""
        if self.quote is None:
            return "quotes are read as text"
        if self.escape is not None:
            return "backslashes are read as escapes"
        return "single quotes are read as quoting" if self.quote == "'" else "quotes are read as quoting"


@dataclass(frozen=True)
class Fit:
    """What shows that every row of a file has as many fields as its header.

    Attributes:
        dialect: The dialect.
        extra: Number of empty fields after the last column, which every row has.
        rows: Hash of the rows; equal rows have equal hashes.
    """

    dialect: Dialect
    extra: int
    rows: int


def is_blank(fields: Sequence[str]) -> bool:
    """Return whether a record is a line of spaces, which counts as empty."""
    return not fields or (len(fields) == 1 and not fields[0].strip())


def fit(opened: Opened, dialect: Dialect, width: int | None, *, strict: bool = False) -> Fit | None:
    """Read a whole file, in constant memory, and return how it fits a dialect; None if it does not.

    Args:
        opened: Opens the file at its first record.
        dialect: The dialect.
        width: Number of columns; None where the first record is the header.
        strict: For a dialect that a file is not expected to have: refuse rows swallowed by a quote, fields that are quoted
            as a whole where quotes are text, and backslashes that escape nothing.
    """
    extra: int | None = None
    rows = 0
    lines: list[str] = []

    def noted(stream: TextIO) -> Iterator[str]:
        for line in stream:
            lines.append(line.rstrip("\r\n"))
            yield line

    with opened() as stream:
        try:
            for fields in dialect.reader(noted(stream) if strict else stream):
                joined, lines[:] = list(lines), []
                if is_blank(fields):
                    continue
                if strict and not _is_regular(dialect, fields, joined, width or len(fields)):
                    return None
                if width is None:
                    width = len(fields)
                    rows = hash(tuple(fields))
                    if strict and dialect.quote != QUOTE and any(QUOTE in name for name in fields):
                        return None
                    continue
                more = len(fields) - width
                if extra is None:
                    extra = more
                if more != extra or more < 0 or (more and any(field.strip() for field in fields[width:])):
                    return None
                if strict:
                    rows = hash((rows, *fields))
        except csv.Error:
            return None
    return Fit(dialect, extra or 0, rows)


def other_fit(opened: Opened, delimiter: str, width: int | None) -> Fit | None:
    """Return the only way in which a file fits another dialect than that of CSV; None if there is none, or several.

    Args:
        opened: As for `fit`.
        delimiter: Separator of the fields.
        width: As for `fit`.
    """
    others = (Dialect(delimiter, None), Dialect(delimiter, "'"), Dialect(delimiter, QUOTE, _ESCAPE))
    found = [fitting for dialect in others if (fitting := fit(opened, dialect, width, strict=True)) is not None]
    return found[0] if len({(fitting.rows, fitting.extra) for fitting in found}) == 1 else None


def _is_regular(dialect: Dialect, fields: Sequence[str], lines: list[str], width: int) -> bool:
    """Return whether a record looks as if its program had meant this dialect; see `fit`."""
    if dialect.quote != QUOTE and any(is_quoted(field) for field in fields):
        return False
    if dialect.escape is not None:
        after = "".join(lines).replace(_ESCAPE * 2, "").split(_ESCAPE)[1:]
        if not all(part[:1] in (QUOTE, dialect.delimiter, "") for part in after):
            return False
    return not swallows_rows(lines, width, dialect.delimiter)

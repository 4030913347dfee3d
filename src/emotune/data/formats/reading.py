"""`Reading`: how the rows of a file are to be read, as far as the file does not say it itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from emotune.system.errors import DataError
from emotune.system.wording import quoted


@dataclass(frozen=True)
class Reading:
    """How a file is to be read; `DataSource` declares and checks the values.

    Attributes:
        max_characters: The longest text allowed.
        encoding: Name of the encoding of a text file; None for UTF-8, or what a byte order mark says.
        delimiter: Separator of the fields in a line; None to find it.
        columns: Names of all columns of a file without a header, in order.
        query: A SELECT that gives the rows of a database.
        sheet: Name of the sheet of a workbook.
    """

    max_characters: int
    encoding: str | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] | None = None
    query: str | None = None
    sheet: str | None = None

    def refuse_all_but(self, used: Collection[str], what: str) -> None:
        """Refuse an option that does not apply, which would silently do nothing.

        Args:
            used: Names of the options that apply.
            what: What is read, the subject of the message: "d.json is JSON".

        Raises:
            DataError: Another one was given.
        """
        for option in OPTIONS:
            given = getattr(self, option)
            if given is not None and option not in used:
                shown = ",".join(given) if isinstance(given, tuple) else given
                raise DataError(
                    f"{what}, and --{option} ({quoted(shown)} was given) is about {_ABOUT[option]}. Leave it out."
                )


_ABOUT = {
    "encoding": "files of text",
    "delimiter": "files with lines of fields, such as CSV",
    "columns": "files with lines of fields, such as CSV",
    "query": "SQLite databases",
    "sheet": "Excel workbooks",
}
OPTIONS = tuple(_ABOUT)
"""Names of the options that apply to some formats only."""

"""Text files: opened in their encoding, decompressed, with messages for what cannot be read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from emotune.data.formats.archives import open_content
from emotune.data.formats.encodings import encoding_of, wrong_encoding
from emotune.system.errors import DataError
from emotune.system.wording import escaped


@dataclass(frozen=True)
class TextFile:
    """A text file that can be opened again and again.

    Attributes:
        path: The file.
        encoding: Its encoding, for Python.
        given: The encoding that the user gave, if any.
        inside: Name of the table, if the file is an archive.
        notes: Notes on reading it, one sentence each.
    """

    path: Path
    encoding: str = "utf-8-sig"
    given: str | None = None
    inside: str | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path, start: bytes, given: str | None, inside: str | None) -> TextFile:
        """Return a file whose first bytes are known.

        Raises:
            DataError: A byte order mark contradicts the encoding given.
        """
        encoding, notes = encoding_of(path, start, given)
        if inside is not None:
            notes = (f"{escaped(path.name)}: read from {escaped(inside)} in it.", *notes)
        return cls(path, encoding, given, inside, notes)

    @property
    def shown(self) -> str:
        """Its name in messages: the path as the user gave it."""
        return escaped(self.path)

    def note(self, said: str) -> str:
        """Return a note on this file."""
        return f"{escaped(self.path.name)}: {said}."

    @contextmanager
    def opened(self, newline: str, skip: int = 0) -> Iterator[TextIO]:
        """Open the text; turn errors of reading into messages.

        Args:
            newline: As for `open`.
            skip: Number of lines to leave out at the beginning.
        """
        try:
            with (
                open_content(self.path, self.inside) as content,
                io.TextIOWrapper(content, encoding=self.encoding, newline=newline) as stream,
            ):
                for _ in range(skip):
                    stream.readline()
                yield stream
        except UnicodeError:
            opened = open_content(self.path, self.inside)
            raise wrong_encoding(self.path, opened, self.encoding, given=self.given) from None
        except OSError as error:
            raise unreadable(self.path, error) from None

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines with their numbers, without line ends; only line feeds end a line."""
        with self.opened("\n") as stream:
            for number, line in enumerate(stream, 1):
                yield number, line.removesuffix("\n").removesuffix("\r")

    def only_blank(self) -> DataError:
        """Return the error of a file without a line that is not blank."""
        return DataError(f"{self.shown} is empty: it has nothing but blank lines.")


def unreadable(path: Path, error: OSError) -> DataError:
    """Return the error of a file that the system does not let be read."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"No such file: {escaped(path)}.")
    return DataError(f"{escaped(path)} cannot be read: {error.strerror or error}.")

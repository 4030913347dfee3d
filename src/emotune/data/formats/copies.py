"""Copies of what can be read only once, such as standard input, as temporary files that are removed at the end."""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
import weakref
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar, get_args

from emotune.data.formats.compression import open_to_read
from emotune.data.table import Broken, Row, Table
from emotune.system.errors import DataError
from emotune.system.text import reason_of
from emotune.system.wording import escaped

InputFormat = Literal["csv", "tsv", "jsonl", "json", "parquet", "xlsx", "sqlite", "zip", "text"]
"""Names of the formats of rows whose name has no suffix, such as standard input."""

INPUT_FORMATS: tuple[str, ...] = get_args(InputFormat)
STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0")
LARGEST = 2 << 30
"""Bytes of the largest copy."""
_BLOCK = 1 << 20
_LOOKED_AT = 4096


Value = TypeVar("Value")


class TemporaryFolder:
    """A folder that is removed when nothing refers to this object any more, and at the latest when Python ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="emotune-"))
        self.remove = weakref.finalize(self, shutil.rmtree, str(self.path), ignore_errors=True)


@dataclass(frozen=True)
class Copy:
    """A file on this machine that stands for something else.

    Attributes:
        path: The file.
        name: Name of what it stands for in messages: "standard input", or a URL.
        notes: Notes on it, one sentence each.
        held: Keeps the file until nothing refers to the copy.
    """

    path: Path
    name: str
    notes: tuple[str, ...] = ()
    held: TemporaryFolder | None = field(default=None, repr=False)

    def open(self, opener: Callable[[Path], Table]) -> Table:
        """Return the table of the file, with messages that name what it stands for.

        Args:
            opener: Opens a file.

        Raises:
            DataError: The file is not valid.
        """
        try:
            table = opener(self.path)
        except DataError as error:
            raise self._renamed(error) from None

        def read(wanted: Sequence[str]) -> Iterator[Row]:
            for number, values in self.reading(lambda: table.read(wanted)):
                yield number, list(map(self._renamed_cell, values)) if any(map(_is_broken, values)) else values

        def objects() -> Iterator[tuple[int, dict[str, Any] | DataError]]:
            assert table.objects is not None
            for number, row in self.reading(table.objects):
                yield number, self._renamed(row) if isinstance(row, DataError) else row

        return replace(
            table,
            source=self.name,
            read=read,
            objects=None if table.objects is None else objects,
            notes=tuple(map(self._in_words, table.notes)),
        )

    def reading(self, read: Callable[[], Iterator[Value]]) -> Iterator[Value]:
        """Yield what is read from the file, with messages that name what it stands for; the file is kept for it.

        Args:
            read: Reads it.
        """
        try:
            yield from read()
        except DataError as error:
            raise self._renamed(error) from None

    def _renamed_cell(self, cell: object) -> object:
        return Broken(self._renamed(cell.error)) if isinstance(cell, Broken) else cell

    def _renamed(self, error: DataError) -> DataError:
        return DataError(self._in_words(str(error)))

    def _in_words(self, message: str) -> str:
        name = self.name[0].upper() + self.name[1:] if message.startswith(escaped(self.path)) else self.name
        return message.replace(escaped(self.path), name, 1).replace(escaped(self.path), self.name)


def _is_broken(cell: object) -> bool:
    return isinstance(cell, Broken)


def write_copy(blocks: Iterator[bytes], path: Path, name: str) -> int:
    """Write a copy, and return its number of bytes.

    Args:
        blocks: The content.
        path: The file to write.
        name: What is copied, for messages.

    Raises:
        DataError: It is too large, or cannot be written.
    """
    size = 0
    try:
        with path.open("wb") as file:
            for block in blocks:
                size += len(block)
                if size > LARGEST:
                    raise DataError(
                        f"{name} has more than {LARGEST:,} bytes, the most that is copied. Save it as a file, and give that."
                    )
                file.write(block)
    except OSError as error:
        raise DataError(f"{name} cannot be copied to {escaped(path.parent)}: {reason_of(error)}.") from None
    return size


def blocks_of(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the content of a stream in blocks."""
    while block := stream.read(_BLOCK):
        yield block


# Standard input and pipes can be read only once, and a process may load its data more than once. The stream itself is
# kept with its copy, so that another stream in its place is not taken for it.
_standard_input: tuple[object, Copy] | None = None
_pipes: dict[tuple[int, int], Copy] = {}


def copy_standard_input(form: InputFormat | None) -> Copy:
    """Return a copy of standard input, made at the first call.

    Args:
        form: Its format; None to find it out.

    Raises:
        DataError: It is a terminal, empty or too large.
    """
    global _standard_input
    if _standard_input is None or _standard_input[0] is not sys.stdin:
        if sys.stdin is None or sys.stdin.isatty():
            raise DataError("Standard input is a terminal. Send rows to it, as in: emotune audit - < rows.csv")
        _standard_input = (sys.stdin, _copied(blocks_of(sys.stdin.buffer), "standard input", form))
    return _standard_input[1]


def copy_pipe(path: Path, form: InputFormat | None) -> Copy:
    """Return a copy of what comes through a pipe, made at the first call; arguments and errors as for standard input."""
    state = path.stat()
    if not (stat.S_ISFIFO(state.st_mode) or stat.S_ISSOCK(state.st_mode)):
        raise DataError(f"{escaped(path)} is a device. Expected a file, a folder or a pipe.")
    key = (state.st_dev, state.st_ino)
    if key not in _pipes:
        try:
            with path.open("rb") as stream:
                _pipes[key] = _copied(blocks_of(stream), escaped(path), form)
        except OSError as error:
            raise DataError(f"{escaped(path)} cannot be read: {reason_of(error)}.") from None
    return _pipes[key]


def _copied(blocks: Iterator[bytes], name: str, form: InputFormat | None) -> Copy:
    folder = TemporaryFolder()
    path = folder.path / "rows"
    subject = name[0].upper() + name[1:]
    if not write_copy(blocks, path, subject):
        raise DataError(f"{subject} is empty (0 bytes).")
    found = form or form_of(path)
    notes = (
        () if form else (f"{subject} is read as {found.upper()}, going by its content; --input-format names another.",)
    )
    return Copy(path.rename(path.with_suffix(suffix_of(found))), name, notes, folder)


def suffix_of(form: InputFormat) -> str:
    """Return the suffix of files of a format."""
    return ".txt" if form == "text" else f".{form}"


def form_of(path: Path) -> InputFormat:
    """Return the format of a file by the beginning of its content."""
    try:
        with open_to_read(path) as stream:
            start = stream.read(_LOOKED_AT)
    except OSError as error:
        raise DataError(f"{escaped(path)} cannot be read: {reason_of(error)}.") from None
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                return "xlsx" if "xl/workbook.xml" in archive.namelist() else "zip"
        except zipfile.BadZipFile:  # only its end is that of an archive; opening it says so
            return "zip"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return "json" if text.startswith((b"{", b"[")) else "csv"

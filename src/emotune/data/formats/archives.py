"""ZIP archives with one table in them, read without unpacking."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from emotune.data.formats.compression import open_to_read
from emotune.system.errors import DataError
from emotune.system.text import reason_of
from emotune.system.wording import counted, escaped, listed, quoted, word

SUFFIX = ".zip"
TEXT_SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson", ".json")
"""Suffixes of tables that are read inside an archive."""
_OTHERS = (".parquet", ".arrow", ".feather", ".xlsx", ".xlsm", ".db", ".sqlite", ".sqlite3", ".db3")
_ABOUT = ("readme", "license", "licence", "changelog")
# Limits of what is unpacked: a few kilobytes can hold any amount of zeros.
_LARGEST = 8 << 30
_LARGEST_RATIO, _LARGEST_AT_ANY_RATIO = 200, 100 << 20


def table_in(path: Path) -> str:
    """Return the name of the only table in an archive.

    Raises:
        DataError: It is no archive, or damaged; or it holds no table, or several, or one that is not read inside an archive.
    """
    with _opened(path) as archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        seen = [name for name in names if not name.startswith("__MACOSX/") and PurePosixPath(name).name[:1] != "."]
        if "[Content_Types].xml" in names or "mimetype" in names:
            raise DataError(
                f"{escaped(path)} is an office document. Save the table as CSV in UTF-8 or as .xlsx, and give that."
            )
        tables = [name for name in seen if _suffix(name) in (*TEXT_SUFFIXES, *_OTHERS) and not _is_about(name)]
        unpack = f"Unpack it, and give what is in it: unzip {word(path)}"
        if len(tables) != 1:
            what = (
                f"holds {counted(len(tables), 'table')}, {listed(tables)}; expected one" if tables else "holds no table"
            )
            inside = "" if tables else f". In it: {listed(names)}" if names else ". It is empty"
            raise DataError(f"{escaped(path)} is a ZIP archive that {what}{inside}.\n{unpack}")
        entry = archive.getinfo(tables[0])
        if _suffix(tables[0]) in _OTHERS:
            raise DataError(
                f"{escaped(path)} is a ZIP archive with {quoted(tables[0])}, a kind of file that is not read inside one.\n{unpack}"
            )
        if entry.flag_bits & 1:
            raise DataError(f"{escaped(path)} is a ZIP archive that is encrypted.\n{unpack}")
        suspicious = entry.file_size > _LARGEST_AT_ANY_RATIO and entry.file_size > _LARGEST_RATIO * entry.compress_size
        if entry.file_size > _LARGEST or suspicious:
            raise DataError(
                f"{escaped(path)}: {quoted(tables[0])} in it would have {entry.file_size:,} bytes, from {entry.compress_size:,} "
                f"in the archive, which is more than is unpacked unasked.\n{unpack}"
            )
        return tables[0]


@contextmanager
def open_content(path: Path, inside: str | None) -> Iterator[IO[bytes]]:
    """Open the content of a file, decompressed: of the file itself, or of a file in an archive.

    Args:
        path: The file.
        inside: The name of the file in the archive; None if it is no archive.

    Raises:
        OSError: The file cannot be read.
        DataError: The content is damaged.
    """
    if inside is None:
        with open_to_read(path) as stream:
            yield stream
        return
    with _opened(path) as archive, archive.open(inside) as stream:
        yield stream


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{escaped(path)} is damaged, or not a ZIP archive that can be read: {reason_of(error)}. Copy or download it again."
        ) from None


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _is_about(name: str) -> bool:
    return _suffix(name) == ".txt" and PurePosixPath(name).stem.lower() in _ABOUT

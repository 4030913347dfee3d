"""Compressed files: gzip, bzip2, xz and zstd, recognised by their first bytes when read, and named by their suffix."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from emotune.system.errors import DataError
from emotune.system.text import reason_of
from emotune.system.wording import escaped

SUFFIXES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
"""Kinds of compression by suffix."""

_SIGNATURES = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_BYTES_LOOKED_AT = 6


def format_suffix(path: Path) -> str:
    """Return the suffix of a file's format in lower case: ".csv" of "reviews.csv.gz" and of "reviews.CSV"."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in SUFFIXES else suffix


def format_stem(path: Path) -> str:
    """Return the name of a file without the suffixes of its format and compression."""
    return Path(path.stem).stem if path.suffix.lower() in SUFFIXES else path.stem


def compression_of(start: bytes) -> str | None:
    """Return the kind of compression that a file's first bytes show, or None."""
    return next((kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)), None)


@contextmanager
def open_to_read(path: Path) -> Iterator[IO[bytes]]:
    """Open a file's content, decompressed if the file is compressed.

    Raises:
        OSError: The file cannot be read.
        DataError: The compressed content is damaged or incomplete.
    """
    with path.open("rb") as file:
        kind = compression_of(file.peek(_BYTES_LOOKED_AT))
        if kind is None:
            yield file
            return
        try:
            with _decompressed(file, kind) as stream:
                yield stream
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise _damaged(path, kind, error) from None
        except OSError as error:
            # bz2 and Arrow report damage as errors of the system without a number.
            if error.errno is not None:
                raise
            raise _damaged(path, kind, error) from None


@contextmanager
def compressed(stream: IO[bytes], kind: str | None) -> Iterator[IO[bytes]]:
    """Yield a stream whose content is compressed into `stream`, or `stream` itself if the kind is None."""
    if kind is None:
        yield stream
        return
    with _compressor(stream, kind) as into:
        yield into


def _decompressed(file: BinaryIO, kind: str) -> IO[bytes]:
    if kind == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    if kind == "bzip2":
        return cast(IO[bytes], bz2.BZ2File(file))
    if kind == "xz":
        return cast(IO[bytes], lzma.LZMAFile(file))
    import pyarrow as pa

    return cast(IO[bytes], io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")))


def _compressor(stream: IO[bytes], kind: str) -> IO[bytes]:
    if kind == "gzip":
        # Without name and time, so that the same rows give the same bytes.
        return cast(IO[bytes], gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0))
    if kind == "bzip2":
        return cast(IO[bytes], bz2.BZ2File(stream, "wb"))
    if kind == "xz":
        return cast(IO[bytes], lzma.LZMAFile(stream, "wb"))
    import pyarrow as pa

    return cast(IO[bytes], pa.CompressedOutputStream(pa.PythonFile(stream, mode="w"), "zstd"))


def _damaged(path: Path, kind: str, error: BaseException) -> DataError:
    return DataError(
        f"{escaped(path)} is compressed with {kind}, and damaged or incomplete: {reason_of(error)}. "
        "Copy or download it again."
    )

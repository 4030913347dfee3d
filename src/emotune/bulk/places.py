"""Places of a cluster's files, on any file system that fsspec knows: the inputs, and the folder of the output."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from emotune.data.formats import columnar
from emotune.data.formats.compression import format_suffix
from emotune.data.formats.files import KNOWN_SUFFIXES
from emotune.data.writing import FORMATS, format_of
from emotune.system.errors import ConfigError, DataError, OutputError
from emotune.system.text import reason_of
from emotune.system.wording import in_full, listed

SUMMARY = "_summary.json"
"""File that is written last: a folder without it is not complete."""
SKIPPED = "_skipped.csv"


Finish = Callable[[str, dict[str, Any]], None]
"""Completes an output folder: takes the list of rows left out, "" if there is none, and the summary."""


def find_files(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the data files that paths, URLs, patterns and folders name, sorted, each once.

    Args:
        patterns: What the user gave: "s3://bucket/day-*.parquet", a folder, a file.

    Raises:
        DataError: One of them names no data file, or they are of several formats.
        ConfigError: The file system of a URL is not known here.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        system, path = file_system(pattern)
        try:
            paths = (
                [
                    entry
                    for entry in system.find(path, maxdepth=1)
                    if not posixpath.basename(entry).startswith((".", "_"))
                ]
                if system.isdir(path)
                else system.glob(path)
            )
        except OSError as error:
            raise DataError(f"{in_full(pattern)} cannot be read: {reason_of(error)}.") from None
        data = sorted(str(entry) for entry in paths if format_suffix(Path(entry)) in KNOWN_SUFFIXES)
        if not data:
            raise DataError(
                f"{in_full(pattern)} names no data file. Expected {', '.join(KNOWN_SUFFIXES)}, compressed or not."
            )
        found.update(dict.fromkeys(entry if is_local(system) else system.unstrip_protocol(entry) for entry in data))
    formats = {_written_as(path) for path in found}
    if len(formats) > 1:
        raise DataError(
            f"The files have several formats: {listed(sorted(formats))}. Predict those of each format alone."
        )
    return tuple(found)


def cluster_format(files: Sequence[str], asked: str | None) -> str:
    """Return the format of the output: the one asked for, or that of the files.

    Raises:
        ConfigError: It is plain text, which has no columns.
    """
    name = format_of(asked) if asked is not None else _written_as(files[0])
    if name == "text":
        if asked is not None:
            raise ConfigError(
                "--engine ray writes rows with their columns; expected --format csv, tsv, jsonl or parquet."
            )
        return "jsonl"
    return name


def _written_as(path: str) -> str:
    """Return the name of the format in which the rows of a file are written: its own, or the nearest that is written."""
    suffix = format_suffix(Path(path))
    return FORMATS.get(suffix, "parquet" if suffix in columnar.SUFFIXES else "csv")


def place(path: Path) -> str:
    """Return the URL that a path stands for, with the second slash that it has lost, or the absolute path."""
    scheme, separator, rest = str(path).partition(":/")
    return f"{scheme}://{rest}" if separator and scheme.isalnum() and len(scheme) > 1 else str(path.resolve())


@contextmanager
def output_folder(url: str, overwrite: bool) -> Iterator[tuple[str, Finish]]:
    """Yield the URL to write parts to, and a function that completes the folder; remove what is there if the block fails.

    An existing folder is replaced at the end. On a file system of this machine, a new one appears under its name when
    it is complete; on others, where moving copies every byte, parts are written to it, and its summary comes last.

    Args:
        url: Path or URL of the folder.
        overwrite: Replace an existing result.

    Raises:
        OutputError: It exists and may not be replaced, or is no result.
    """
    system, path = file_system(url)
    try:
        exists = system.exists(path)
    except OSError as error:
        raise OutputError(f"--output {in_full(url)} cannot be reached: {reason_of(error)}.") from None
    if exists and not overwrite:
        raise OutputError(f"--output {in_full(url)} exists. Add --overwrite to replace it, or choose another name.")
    if exists and not system.exists(posixpath.join(path, SUMMARY)):
        raise OutputError(
            f"--output {in_full(url)} has no {SUMMARY}, so it is no result of emotune, and --overwrite does not replace it. "
            "Remove it yourself, or choose another name."
        )
    beside = posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.partial")
    work = beside if exists or is_local(system) else path

    def finish(skipped: str, summary: dict[str, Any]) -> None:
        if skipped:
            _write_text(system, posixpath.join(work, SKIPPED), skipped)
        _write_text(system, posixpath.join(work, SUMMARY), json.dumps(summary, indent=2) + "\n")

    try:
        if system.exists(work):
            system.rm(work, recursive=True)
        system.makedirs(work, exist_ok=True)
        yield (work if is_local(system) else system.unstrip_protocol(work)), finish
    except BaseException:
        if system.exists(work):
            system.rm(work, recursive=True)
        raise
    if work != path:
        if exists:
            system.rm(path, recursive=True)
        system.mv(work, path, recursive=True)


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a path or URL, and the path in it.

    Raises:
        ConfigError: It is not known here, or its package is not installed.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{in_full(url)} cannot be opened: {reason_of(error)}.") from None


def is_local(system: Any) -> bool:
    """Return whether a file system is that of this machine."""
    protocol = system.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _write_text(system: Any, path: str, text: str) -> None:
    stream: IO[bytes]
    with system.open(path, "wb") as stream:
        stream.write(text.encode())

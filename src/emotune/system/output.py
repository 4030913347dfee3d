"""Output folders that are written completely or not at all, and checks of them before hours are spent."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from emotune.system.atomic import whole
from emotune.system.errors import OutputError

# The file that marks a folder as made by emotune, and describes its content.
DESCRIPTION = "emotune.json"
# The same of an export, which emotune does not load.
EXPORT_DESCRIPTION = "emotune_export.json"
# Checkpoints of two epochs with optimizer state, and the result, for the largest encoders that emotune is meant for.
NEEDED_BYTES = 200_000_000
# File systems allow 255 bytes, and temporary names beside the output are longer.
LONGEST_NAME = 200
# The mark of a file made by emotune is near its beginning.
_BYTES_LOOKED_AT = 4096


def check_output(
    folder: Path,
    overwrite: bool | None,
    inputs: Sequence[Path] = (),
    *,
    option: str = "--output",
    mark: str = DESCRIPTION,
    goes_on: bool = False,
) -> None:
    """Refuse a folder that cannot be written, or whose replacement would delete something else.

    Args:
        folder: The folder to be written.
        overwrite: True if an existing result of emotune may be replaced; None where replacing is not offered.
        inputs: Files and folders that the run reads, which must not be in the folder.
        option: The option that names the folder, for messages.
        mark: The file that marks the folder as a result of emotune, which may be replaced.
        goes_on: True if the job continues in the existing folder, so that nothing is replaced.

    Raises:
        OutputError: It is a file, its content may not be replaced, it cannot be written, or the disk is nearly full.
    """
    folder = folder.expanduser().resolve()
    if len(os.fsencode(folder.name)) > LONGEST_NAME:
        raise OutputError(
            f"The output's name has {len(os.fsencode(folder.name))} bytes; at most {LONGEST_NAME} are possible. "
            f"Choose a shorter one with {option}."
        )
    if folder.exists() and not folder.is_dir():
        raise OutputError(
            f"The output '{folder.name}' exists and is a file, not a folder. Choose another with {option}."
        )
    if folder == Path.cwd() or folder in Path.cwd().parents:
        raise OutputError(
            f"The output folder '{folder}' holds the folder you are working in, so it cannot be replaced. "
            f"Choose another with {option}."
        )
    for path in (path.resolve() for path in inputs):
        if path == folder or folder in path.parents:
            raise OutputError(
                f"The output folder '{folder}' holds '{path.name}', which this run reads, so it cannot be replaced. "
                f"Choose another with {option}."
            )
    if not goes_on:
        _check_contents(folder, overwrite, option, mark)
    _check_writable(folder, option)


def _check_contents(folder: Path, overwrite: bool | None, option: str, mark: str) -> None:
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if overwrite is None:
        raise OutputError(
            f"The output folder '{folder}' exists and is not empty. Name an empty or a new one with {option}."
        )
    if not overwrite:
        raise OutputError(
            f"The output folder '{folder}' exists and is not empty. "
            f"Choose another with {option}, or replace it with --overwrite."
        )
    if not (folder / mark).is_file():
        raise OutputError(
            f"The output folder '{folder}' has no {mark}, so it is not a result of emotune, "
            f"and --overwrite does not replace it.\nRemove it yourself, or choose another with {option}."
        )


def _check_writable(folder: Path, option: str) -> None:
    place = folder
    while not place.exists():
        place = place.parent
    # An existing folder is moved aside, which its parent must allow as well.
    for written in {place, folder.parent if folder.exists() else place}:
        try:
            with tempfile.TemporaryDirectory(dir=written, prefix=".emotune-"):
                pass
        except OSError as error:
            raise OutputError(
                f"The output folder '{folder}' cannot be written: {error.strerror or error}. "
                f"Choose another with {option}."
            ) from None
    check_room(place, option)


def check_room(folder: Path, option: str = "--output") -> None:
    """Refuse a disk that is nearly full.

    Args:
        folder: An existing folder on the disk.
        option: The option that names it, for messages.

    Raises:
        OutputError: It has less free space than a run may need.
    """
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise OutputError(
            f"The disk of '{folder}' has {free / 1e6:.0f} MB free; {NEEDED_BYTES / 1e6:.0f} MB are needed. "
            f"Make room, or choose another folder with {option}."
        )


@contextmanager
def written_whole(
    folder: Path, overwrite: bool | None, *, option: str = "--output", mark: str = DESCRIPTION
) -> Iterator[Path]:
    """Yield a temporary folder that replaces `folder` if the block succeeds, and is removed if it fails.

    Args:
        folder: The folder to be written.
        overwrite: True if existing content may be replaced by the complete folder; None where replacing is not offered.
        option: The option that names the folder, for messages.
        mark: The file that marks the folder as a result of emotune, which may be replaced.

    Yields:
        The folder to write into.

    Raises:
        OutputError: As in `check_output`, or the disk fills up while writing.
    """
    check_output(folder, overwrite, option=option, mark=mark)
    folder = folder.expanduser().resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with whole(folder) as work:
            work.mkdir()
            yield work
            _share(work)
    except OSError as error:
        raise OutputError(
            f"The output folder '{folder}' could not be written: {error.strerror or error}. "
            "Its previous content is unchanged."
        ) from error


def check_file(path: Path, overwrite: bool) -> Path:
    """Refuse a file that cannot be written, or that may not be replaced.

    Args:
        path: The file of --output.
        overwrite: True if it may be replaced.

    Returns:
        The resolved path.

    Raises:
        OutputError: Its name is too long, it exists and may not be replaced, or its folder cannot be written to.
    """
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise OutputError(
            f"--output has a name of {len(os.fsencode(path.name))} bytes; at most {LONGEST_NAME} are possible. "
            "Choose a shorter one."
        )
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OutputError(f"--output {path} exists and is not a file. Name a file.")
    if path.exists() and not overwrite:
        raise OutputError(f"--output {path} exists. Add --overwrite to replace it, or choose another name.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)) if path.parent.is_dir() else "there is no such folder"
        raise OutputError(f"--output {path} cannot be written: {reason}. Choose a folder you can write to.") from None
    return path


@contextmanager
def open_output(path: Path | None, overwrite: bool, mark: str = "") -> Iterator[TextIO]:
    """Open standard output, or a file that appears under its name only when it is complete.

    Args:
        path: The file of --output; None for standard output.
        overwrite: True if it may be replaced.
        mark: Text near the beginning of a file that may be replaced, so that files of other programs are kept.

    Raises:
        OutputError: It exists and may not be replaced, or it cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    with (
        file_written_whole(path, overwrite, mark) as partial,
        partial.open("w", encoding="utf-8", newline="\n") as stream,
    ):
        yield stream


@contextmanager
def file_written_whole(path: Path, overwrite: bool, mark: str = "") -> Iterator[Path]:
    """Yield an empty file beside `path`, which replaces it if the block succeeds, and is removed if it fails.

    Args:
        path: The file of --output.
        overwrite: True if it may be replaced.
        mark: Text near the beginning of a file that may be replaced, so that files of other programs are kept.

    Raises:
        OutputError: It exists and may not be replaced, or it cannot be written.
    """
    path = check_file(path, overwrite)
    if mark and path.exists() and not _begins_with(path, mark):
        raise OutputError(
            f"--output {path} is not a report of emotune, and --overwrite does not replace it.\n"
            "Remove it yourself, or choose another name."
        )
    with whole(path) as partial:
        try:
            partial.open("x").close()
        except OSError as error:
            raise OutputError(
                f"--output {path} cannot be written: {error.strerror}. Choose a folder you can write to."
            ) from None
        yield partial


def _begins_with(path: Path, mark: str) -> bool:
    """Return whether the first kilobytes of a file hold the mark; False for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            return mark.encode() in file.read(_BYTES_LOOKED_AT)
    except OSError:
        return False


def _share(folder: Path) -> None:
    """Set the modes of new files and folders: temporary folders and safetensors files are private otherwise."""
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)
    for path in folder.iterdir():
        path.chmod(0o666 & ~mask)

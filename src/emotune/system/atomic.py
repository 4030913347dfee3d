"""Atomic writes of files and folders: each appears under its name only when it is complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; the file or folder written there replaces `path` if the block succeeds.

    The previous content of `path` is removed only then, and is restored if it cannot be replaced. If the block fails,
    the temporary file or folder is removed.

    Args:
        path: The file or folder; its parent folder exists.

    Yields:
        A path that does not exist.

    Raises:
        OSError: It cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    _remove(partial)
    try:
        yield partial
        if path.is_dir():
            _replace_folder(partial, path)
        else:
            partial.replace(path)
    finally:
        _remove(partial)


def _replace_folder(new: Path, old: Path) -> None:
    aside = Path(tempfile.mkdtemp(dir=old.parent, prefix=f".{old.name}.old."))
    old.replace(aside / "was")
    try:
        new.replace(old)
    except OSError:
        (aside / "was").replace(old)
        aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

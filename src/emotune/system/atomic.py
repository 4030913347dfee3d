"""Files and folders that appear under their name only when they are complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file or a folder at, which takes its place when the block ends well.

    What stood at `path` before goes only then, and comes back where the new one cannot take its place. When the block fails, what was
    written vanishes.

    Args:
        path: The file or folder; the folder it is in exists.

    Yields:
        A path that nothing stands at.

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

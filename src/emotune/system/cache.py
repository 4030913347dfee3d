"""The folder on this machine for results that take long to make and can be made again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "EMOTUNE_CACHE"


def cache_folder() -> Path:
    """Return the folder: that of the variable EMOTUNE_CACHE, else "emotune" in the user's own folder for caches."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).expanduser()
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        parent = "~/Library/Caches"
    else:
        parent = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(parent).expanduser() / "emotune"

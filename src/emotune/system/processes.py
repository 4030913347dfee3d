"""Number and rank of the processes that train together, as torchrun sets them."""

from __future__ import annotations

import os


def processes() -> int:
    """Return the number of processes; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process() -> int:
    """Return the rank of this process, from 0."""
    return int(os.environ.get("RANK", "0"))

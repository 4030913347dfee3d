"""How many processes train together, as torchrun tells each of them."""

from __future__ import annotations

import os


def processes() -> int:
    """Their number: 1 where nobody started several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process() -> int:
    """The number of this one, from 0."""
    return int(os.environ.get("RANK", "0"))

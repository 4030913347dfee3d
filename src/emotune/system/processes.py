"""Processes that train together, and one that must not outlive the one that started it."""

from __future__ import annotations

import os
import sys
import threading


def processes() -> int:
    """Their number: 1 where nobody started several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process() -> int:
    """The number of this one, from 0."""
    return int(os.environ.get("RANK", "0"))


def end_with_standard_input() -> None:
    """Watch standard input, and end this process when it closes: the process that started it is gone."""
    descriptor = sys.stdin.fileno()

    def watch() -> None:
        # Not through sys.stdin, whose lock this thread would still hold when the process ends well.
        while os.read(descriptor, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

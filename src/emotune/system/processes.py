"""Number and rank of processes that train together, and the end of a process with the one that started it."""

from __future__ import annotations

import os
import sys
import threading


def processes() -> int:
    """Return the number of processes; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process() -> int:
    """Return the rank of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def end_with_standard_input() -> None:
    """Watch standard input, and end this process when it is closed, since the process that started it has ended."""
    descriptor = sys.stdin.fileno()

    def watch() -> None:
        # Not through sys.stdin, whose lock this thread would still hold at a normal end of the process.
        while os.read(descriptor, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

"""The process's peak memory, from the operating system."""

from __future__ import annotations

import sys


def peak_memory_bytes() -> int:
    """Highest resident memory of this process so far, in bytes; 0 where the system does not tell (Windows)."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024

"""Memory of the process: its peak, and the handling of freed memory."""

from __future__ import annotations

import functools
import os
import sys


def peak_memory_bytes(device: str = "cpu") -> int:
    """Return the peak memory in bytes: PyTorch's GPU memory for "cuda", else the resident memory of this process.

    The value is 0 where the system does not tell (Windows).
    """
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024


@functools.cache
def keep_freed_memory() -> None:
    """Ask glibc, once per process, to keep freed memory for the next allocation; without glibc, do nothing.

    By default, blocks of some megabytes, such as activations, are returned to the system when they are freed. Mapping
    and zeroing them again takes a tenth of a training step (benchmarks/LOG.md). `mallopt(3)` documents the numbers.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    trim_threshold, mmap_threshold = -1, -3
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(mmap_threshold, 32 * 2**20)  # the largest value allowed
        mallopt(trim_threshold, 2**30)


def return_freed_memory() -> None:
    """Return freed memory to the system, with glibc. Call it between long tasks, so that memory does not grow."""
    if sys.platform.startswith("linux"):
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def bound_product_cache() -> None:
    """Limit oneDNN's cache to 256 sizes of matrix products instead of 1,024, unless the environment sets it.

    Each size takes about a third of a megabyte, and texts have many lengths. oneDNN reads the variable at its first
    product.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")

"""The process's memory: its peak, and how freed memory is kept."""

from __future__ import annotations

import functools
import os
import sys


def peak_memory_bytes(device: str = "cpu") -> int:
    """Highest memory so far, in bytes: what PyTorch has held on the GPU for "cuda", else the resident memory of this process.

    0 where the system does not tell (Windows).
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
    """Ask glibc, once per process, to keep freed memory for the next allocation; where there is no glibc, do nothing.

    By default blocks of some megabytes, which is what activations are, go back to the system when they are freed and are mapped
    and zeroed afresh when they are wanted again: a tenth of a training step (benchmarks/LOG.md). `mallopt(3)` has the numbers.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    trim_threshold, mmap_threshold = -1, -3
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(mmap_threshold, 32 * 2**20)  # the largest that is allowed
        mallopt(trim_threshold, 2**30)


def return_freed_memory() -> None:
    """Give freed memory back to the system after all, where there is glibc: between long pieces of work, so that it does not creep up."""
    if sys.platform.startswith("linux"):
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def bound_product_cache() -> None:
    """Let oneDNN keep the code of 256 sizes of matrix products instead of 1,024, unless the environment says otherwise.

    Each costs about a third of a megabyte, and texts come in many lengths. oneDNN reads the variable at its first product.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")

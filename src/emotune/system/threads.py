"""Threads for arithmetic: as many as this process may use at once, and how they wait for one another.

The threads of OpenMP wait for the slowest of them after every product, by default in a loop that uses a core. Where
another process needs that core, the thread that all wait for gets no time: with one other process on two cores,
prediction ran at a twentieth of its rate (benchmarks/LOG.md). Threads that sleep after a short while cost little on
a quiet machine and keep about half the rate on a busy one.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

SPINS = "3000"
"""Turns of the waiting loop before a thread of GNU's OpenMP sleeps: some microseconds."""

_THREADS = "OMP_NUM_THREADS"
_MILLISECONDS = "0"  # the same for LLVM's and Intel's OpenMP, as on macOS


def usable_cores(proc: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the number of threads that can compute at once: the cores that this process may use, within its quota.

    A container's quota of processor time is rounded down, to one at least: threads beyond it stop in turns, and the
    others wait for them.

    Args:
        proc: File that names the control groups of this process.
        mount: Folder where control groups are mounted.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(proc, mount)
    return cores if quota is None else max(1, min(cores, int(quota)))


def prepare_environment(environment: MutableMapping[str, str]) -> None:
    """Set the number of threads and their waiting in the environment of a process whose only work is emotune's.

    Variables that are set already stay. They take effect if no library has started its threads yet, so this comes
    before any of them is imported, and is inherited by child processes.

    Args:
        environment: The environment, such as `os.environ`.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & environment.keys():
        environment["GOMP_SPINCOUNT"] = SPINS
    if not {"OMP_WAIT_POLICY", "KMP_BLOCKTIME"} & environment.keys():
        environment["KMP_BLOCKTIME"] = _MILLISECONDS
    cores = usable_cores()
    if cores < (os.cpu_count() or 1):
        environment.setdefault(_THREADS, str(cores))


def share_cores(environment: MutableMapping[str, str], threads: int) -> None:
    """Set the number of threads in the environment of one of several processes that compute side by side.

    A smaller number that is set already stays. A larger one does not: threads that share a core wait for each other.

    Args:
        environment: The environment of the process.
        threads: Its share of the cores.
    """
    given = environment.get(_THREADS, "")
    if not (given.isdecimal() and 0 < int(given) < threads):
        environment[_THREADS] = str(threads)


def _quota(proc: Path, mount: Path) -> float | None:
    """Return the least quota of processor time among the control groups of this process, in cores; None for no limit."""
    try:
        lines = proc.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            root, read = mount, _quota_v2
        elif "cpu" in controllers.split(","):
            root, read = _root_v1(mount, controllers), _quota_v1
        else:
            continue
        # A quota of any parent applies too. In a container, the path may lie outside of what is mounted.
        folder = root / group.lstrip("/")
        for place in (folder, *folder.parents):
            found.append(read(place))
            if place == root:
                break
    return min((quota for quota in found if quota is not None), default=None)


def _root_v1(mount: Path, controllers: str) -> Path:
    return next((mount / name for name in (controllers, "cpu") if (mount / name).is_dir()), mount / "cpu")


def _quota_v2(folder: Path) -> float | None:
    words = _words(folder / "cpu.max")
    return _cores(words[0], words[1]) if len(words) == 2 else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
    return _cores(quota[0], period[0]) if quota and period else None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []


def _cores(quota: str, period: str) -> float | None:
    """Return the cores that a quota allows; None for "max" and -1, which are no limit."""
    try:
        used, whole = int(quota), int(period)
    except ValueError:
        return None
    return used / whole if used > 0 and whole > 0 else None

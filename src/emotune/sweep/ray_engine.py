"""Trials on a Ray cluster: each in its own process inside an actor, with a share of processors and GPUs.

The environment variable RAY_ADDRESS names the cluster. Without it, a cluster is started on this machine and ends with
the sweep. Results are returned through Ray, so workers need no shared folder. Workers must reach data and models by
the same names.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.sweep.engines import Files, OnEpoch, TrialFailed, TrialProcess, TrialStopped, task_of
from emotune.sweep.plan import Trial
from emotune.system.cluster import connect
from emotune.system.text import reason_of

# Results are kilobytes; by default Ray reserves a third of the memory.
_STORE_BYTES = 128 * 2**20


class TrialRunner:
    """One trial on a machine of the cluster; becomes a Ray actor.

    Args:
        task: Content of `trial.json`.
        threads: Number of threads for arithmetic.
    """

    def __init__(self, task: dict[str, Any], threads: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="emotune-", ignore_cleanup_errors=True)
        self._process = TrialProcess(task, Path(self._folder.name), threads)

    def next_epoch(self) -> tuple[int, float] | None:
        """Wait for the end of an epoch, as `TrialProcess.next_epoch` does."""
        return self._process.next_epoch()

    def files(self) -> Files | str:
        """Return the files that the trial wrote, or the reason why it failed; remove the temporary folder."""
        try:
            return self._process.files()
        except TrialFailed as error:
            return str(error)
        finally:
            self.close()

    def close(self) -> None:
        """End the trial and remove its temporary folder."""
        self._process.close()
        self._folder.cleanup()


def share_of(machines: Sequence[Mapping[str, float]], workers: int) -> dict[str, float]:
    """Return the largest share of processors and GPUs that all trials can have at the same time.

    With fewer processors than trials, fewer trials run at a time.

    Args:
        machines: Resources per machine: "CPU" and "GPU".
        workers: Number of trials at a time.
    """
    cpus = range(max(1, int(max(machine.get("CPU", 0.0) for machine in machines))), 0, -1)
    for count in range(workers, 0, -1):
        amounts = {machine.get("GPU", 0.0) / parts for machine in machines for parts in range(1, count + 1)}
        # Ray accepts more than one GPU only as a whole number.
        gpus = {float(int(amount)) if amount > 1 else amount for amount in amounts}
        for gpu in sorted(gpus, reverse=True):
            for cpu in cpus:
                shares = {"num_cpus": cpu, "num_gpus": gpu}
                if at_a_time(machines, shares) >= count:
                    return shares
    return {"num_cpus": 1, "num_gpus": 0.0}


def at_a_time(machines: Sequence[Mapping[str, float]], shares: Mapping[str, float]) -> int:
    """Return the number of trials with such shares that fit on the machines at the same time."""
    wanted = [(name, shares[key]) for name, key in (("CPU", "num_cpus"), ("GPU", "num_gpus")) if shares[key]]
    # A tolerance, so that a third of one fits three times.
    return sum(min(int(machine.get(name, 0.0) / share + 1e-9) for name, share in wanted) for machine in machines)


class RayEngine:
    """Engine that runs trials on a Ray cluster.

    Args:
        workers: Number of trials at a time; None for one per machine. They share the cluster's processors and GPUs
            evenly.

    Raises:
        ConfigError: The cluster cannot be reached.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._ray, where = connect(store_bytes=_STORE_BYTES)
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        self._share = share_of(machines, workers or len(machines))
        self.workers = max(1, min(workers or len(machines), at_a_time(machines, self._share)))
        self.description = f"{where}, {self.workers} at a time with {self._share['num_cpus']} processors each"
        self._actors: set[Any] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, trial: Trial, on_epoch: OnEpoch) -> Files:
        """Run one trial in an actor."""
        runner = self._ray.remote(TrialRunner).options(**self._share)
        with self._lock:
            if self._stopped:
                raise TrialStopped
            actor = runner.remote(task_of(trial), int(self._share["num_cpus"]))
            self._actors.add(actor)
        try:
            while (epoch := self._ray.get(actor.next_epoch.remote())) is not None:
                if not on_epoch(*epoch):
                    self._ray.get(actor.close.remote())
                    raise TrialStopped
            found = self._ray.get(actor.files.remote())
        except self._ray.exceptions.RayError as error:
            raise TrialFailed(f"Ray lost it: {reason_of(error)}") from None
        finally:
            with self._lock:
                self._actors.discard(actor)
            self._ray.kill(actor)
        if isinstance(found, str):
            raise TrialFailed(found)
        return dict(found)

    def stop(self) -> None:
        """Kill all running trials: their processes end with their actors."""
        with self._lock:
            self._stopped = True
            for actor in self._actors:
                self._ray.kill(actor)

    def close(self) -> None:
        """Disconnect from the cluster; a cluster that was started for the sweep ends."""
        self._ray.shutdown()

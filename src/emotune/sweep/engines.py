"""Engines that run trials, on this machine or elsewhere: one trial per calling thread, each in its own process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from emotune.folder.format import PREDICTIONS
from emotune.sweep.plan import Trial
from emotune.sweep.trial import RESULT, TASK
from emotune.system.errors import OutputError
from emotune.system.output import check_room
from emotune.system.text import LONGEST_REASON, printable
from emotune.system.threads import prepare_environment, share_cores, usable_cores

# Result of a trial: the content of its files by name.
Files = dict[str, bytes]
# Receives an epoch's number and its macro-F1 on validation; returns whether the trial continues.
OnEpoch = Callable[[int, float], bool]


class TrialFailed(Exception):
    """A trial failed; the message gives the reason."""


class TrialStopped(Exception):
    """A trial was stopped early on request."""


class Engine(Protocol):
    """Interface of an engine, which runs trials."""

    workers: int
    """Number of trials at a time."""

    description: str
    """Place where trials run, in words."""

    def run(self, trial: Trial, on_epoch: OnEpoch) -> Files:
        """Run one trial and wait for it; several threads may call this at once.

        Raises:
            TrialFailed: It failed, or was killed.
            TrialStopped: `on_epoch` returned False.
        """

    def stop(self) -> None:
        """Kill all running trials immediately."""

    def close(self) -> None:
        """Release all resources, once there is nothing more to run."""


class TrialProcess:
    """Process of a trial.

    Args:
        task: Content of `trial.json`.
        work: An empty folder for the process and its temporary files.
        threads: Number of threads for arithmetic; None for the libraries' default.
    """

    def __init__(self, task: dict[str, Any], work: Path, threads: int | None = None) -> None:
        self._work = work
        (work / TASK).write_text(json.dumps(task), encoding="utf-8")
        (work / "tmp").mkdir()
        environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work / "tmp"))}
        prepare_environment(environment)
        if threads is not None:
            share_cores(environment, threads)
        self._errors: IO[bytes] = (work / "stderr.txt").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "emotune.sweep.trial", str(work)],
            stdin=subprocess.PIPE,  # never written to: the trial ends when it closes
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            # Ctrl-C goes to the sweep, which then ends its trials.
            start_new_session=True,
        )
        self._reason = ""

    def next_epoch(self) -> tuple[int, float] | None:
        """Wait for the end of an epoch; return its number and its macro-F1 on validation, or None after the last."""
        stream = self._process.stdout
        if stream is None:
            raise RuntimeError("the process has no standard output")
        for line in stream:
            with suppress(ValueError, KeyError, TypeError):
                message = json.loads(line)
                if "failed" in message:
                    self._reason = str(message["failed"])
                else:
                    return int(message["epoch"]), float(message["macro_f1"])
        return None

    def files(self) -> Files:
        """Wait for the end of the trial, and return the files that it wrote.

        Raises:
            TrialFailed: It failed.
        """
        code = self._process.wait()
        self._errors.close()
        if code == 0 and (self._work / RESULT).exists():
            return {
                name: (self._work / name).read_bytes() for name in (RESULT, PREDICTIONS) if (self._work / name).exists()
            }
        raise TrialFailed(self._reason or self._death(code))

    def kill(self) -> None:
        """Kill the process immediately; a thread that waits for its next epoch gets None."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """Kill the process if it is running, and close its files."""
        self.kill()
        self._process.wait()
        self._errors.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _death(self, code: int) -> str:
        """Return the reason why a process ended without a message."""
        last = (self._work / "stderr.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        said = f": {printable(last[0], LONGEST_REASON)}" if last else ""
        if code >= 0:
            return f"its process ended with exit code {code}{said}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return f"its process was killed by {name}{memory}{said}"


def task_of(trial: Trial) -> dict[str, Any]:
    """Return the content of `trial.json` for a trial's process."""
    return {
        "key": trial.key,
        "label": trial.label,
        "configuration": trial.config.model_dump(mode="json"),
        "scores_test": trial.scores_test,
        "group": trial.group,
    }


class LocalEngine:
    """Engine that runs trials on this machine, each in a process.

    Args:
        workers: Number of trials at a time; several share the cores evenly.
        folder: Parent of their temporary folders, on the disk of the sweep.
    """

    def __init__(self, workers: int, folder: Path) -> None:
        self.workers = workers
        self.description = f"this machine, {workers} at a time"
        self._threads = max(1, usable_cores() // workers) if workers > 1 else None
        self._folder = folder
        self._running: set[TrialProcess] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, trial: Trial, on_epoch: OnEpoch) -> Files:
        """Run one trial in a process."""
        work = self._make_folder(trial)
        try:
            with self._lock:
                if self._stopped:
                    raise TrialStopped
                try:
                    process = TrialProcess(task_of(trial), work, self._threads)
                except OSError as error:
                    raise TrialFailed(f"its process cannot be started: {error.strerror or error}") from None
                self._running.add(process)
            try:
                while (epoch := process.next_epoch()) is not None:
                    if not on_epoch(*epoch):
                        raise TrialStopped
                return process.files()
            finally:
                with self._lock:
                    self._running.discard(process)
                process.close()
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _make_folder(self, trial: Trial) -> Path:
        """Create a folder for the trial after checking the free space: on a full disk every trial would fail late."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            check_room(self._folder)
            return Path(tempfile.mkdtemp(dir=self._folder, prefix=f"{trial.key}."))
        except OSError as error:
            raise OutputError(
                f"No temporary folder can be made in '{self._folder}': {error.strerror or error}."
            ) from None

    def stop(self) -> None:
        """Kill all running trials."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def close(self) -> None:
        """Do nothing: no resources are held between trials."""

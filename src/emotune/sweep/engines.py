"""Where trials run: an engine runs one at a time for each thread that asks, in a process of its own, on this machine or elsewhere."""

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

# What a trial gives: the content of its files by name.
Files = dict[str, bytes]
# Told an epoch's number and its macro-F1 on validation; says whether the trial is to go on.
OnEpoch = Callable[[int, float], bool]


class TrialFailed(Exception):
    """A trial came to nothing; the message says why."""


class TrialStopped(Exception):
    """A trial was stopped early, as was wanted."""


class Engine(Protocol):
    """Runs trials."""

    workers: int
    """How many trials it runs at a time."""

    description: str
    """Where they run, in words."""

    def run(self, trial: Trial, on_epoch: OnEpoch) -> Files:
        """Run one trial and wait for it; several threads may ask at once.

        Raises:
            TrialFailed: It failed, or was killed.
            TrialStopped: `on_epoch` said so.
        """

    def stop(self) -> None:
        """End all trials that are running, at once."""

    def close(self) -> None:
        """Let go of what it holds, once there is nothing more to run."""


class TrialProcess:
    """A trial's process.

    Args:
        task: What `trial.json` holds.
        work: An empty folder for it and for everything temporary.
        threads: Threads for its arithmetic; None leaves it to the libraries.
    """

    def __init__(self, task: dict[str, Any], work: Path, threads: int | None = None) -> None:
        self._work = work
        (work / TASK).write_text(json.dumps(task), encoding="utf-8")
        (work / "tmp").mkdir()
        environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work / "tmp"))}
        if threads is not None:
            environment.setdefault("OMP_NUM_THREADS", str(threads))
        self._errors: IO[bytes] = (work / "stderr.txt").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "emotune.sweep.trial", str(work)],
            stdin=subprocess.PIPE,  # never written to: the trial ends when it closes
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            # Ctrl-C is for the sweep, which then ends its trials.
            start_new_session=True,
        )
        self._reason = ""

    def next_epoch(self) -> tuple[int, float] | None:
        """Wait for the end of an epoch: its number and its macro-F1 on validation; None where there are no more."""
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
        """What the trial wrote, once it has ended.

        Raises:
            TrialFailed: It did not end well.
        """
        code = self._process.wait()
        self._errors.close()
        if code == 0 and (self._work / RESULT).exists():
            return {
                name: (self._work / name).read_bytes() for name in (RESULT, PREDICTIONS) if (self._work / name).exists()
            }
        raise TrialFailed(self._reason or self._death(code))

    def kill(self) -> None:
        """End the process at once; whoever waits for its epochs gets none any more."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """End the process, if it has not ended, and let go of its files."""
        self.kill()
        self._process.wait()
        self._errors.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _death(self, code: int) -> str:
        """Why a process ended that said nothing."""
        last = (self._work / "stderr.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        said = f": {printable(last[0], LONGEST_REASON)}" if last else ""
        if code >= 0:
            return f"its process ended with exit code {code}{said}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return f"its process was killed by {name}{memory}{said}"


def task_of(trial: Trial) -> dict[str, Any]:
    """What a trial's process is told."""
    return {"configuration": trial.config.model_dump(mode="json"), "scores_test": trial.scores_test}


class LocalEngine:
    """Trials on this machine, each in a process.

    Args:
        workers: How many at a time; more than one share the cores evenly.
        folder: Where their temporary folders are made, on the disk of the sweep.
    """

    def __init__(self, workers: int, folder: Path) -> None:
        cores = os.cpu_count() or 1
        self.workers = workers
        self.description = f"this machine, {workers} at a time"
        self._threads = max(1, cores // workers) if workers > 1 else None
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
        """A folder for the trial, on a disk with room for it: a full one fails all trials to come, and each late."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            check_room(self._folder)
            return Path(tempfile.mkdtemp(dir=self._folder, prefix=f"{trial.key}."))
        except OSError as error:
            raise OutputError(
                f"No temporary folder can be made in '{self._folder}': {error.strerror or error}."
            ) from None

    def stop(self) -> None:
        """End all trials that are running."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def close(self) -> None:
        """Nothing is held between trials."""

"""Scheduling of jobs on an engine, one thread per worker, with a line of progress for every start, epoch and end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from statistics import fmean
from typing import Protocol

from emotune.evaluation.words.formats import duration, share
from emotune.sweep.engines import Engine, Files, TrialFailed, TrialStopped
from emotune.sweep.plan import Trial
from emotune.system.progress import Advance, Progress

# Seconds per wait of the main thread; Ctrl-C is handled in between.
_PATIENCE = 0.5


class Job(Protocol):
    """Interface of a trial to run and the handling of its result. No two methods of any jobs run at the same time."""

    def start(self) -> Trial:
        """Return the trial; called when its turn comes.

        Raises:
            TrialFailed: It cannot be run.
        """

    def hear(self, epoch: int, macro_f1: float) -> bool:
        """Receive an epoch's score on validation; return whether to continue."""

    def finish(self, files: Files, seconds: float) -> str:
        """Receive the trial's files; return a summary: "validation macro-F1 0.8901"."""

    def stop(self, seconds: float) -> str:
        """Handle that the trial was stopped early; return a summary."""

    def fail(self, message: str, seconds: float) -> None:
        """Handle that the trial failed."""


@dataclass
class _Count:
    """Progress of all jobs."""

    total: int
    done: int = 0
    seconds: list[float] = field(default_factory=list)


def run_jobs(jobs: Sequence[Job], engine: Engine, progress: Progress, *, before: int = 0) -> None:
    """Run all jobs; a job that fails does not affect the others.

    Args:
        jobs: The jobs in order.
        engine: Runs the trials.
        progress: Shows a line for every start, epoch and end.
        before: Number of jobs done in an earlier session, which count in "3/36".

    Raises:
        KeyboardInterrupt: The user stopped it; only running trials are lost.
        EmotuneError: A result could not be written.
    """
    queue = iter(enumerate(jobs, start=before + 1))
    count = _Count(before + len(jobs), before)
    lock = threading.Lock()
    stopping = threading.Event()
    with progress.bar("trials", count.total) as advance:
        advance(before)
        pool = ThreadPoolExecutor(max(1, min(engine.workers, len(jobs) or 1)))
        futures: list[Future[None]] = [
            pool.submit(_work, queue, count, engine, progress, lock, stopping, advance)
            for _ in range(min(engine.workers, len(jobs)))
        ]
        try:
            pending = set(futures)
            while pending:
                done, pending = wait(pending, timeout=_PATIENCE, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
        finally:
            stopping.set()
            if not all(future.done() for future in futures):
                engine.stop()
            pool.shutdown(wait=True)


def _work(
    queue: Iterator[tuple[int, Job]],
    count: _Count,
    engine: Engine,
    progress: Progress,
    lock: threading.Lock,
    stopping: threading.Event,
    advance: Advance,
) -> None:
    """Run jobs of the queue one after another, in one thread."""
    while not stopping.is_set():
        with lock:
            number, job = next(queue, (0, None))
            if job is None:
                return
            try:
                trial = job.start()
            except TrialFailed as error:
                job.fail(str(error), 0.0)
                count.done += 1
                progress.say(f"{number}/{count.total} {error}: not run")
                advance(1)
                continue
            place = f"{number}/{count.total} {trial.label}"
            progress.say(place)

        def on_epoch(epoch: int, macro_f1: float, job: Job = job, label: str = trial.label) -> bool:
            with lock:
                progress.say(f"  {label}: epoch {epoch}, validation macro-F1 {share(macro_f1)}")
                return job.hear(epoch, macro_f1)

        started = time.perf_counter()
        outcome: Files | TrialStopped | TrialFailed
        try:
            outcome = engine.run(trial, on_epoch)
        except (TrialStopped, TrialFailed) as error:
            outcome = error
        seconds = time.perf_counter() - started
        with lock:
            if stopping.is_set():
                return
            if isinstance(outcome, dict):
                words = job.finish(outcome, seconds)
            elif isinstance(outcome, TrialStopped):
                words = job.stop(seconds)
            else:
                words = f"failed: {outcome}"
                job.fail(str(outcome), seconds)
            count.done += 1
            count.seconds.append(seconds)
            progress.say(f"{place}: {words}, {duration(seconds)}{_left(count, engine.workers)}")
            advance(1)


def _left(count: _Count, workers: int) -> str:
    """Return the number of remaining jobs and their estimated time, from the mean of finished ones; "" at the end."""
    left = count.total - count.done
    if not left:
        return ""
    mean = fmean(count.seconds)
    return f"; {left} to go, about {duration(mean * left / min(workers, left))}"

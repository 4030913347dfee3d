"""Running jobs: every one once, in order, whatever becomes of the others; and what is said on the way."""

from __future__ import annotations

import threading
import time

import pytest

from emotune.settings.run import RunConfig
from emotune.sweep.engines import Files, OnEpoch, TrialFailed, TrialStopped
from emotune.sweep.plan import Trial
from emotune.sweep.schedule import run_jobs
from emotune.system.errors import OutputError

from ..conftest import Recording


class Memory:
    """A job that remembers what it was told."""

    def __init__(self, label: str, *, go_on: bool = True) -> None:
        self.trial = Trial(label, label, RunConfig())
        self.go_on = go_on
        self.told: list[str] = []

    def start(self) -> Trial:
        return self.trial

    def hear(self, epoch: int, macro_f1: float) -> bool:
        self.told.append(f"epoch {epoch}: {macro_f1}")
        return self.go_on

    def finish(self, files: Files, seconds: float) -> str:
        self.told.append(f"finished with {', '.join(files)}")
        return "all well"

    def stop(self, seconds: float) -> str:
        self.told.append("stopped")
        return "stopped early"

    def fail(self, message: str, seconds: float) -> None:
        self.told.append(f"failed: {message}")


class Scripted:
    """An engine whose trials end as their labels say."""

    description = "nowhere"

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.at_once = self.most_at_once = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()

    def run(self, trial: Trial, on_epoch: OnEpoch) -> Files:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if "slow" in trial.label:
                assert self.ended.wait(10)
                raise TrialFailed("killed")
            time.sleep(0.02)
            if "bad" in trial.label:
                raise TrialFailed("no memory left")
            if not on_epoch(1, 0.5):
                raise TrialStopped
            return {"result.json": b"{}"}
        finally:
            with self._lock:
                self.at_once -= 1

    def stop(self) -> None:
        self.ended.set()

    def close(self) -> None:
        pass


def test_one_that_fails_costs_only_itself() -> None:
    jobs = [Memory("first"), Memory("bad"), Memory("third", go_on=False), Memory("last")]
    progress = Recording()
    run_jobs(jobs, Scripted(), progress)
    assert jobs[0].told == ["epoch 1: 0.5", "finished with result.json"]
    assert jobs[1].told == ["failed: no memory left"]
    assert jobs[2].told == ["epoch 1: 0.5", "stopped"]
    assert jobs[3].told == ["epoch 1: 0.5", "finished with result.json"]
    assert progress.bars == [("trials", 4, 4)]


def test_every_start_epoch_and_end_has_a_line_with_the_count_and_the_time_left() -> None:
    progress = Recording()
    run_jobs([Memory("one"), Memory("bad")], Scripted(), progress, before=3)
    assert progress.lines[0] == "4/5 one"
    assert progress.lines[1] == "  one: epoch 1, validation macro-F1 0.5000"
    assert progress.lines[2].startswith("4/5 one: all well, 0.")
    assert " s; 1 to go, about 0." in progress.lines[2]
    assert progress.lines[3] == "5/5 bad"
    assert progress.lines[4].startswith("5/5 bad: failed: no memory left, 0.")
    assert "to go" not in progress.lines[4]
    assert progress.bars == [("trials", 5, 5)]


@pytest.mark.parametrize("workers", [1, 3])
def test_runs_as_many_at_a_time_as_there_are_workers(workers: int) -> None:
    jobs = [Memory(f"job {number}") for number in range(9)]
    engine = Scripted(workers)
    run_jobs(jobs, engine, Recording())
    assert engine.most_at_once == workers
    assert all(job.told[-1] == "finished with result.json" for job in jobs)


def test_nothing_to_do() -> None:
    run_jobs([], Scripted(), Recording(), before=2)


def test_what_cannot_be_written_stops_all_at_once() -> None:
    """A full disk is no failure of one trial: the others are ended, and nothing is said of them."""

    class Full(Memory):
        def finish(self, files: Files, seconds: float) -> str:
            raise OutputError("The disk is full.")

    jobs = [Memory("slow"), Full("full"), Memory("never")]
    engine = Scripted(2)
    with pytest.raises(OutputError, match="disk is full"):
        run_jobs(jobs, engine, Recording())
    assert engine.ended.is_set()
    assert jobs[0].told == []
    assert jobs[2].told == []


def test_ctrl_c_ends_the_trials_and_records_nothing_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """KeyboardInterrupt comes to the main thread, while it waits."""
    jobs = [Memory("slow"), Memory("never")]
    engine = Scripted()

    def wait(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("emotune.sweep.schedule.wait", wait)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, engine, Recording())
    assert engine.ended.is_set()
    assert [job.told for job in jobs] == [[], []]

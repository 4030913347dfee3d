"""Dynamic batches: texts of requests that wait at the same time are predicted together, by one thread per processor.

No request waits for others to arrive: a thread takes what is there whenever it is free, so batches are as large as the
load makes them. A request with many texts is spread over batches, and other requests get their turn in each.

Each thread multiplies alone. Threads that share a product wait for each other at the end of each one, which costs more
the smaller the batch is and the more the event loop takes of one processor (figures in benchmarks/LOG.md).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from emotune.serve.answers import Answers
from emotune.serve.errors import ClientGone, RequestError
from emotune.serve.metrics import Metrics
from emotune.serve.models import Served
from emotune.system.wording import counted

# Texts per turn of a thread: enough for full batches of 2,048 tokens of messages, and few enough that a new request
# waits for a fraction of a second at most.
TURN = 64
_MOST_WORKERS = 8


@dataclass(frozen=True)
class Workers:
    """Threads that predict.

    Attributes:
        number: How many there are.
        threads: Threads of PyTorch that each of them computes with.
    """

    number: int = 1
    threads: int = 1

    @classmethod
    def on(cls, device: str) -> Workers:
        """Return those for a device: one for a GPU; on the processor one for each thread that PyTorch may use."""
        import torch

        threads = torch.get_num_threads()
        if device != "cpu":
            return cls(1, threads)
        number = min(threads, _MOST_WORKERS)
        return cls(number, threads // number)


@dataclass(eq=False)
class Job:
    """Texts of one request on their way through the queue.

    Attributes:
        served: The model.
        texts: The texts.
        answer: Future of the event loop for the result.
        taken: Number of texts that turns have taken.
        parts: Predictions of the finished turns, by the number of their first text.
        gone: True if nobody waits for the answer any more.
    """

    served: Served
    texts: Sequence[str]
    answer: asyncio.Future[Answers]
    taken: int = 0
    parts: dict[int, Answers] = field(default_factory=dict)
    gone: bool = False

    def abandon(self) -> None:
        """Note that the client is gone; texts not yet taken are dropped."""
        self.gone = True
        if not self.answer.done():
            self.answer.set_exception(ClientGone())


@dataclass(frozen=True, eq=False)
class _Turn:
    """Texts that are predicted together, all by one model: jobs with the ranges of their texts."""

    served: Served
    slices: tuple[tuple[Job, int, int], ...]


class Batcher:
    """The queue of all models and the threads that work on it.

    Args:
        max_queued: Most texts that wait at a time.
        metrics: Told about batches and the queue.
        workers: The threads.
    """

    def __init__(self, max_queued: int, metrics: Metrics, workers: Workers) -> None:
        self._max_queued = max_queued
        self._metrics = metrics
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        self._queued = 0
        self._turn_is_coming = False
        self._free = workers.number
        self._workers = ThreadPoolExecutor(
            workers.number, thread_name_prefix="predict", initializer=partial(_compute_with, workers.threads)
        )

    @property
    def queued(self) -> int:
        """Number of texts that wait."""
        return self._queued

    def submit(self, served: Served, texts: Sequence[str]) -> Job:
        """Put the texts of a request into the queue. Call it in the event loop.

        Args:
            served: The model.
            texts: Texts that are not blank, at least one.

        Raises:
            RequestError: The queue is full.
        """
        job = Job(served, texts, asyncio.get_running_loop().create_future())
        with self._lock:
            waiting = self._queued
            if waiting + len(texts) > self._max_queued:
                raise RequestError(
                    429,
                    "overloaded",
                    f"{counted(waiting, 'text')} wait already, and at most {self._max_queued:,} may. Send the request "
                    "again after a second, or fewer at a time.",
                    {"Retry-After": "1"},
                )
            self._queued += len(texts)
            self._jobs.append(job)
        self._start(job.answer.get_loop())
        return job

    def close(self) -> None:
        """Finish what is queued, and end the threads; no more can be submitted."""
        self._workers.shutdown(wait=True)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the next free thread take a turn, unless one is coming; its texts are decided only then."""
        taken: list[_Turn] = []
        with self._lock:
            if self._turn_is_coming:
                return
            coming = self._workers.submit(self._work, taken)
            self._turn_is_coming = True
        coming.add_done_callback(partial(self._hand_over, taken, loop))

    def _work(self, taken: list[_Turn]) -> list[Answers]:
        """Take a turn and predict its texts; nothing if all clients have left."""
        turn = self._take()
        if turn is None:
            return []
        taken.append(turn)
        try:
            return self._predict(turn)
        finally:
            with self._lock:
                self._free += 1

    def _predict(self, turn: _Turn) -> list[Answers]:
        served = turn.served
        predictor = served.predictor
        encoded = predictor.encode([text for job, start, stop in turn.slices for text in job.texts[start:stop]])
        logits = predictor.logits_of(encoded)
        found = Answers(
            served,
            predictor.task.names(predictor.task.decide(logits), predictor.labels),
            served.probabilities(logits),
            logits,
            tuple(row in encoded.cut_rows for row in range(len(encoded))),
        )
        self._metrics.observe(found)
        answers = []
        row = 0
        for _, start, stop in turn.slices:
            answers.append(found.rows(row, row + stop - start))
            row += stop - start
        return answers

    def _take(self) -> _Turn | None:
        """Take texts of the longest waiting request's model, in equal shares for all its requests.

        The threads that are free share what waits; a turn has at most `TURN` texts.
        """
        with self._lock:
            self._turn_is_coming = False
            self._drop_gone()
            if not self._jobs:
                return None
            served = self._jobs[0].served
            waiting = sum(len(job.texts) - job.taken for job in self._jobs if job.served is served)
            most = min(TURN, -(-waiting // self._free))
            self._free -= 1
            jobs = [job for job in self._jobs if job.served is served][:most]
            share = most // len(jobs)
            slices = []
            for job in jobs:
                stop = min(len(job.texts), job.taken + share)
                slices.append((job, job.taken, stop))
                job.taken = stop
            self._queued -= sum(stop - start for _, start, stop in slices)
            chosen = set(map(id, jobs))
            # Requests with texts left go behind those of other models.
            left = [job for job in jobs if job.taken < len(job.texts)]
            self._jobs = deque([*(job for job in self._jobs if id(job) not in chosen), *left])
            more = bool(self._jobs)
        if more:
            self._start(jobs[0].answer.get_loop())
        return _Turn(served, tuple(slices))

    def _drop_gone(self) -> None:
        if any(job.gone for job in self._jobs):
            self._queued -= sum(len(job.texts) - job.taken for job in self._jobs if job.gone)
            self._jobs = deque(job for job in self._jobs if not job.gone)

    def _hand_over(self, taken: list[_Turn], loop: asyncio.AbstractEventLoop, done: Future[list[Answers]]) -> None:
        """Give the results of a turn to the event loop; runs in the worker thread."""
        if taken and not loop.is_closed():
            loop.call_soon_threadsafe(self._finish, taken[0], done)

    def _finish(self, turn: _Turn, done: Future[list[Answers]]) -> None:
        """Put results into their jobs, and answer those that are complete; runs in the event loop."""
        error = done.exception()
        if error is not None:
            for job, _, _ in turn.slices:
                job.gone = True
                if not job.answer.done():
                    job.answer.set_exception(error)
            return
        for (job, start, _), answers in zip(turn.slices, done.result(), strict=True):
            if job.answer.done():
                continue
            job.parts[start] = answers
            if sum(len(part.labels) for part in job.parts.values()) == len(job.texts):
                job.answer.set_result(Answers.joined([job.parts[at] for at in sorted(job.parts)]))


def _compute_with(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)

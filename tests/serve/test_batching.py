"""Texts of requests are shared by several threads, and every request gets its own answers in its own order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from emotune.serve.batching import TURN, Batcher, Workers
from emotune.serve.metrics import Metrics
from emotune.serve.models import Served
from emotune.tasks.single_label import SINGLE_LABEL

LABELS = ("even", "odd")


class Numbers:
    """Predictor that labels numbers by their parity, slowly where the first one is 0; it notes what it was given."""

    task = SINGLE_LABEL
    labels = LABELS

    def __init__(self) -> None:
        self.turns: list[list[str]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    def encode(self, texts: list[str]) -> Any:
        with self._lock:
            self.turns.append(texts)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        encoded = SimpleNamespace(cut_rows=(), texts=texts)
        return cast(Any, type("Encoded", (), {**vars(encoded), "__len__": lambda self: len(texts)}))()

    def logits_of(self, encoded: Any) -> NDArray[np.float32]:
        time.sleep(0.5 if encoded.texts[0] == "0" else 0.02)
        with self._lock:
            self._at_once -= 1
        if "fail" in encoded.texts:
            raise RuntimeError("no such number")
        odd = np.array([int(text) % 2 for text in encoded.texts])
        return np.stack([1.0 - odd, odd], axis=1).astype(np.float32)


@pytest.fixture
def numbers() -> Numbers:
    return Numbers()


@pytest.fixture
def served(numbers: Numbers) -> Served:
    return cast(
        Served,
        SimpleNamespace(name="numbers", predictor=numbers, probabilities=SINGLE_LABEL.probabilities),
    )


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    found = Batcher(10_000, Metrics(), Workers(2, 1))
    yield found
    found.close()


def parities(texts: list[str]) -> tuple[str, ...]:
    return tuple(LABELS[int(text) % 2] for text in texts)


def test_texts_of_one_request_come_back_in_order_though_the_first_are_ready_last(
    batcher: Batcher, served: Served, numbers: Numbers
) -> None:
    texts = [str(number) for number in range(3 * TURN)]

    async def ask() -> tuple[str, ...]:
        return (await batcher.submit(served, texts).answer).labels

    assert asyncio.run(ask()) == parities(texts)
    assert sorted(text for turn in numbers.turns for text in turn) == sorted(texts)
    assert numbers.most_at_once == 2


def test_free_threads_share_what_waits(batcher: Batcher, served: Served, numbers: Numbers) -> None:
    texts = [str(number) for number in range(10)]

    async def ask() -> tuple[str, ...]:
        return (await batcher.submit(served, texts).answer).labels

    assert asyncio.run(ask()) == parities(texts)
    assert sorted(len(turn) for turn in numbers.turns) == [5, 5]


def test_many_requests_get_their_own_answers(batcher: Batcher, served: Served, numbers: Numbers) -> None:
    requests = [[str(start + number) for number in range(1 + start % 7)] for start in range(120)]

    async def ask() -> list[tuple[str, ...]]:
        jobs = [batcher.submit(served, texts) for texts in requests]
        return [(await job.answer).labels for job in jobs]

    assert asyncio.run(ask()) == [parities(texts) for texts in requests]
    assert max(map(len, numbers.turns)) <= TURN
    assert batcher.queued == 0


def test_a_turn_that_fails_frees_its_thread(batcher: Batcher, served: Served) -> None:
    async def ask(texts: list[str]) -> tuple[str, ...]:
        return (await batcher.submit(served, texts).answer).labels

    for _ in range(4):  # more often than there are threads
        with pytest.raises(RuntimeError, match="no such number"):
            asyncio.run(ask(["fail"]))
    assert asyncio.run(ask(["3"])) == ("odd",)


def test_a_gpu_gets_one_thread() -> None:
    assert Workers.on("cuda").number == 1
    on_processor = Workers.on("cpu")
    assert 1 <= on_processor.number <= 8
    assert on_processor.number * on_processor.threads <= max(8, Workers.on("cuda").threads)

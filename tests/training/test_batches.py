"""Training batches: every row once, within the budget, in an order that seed and epoch decide."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from emotune.system.errors import DataError
from emotune.training.batches import TokenBudgetBatches


@pytest.fixture
def lengths() -> NDArray[np.int64]:
    """Lengths of 300 rows, 3 to 60 tokens, most of them short."""
    return np.random.default_rng(0).geometric(0.1, size=300).clip(3, 60).astype(np.int64)


def epoch(batches: TokenBudgetBatches, number: int) -> list[list[int]]:
    batches.set_epoch(number)
    return list(batches)


@pytest.mark.parametrize("max_tokens", [1, 60, 256, 10**6])
def test_every_row_once_an_epoch(lengths: NDArray[np.int64], max_tokens: int) -> None:
    batches = TokenBudgetBatches(lengths, max_tokens, seed=0)
    for number in range(3):
        rows = [row for batch in epoch(batches, number) for row in batch]
        assert sorted(rows) == list(range(len(lengths)))


@pytest.mark.parametrize("max_tokens", [60, 100, 256])
def test_the_budget_holds_with_padding_counted(lengths: NDArray[np.int64], max_tokens: int) -> None:
    for batch in TokenBudgetBatches(lengths, max_tokens, seed=0):
        assert len(batch) * lengths[batch].max() <= max_tokens


def test_the_budget_is_used(lengths: NDArray[np.int64]) -> None:
    batches = sorted(TokenBudgetBatches(lengths, 256, seed=0), key=lambda batch: lengths[batch].max())
    for batch, following in pairwise(batches):
        assert (len(batch) + 1) * lengths[following].min() > 256


def test_like_lengths_are_together(lengths: NDArray[np.int64]) -> None:
    batches = list(TokenBudgetBatches(lengths, 256, seed=0))
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    assert padded < 1.1 * lengths.sum()
    ranges = sorted((lengths[batch].min(), lengths[batch].max()) for batch in batches)
    assert all(high <= low for (_, high), (low, _) in pairwise(ranges))


def test_seed_and_epoch_decide_the_order(lengths: NDArray[np.int64]) -> None:
    np.random.seed(5)
    first = epoch(TokenBudgetBatches(lengths, 256, seed=1), 3)
    np.random.seed(6)
    again = TokenBudgetBatches(lengths, 256, seed=1)
    epoch(again, 0)  # what came before plays no part
    assert epoch(again, 3) == first
    assert epoch(TokenBudgetBatches(lengths, 256, seed=2), 3) != first


def test_epochs_differ_in_order_and_in_company(lengths: NDArray[np.int64]) -> None:
    batches = TokenBudgetBatches(lengths, 256, seed=0)
    first, second = epoch(batches, 0), epoch(batches, 1)
    assert first != second
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}


def test_every_epoch_has_the_same_number_of_batches(lengths: NDArray[np.int64]) -> None:
    batches = TokenBudgetBatches(lengths, 256, seed=0)
    assert {len(epoch(batches, number)) for number in range(5)} == {len(batches)}


def test_batches_do_not_come_in_the_order_of_their_lengths(lengths: NDArray[np.int64]) -> None:
    longest = [int(lengths[batch].max()) for batch in TokenBudgetBatches(lengths, 256, seed=0)]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


def test_a_row_longer_than_the_budget_makes_a_batch_of_its_own() -> None:
    batches = TokenBudgetBatches(np.array([5, 500, 5, 700, 5]), 20, seed=0)
    assert sorted(sorted(batch) for batch in batches) == [[0, 2, 4], [1], [3]]


def test_one_row_makes_one_batch() -> None:
    batches = TokenBudgetBatches(np.array([12]), 8, seed=0)
    assert list(batches) == [[0]]
    assert len(batches) == 1


class TestProcesses:
    @pytest.mark.parametrize("processes", [2, 3, 7])
    def test_share_every_row_once_in_as_many_steps_each(self, lengths: NDArray[np.int64], processes: int) -> None:
        shares = [TokenBudgetBatches(lengths, 256, 0, process=i, processes=processes) for i in range(processes)]
        epochs = [epoch(share, 4) for share in shares]
        assert {len(batches) for batches in epochs} == {len(shares[0])}
        rows = [row for batches in epochs for batch in batches for row in batch]
        assert sorted(rows) == list(range(len(lengths)))
        assert all(
            lengths[batch].max() * len(batch) <= 256 for batches in epochs for batch in batches if len(batch) > 1
        )
        batches = processes * len(shares[0])
        assert {share.mean_rows for share in shares} == {len(lengths) / batches}
        alone = len(TokenBudgetBatches(lengths, 256, 0))
        assert alone <= batches < alone + processes

    def test_one_has_the_batches_it_always_had(self, lengths: NDArray[np.int64]) -> None:
        assert epoch(TokenBudgetBatches(lengths, 256, 1, process=0, processes=1), 2) == epoch(
            TokenBudgetBatches(lengths, 256, 1), 2
        )

    def test_cannot_be_more_than_the_rows(self) -> None:
        assert len(TokenBudgetBatches(np.array([5, 5]), 64, 0, processes=2)) == 1
        with pytest.raises(DataError, match="3 processes cannot share 2 training rows"):
            TokenBudgetBatches(np.array([5, 5]), 64, 0, processes=3)

    def test_cannot_share_batches_of_one_row_unevenly(self) -> None:
        rows = np.full(3, 9)
        with pytest.raises(DataError, match="2 processes cannot share 3 training batches of one row each"):
            TokenBudgetBatches(rows, 9, 0, processes=2)
        assert [
            len(TokenBudgetBatches(rows, 9, 0, processes=3)),
            len(TokenBudgetBatches(rows, 18, 0, processes=2)),
        ] == [1, 1]


class TestDrawnRows:
    @pytest.fixture
    def draw(self, lengths: NDArray[np.int64]) -> Callable[[int], NDArray[np.int64]]:
        """Epochs whose rows are of very unlike lengths: short ones, all, long ones."""
        order = np.argsort(lengths)
        choices = [np.tile(order[:100], 3), np.arange(300), np.tile(order[-100:], 3)]
        return lambda epoch: choices[epoch]

    @pytest.mark.parametrize("processes", [1, 2, 3])
    def test_all_epochs_have_as_many_batches_within_the_budget(
        self, lengths: NDArray[np.int64], draw: Callable[[int], NDArray[np.int64]], processes: int
    ) -> None:
        shares = [
            TokenBudgetBatches(lengths, 256, 0, process=i, processes=processes, draw=draw, epochs=3)
            for i in range(processes)
        ]
        for number in (2, 0, 1):
            epochs = [epoch(share, number) for share in shares]
            assert {len(batches) for batches in epochs} == {len(shares[0])}
            batches = [batch for part in epochs for batch in part]
            assert sorted(row for batch in batches for row in batch) == sorted(draw(number).tolist())
            assert all(batch and lengths[batch].max() * len(batch) <= 256 for batch in batches)
            assert {share.mean_rows for share in shares} == {300 / len(batches)}

    def test_are_those_of_every_row_once_where_that_is_what_is_drawn(self, lengths: NDArray[np.int64]) -> None:
        drawn = TokenBudgetBatches(lengths, 256, 1, draw=lambda _: np.arange(300), epochs=3)
        for number in range(3):
            assert epoch(drawn, number) == epoch(TokenBudgetBatches(lengths, 256, 1), number)

    def test_an_epoch_that_nobody_planned_is_refused(self, draw: Callable[[int], NDArray[np.int64]]) -> None:
        batches = TokenBudgetBatches(
            np.arange(1, 301), 300, 0, draw=lambda number: np.full(300, 299 * number), epochs=1
        )
        with pytest.raises(ValueError, match="epoch 1 is beyond"):
            batches.set_epoch(1)

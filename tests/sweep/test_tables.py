"""The cells of a leaderboard's tables."""

from __future__ import annotations

import pytest

from emotune.sweep.tables import disk, full_table

from .boards import MARGIN, THREE, board


@pytest.mark.parametrize(("size", "expected"), [(41_300, "41 kB"), (2_700_000, "2.7 MB"), (90_900_000, "90.9 MB")])
def test_size_on_disk(size: int, expected: str) -> None:
    assert disk(size) == expected


def test_full_fine_tuning_stands_beside_those_that_were_compared_with_it() -> None:
    assert full_table(board(*MARGIN)).rows == (("LoRA", "+1.0 (+0.0 to +2.0)", "0.100", "", "", "40", "20"),)
    assert full_table(board(*THREE)).rows == ()

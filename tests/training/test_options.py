"""The options of training: what follows from the data where nobody says."""

from __future__ import annotations

import pytest

from emotune.training.options import usual_epochs


@pytest.mark.parametrize(("rows", "epochs"), [(1, 10), (1_050, 10), (2_000, 8), (4_000, 6), (8_000, 4), (400_000, 4)])
def test_fewer_rows_get_more_epochs(rows: int, epochs: int) -> None:
    assert usual_epochs(rows) == epochs


def test_more_rows_never_get_more_epochs() -> None:
    epochs = [usual_epochs(rows) for rows in range(100, 20_000, 100)]
    assert epochs == sorted(epochs, reverse=True)

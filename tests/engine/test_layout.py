"""Where texts lie in a packed batch."""

from __future__ import annotations

import numpy as np
import torch

from emotune.engine.layout import Layout


def test_groups_neighbours_of_one_length() -> None:
    layout = Layout.of(np.array([2, 2, 3, 1, 1, 2]))
    assert [(g.tokens.start, g.tokens.stop, g.texts.start, g.texts.stop, g.length) for g in layout.groups] == [
        (0, 4, 0, 2, 2),
        (4, 7, 2, 3, 3),
        (7, 9, 3, 5, 1),
        (9, 11, 5, 6, 2),
    ]
    assert layout.positions.tolist() == [0, 1, 0, 1, 0, 1, 2, 0, 0, 0, 1]
    assert layout.text.tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 5]
    assert layout.first.tolist() == [0, 2, 4, 7, 8, 9]
    assert layout.lengths.tolist() == [2, 2, 3, 1, 1, 2]
    assert layout.ends.tolist() == [0, 2, 4, 7, 8, 9, 11]
    assert layout.ends.dtype == torch.int32
    assert layout.longest == 3


def test_one_text() -> None:
    layout = Layout.of(np.array([5]))
    assert [(g.tokens, g.texts, g.length) for g in layout.groups] == [(slice(0, 5), slice(0, 1), 5)]
    assert layout.first.tolist() == [0]

"""The sentence about cut texts: above 5 % only, with what helps for single texts and for pairs."""

from __future__ import annotations

import numpy as np
import pytest

from emotune.data.dataset import Split
from emotune.evaluation.scores import Evaluation, score
from emotune.evaluation.words.cut import cut_sentences
from emotune.system.pairs import TextPair

ROWS = 40


def evaluation(cut: int, *, pairs: bool = False) -> Evaluation:
    texts = [TextPair(f"first {row}", f"second {row}") if pairs else f"text {row}" for row in range(ROWS)]
    split = Split("test", tuple(texts), np.arange(ROWS) % 2, ("a", "b"))
    found = np.zeros(ROWS, dtype=np.int64)
    return Evaluation("tuned", split, None, None, found, score(split, found, None), 0.0, cut=cut)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize(("cut", "said"), [(0, []), (2, []), (3, ["7.50 %"])])
def test_only_more_than_5_percent_are_named(cut: int, said: list[str], pairs: bool) -> None:
    assert [sentence[:6] for sentence in cut_sentences(evaluation(cut, pairs=pairs))] == said


def test_windows_are_offered_for_single_texts_only() -> None:
    (single,), (pair,) = cut_sentences(evaluation(40)), cut_sentences(evaluation(40, pairs=True))
    assert "--long-texts windows" in single
    assert "windows" not in pair
    assert "their longer texts were cut" in pair
    assert "--max-length" in pair

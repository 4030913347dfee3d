"""The limit on tokens per text that is chosen from training texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emotune.data.lengths import covering
from emotune.folder.base import load_base
from emotune.models.limits import fitting_limit
from emotune.system.pairs import TextPair

from ..tiny_models import POSITIONS, make_folder

if TYPE_CHECKING:
    from transformers import BertTokenizer

LABELS = ("a", "b")


@pytest.mark.parametrize(
    ("lengths", "most", "limit"),
    [
        ([3] * 100, 512, 128),  # a lower limit would gain nothing
        ([3] * 99 + [400], 512, 128),  # one in a hundred may be cut
        ([3] * 98 + [400] * 2, 512, 448),
        ([129] * 10, 512, 192),
        ([192] * 10, 512, 192),
        ([5000] * 10, 512, 512),
        ([5000] * 10, 40, 40),
        ([3], 40, 40),
    ],
)
def test_the_limit_covers_99_percent(lengths: list[int], most: int, limit: int) -> None:
    assert covering(np.array(lengths), most) == limit


@pytest.fixture
def folder(tiny_tokenizer: BertTokenizer, tmp_path: Path) -> Path:
    return make_folder("bert", tmp_path / "bert", tiny_tokenizer, max_position_embeddings=600)


def test_it_is_chosen_by_the_training_texts(folder: Path) -> None:
    long = ["badi " * 150] * 5 + ["badi"] * 5
    assert load_base(folder, labels=LABELS, texts=long).max_length == 192
    assert load_base(folder, labels=LABELS, texts=["badi"]).max_length == 128
    assert load_base(folder, labels=LABELS).max_length == 128
    assert load_base(folder, labels=LABELS, texts=long, max_length=16).max_length == 16


def test_pairs_count_with_both_texts(folder: Path) -> None:
    base = load_base(folder, labels=LABELS)
    assert fitting_limit(base.tokenizer, base.model, [TextPair("badi " * 100, "badi " * 100)]) == 256


def test_it_is_within_the_models_positions(tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    folder = make_folder("bert", tmp_path / "short", tiny_tokenizer)
    assert load_base(folder, labels=LABELS, texts=["badi " * 150]).max_length == POSITIONS


def test_a_family_without_padding_has_one_too(tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    folder = make_folder("gpt2", tmp_path / "gpt2", tiny_tokenizer, n_positions=600)
    assert load_base(folder, labels=LABELS, texts=["badi " * 150]).max_length == 192

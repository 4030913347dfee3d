"""Room for a method's own tokens: a chosen limit is lowered, a given one is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emotune.folder.base import load_base
from emotune.methods.base import Method
from emotune.methods.lora import LoRA
from emotune.methods.prompts import PrefixTuning, PromptTuning
from emotune.models.classifier import Classifier
from emotune.system.errors import MethodError
from emotune.training.positions import check_positions, leave_room

from ..tiny_models import make_folder

if TYPE_CHECKING:
    from transformers import BertTokenizer

LONG = ["badi " * 500]
# What every family has of 40 positions in its configuration; RoBERTa counts from its padding token.
POSITIONS = {"bert": 40, "distilbert": 40, "roberta": 38}


@pytest.mark.parametrize(("family", "positions"), POSITIONS.items())
@pytest.mark.parametrize("method", [PromptTuning(tokens=7), PrefixTuning(tokens=7)])
def test_texts_and_vectors_fill_the_positions(
    family: str, positions: int, method: Method, tiny_tokenizer: BertTokenizer, tmp_path: Path
) -> None:
    base = load_base(make_folder(family, tmp_path / family, tiny_tokenizer), labels=("a", "b"), texts=LONG)
    assert base.max_length == positions
    with pytest.raises(MethodError, match=f"Lower model.max_length to {positions - 7} or less"):
        check_positions(base, method)
    lowered = leave_room(base, method)
    assert lowered.max_length == positions - 7
    check_positions(lowered, method)


def test_a_limit_that_fits_stays(tiny_base: Classifier) -> None:
    short = dataclasses.replace(tiny_base, max_length=44)
    assert leave_room(short, PromptTuning(tokens=20)) is short
    assert leave_room(tiny_base, LoRA()) is tiny_base


@pytest.mark.parametrize("tokens", [61, 64, 100])
def test_vectors_that_leave_no_text_are_refused(tiny_base: Classifier, tokens: int) -> None:
    base = leave_room(tiny_base, PromptTuning(tokens=tokens))
    with pytest.raises(MethodError, match=r"more than the model's 64 positions. Lower method.tokens to 32 or less"):
        check_positions(base, PromptTuning(tokens=tokens))

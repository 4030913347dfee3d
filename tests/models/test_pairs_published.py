"""Pairs with the tokenizers that families are published with: what stands between the texts, and their types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from emotune.folder.base import load_base
from emotune.inference.forward import compute_logits
from emotune.models.encoding import encode
from emotune.system.pairs import TextPair

from ..tiny_models import LINES, make_config, make_sentencepiece_folder

LIMIT = 32
PAIRS = (
    TextPair("I smile", "so sad"),
    TextPair("so sad", "I smile"),
    TextPair("We walked by the sea until the lamps were lit.", "What a lovely surprise to see you here again."),
)
# What each family's own tokenizer puts before, between and behind the two texts.
AROUND = {
    "albert": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
    "camembert": (["<s>"], ["</s>", "</s>"], ["</s>"]),
    "deberta-v2": (["[CLS]"], ["[SEP]"], ["[SEP]"]),
    "xlm-roberta": (["<s>"], ["</s>", "</s>"], ["</s>"]),
    "roberta": (["<s>"], ["</s>", "</s>"], ["</s>"]),
    "gpt2": ([], [], []),
}


def byte_level(family: str, folder: Path) -> Path:
    """A tiny RoBERTa or GPT-2 with the byte-level tokenizer that these families are published with."""
    from tokenizers import ByteLevelBPETokenizer

    folder.mkdir()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if family == "roberta" else ["<|endoftext|>"]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(LINES, vocab_size=320, min_frequency=1, special_tokens=special, show_progress=False)
    trained.save_model(str(folder))
    ends = {"bos_token_id": 0, "eos_token_id": 2} if family == "roberta" else {"bos_token_id": 0, "eos_token_id": 0}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(make_config(family, 330, **ends)).save_pretrained(folder)
    name = {"roberta": "RobertaTokenizer", "gpt2": "GPT2Tokenizer"}[family]
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}), encoding="utf-8")
    return folder


@pytest.fixture(params=AROUND)
def published(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    family: str = request.param
    make: Any = byte_level if family in ("roberta", "gpt2") else make_sentencepiece_folder
    return family, make(family, tmp_path / family)


def test_special_tokens_types_and_logits_are_those_of_plain_transformers(published: tuple[str, Path]) -> None:
    family, folder = published
    classifier = load_base(folder, labels=("a", "b", "c"), max_length=LIMIT)
    plain = AutoTokenizer.from_pretrained(folder)
    encoded = encode(classifier.tokenizer, PAIRS, LIMIT)
    for row, pair in enumerate(PAIRS):
        expected = plain(pair.first, pair.second, truncation="longest_first", max_length=LIMIT)["input_ids"]
        assert encoded.ids[row].tolist() == expected
    assert encoded.cut_rows == {2}

    before, between, behind = AROUND[family]
    tokens = plain.convert_ids_to_tokens(encoded.ids[0].tolist())
    sides = [plain.tokenize(text) for text in (PAIRS[0].first, PAIRS[0].second)]
    if family == "gpt2":  # the tokenizer puts nothing between them
        assert tokens == [*sides[0], *sides[1]]
    else:
        assert tokens == [*before, *sides[0], *between, *sides[1], *behind]
    if family == "albert":
        assert encoded.types is not None
        assert encoded.types[0].tolist() == [0] * (len(sides[0]) + 2) + [1] * (len(sides[1]) + 1)
    else:
        assert encoded.types is None

    # A saved tokenizer gives plain transformers the same.
    classifier.tokenizer.save_pretrained(folder / "whole")
    again = AutoTokenizer.from_pretrained(folder / "whole")(PAIRS[0].first, PAIRS[0].second)
    assert again["input_ids"] == encoded.ids[0].tolist()
    assert again.get("token_type_ids") == (None if encoded.types is None else encoded.types[0].tolist())

    # A model of plain transformers with the same weights, one pair at a time, by its own class.
    classifier.model.save_pretrained(folder / "whole")
    model = AutoModelForSequenceClassification.from_pretrained(folder / "whole").eval()
    own = []
    for row in range(len(PAIRS)):
        ids = torch.tensor(encoded.ids[row].astype(np.int64))[None]
        types = (
            {} if encoded.types is None else {"token_type_ids": torch.tensor(encoded.types[row].astype(np.int64))[None]}
        )
        with torch.no_grad():
            own.append(model(input_ids=ids, attention_mask=torch.ones_like(ids), **types).logits[0].numpy())
    np.testing.assert_allclose(compute_logits(classifier.model, encoded, max_tokens=512), np.stack(own), atol=5e-6)

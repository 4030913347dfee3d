"""A last layer that computes first tokens only gives the logits of the whole one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertTokenizer

from emotune.engine.first_token import FirstTokenLayer, for_first_tokens
from emotune.engine.layers import COVERED

from ..tiny_models import CONFIGS, make_config

COVERED_FAMILIES = sorted(set(COVERED) & set(CONFIGS))


def made(family: str, tokenizer: BertTokenizer, **options: Any) -> Any:
    config = make_config(family, len(tokenizer), num_labels=3)
    for name, value in options.items():
        setattr(config, name, value)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", COVERED_FAMILIES)
def test_logits_equal_those_of_transformers(family: str, attention: str, tiny_tokenizer: BertTokenizer) -> None:
    options = {"embedding_size": 16} if family == "electra" else {}
    model = made(family, tiny_tokenizer, _attn_implementation=attention, **options)
    ids = torch.randint(10, len(tiny_tokenizer), (3, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    ids[mask == 0] = model.config.pad_token_id or 0
    short = for_first_tokens(model)
    assert sum(isinstance(part, FirstTokenLayer) for part in short.modules()) == 1
    with torch.inference_mode():
        for given in ({"attention_mask": mask}, {}):
            expected = model(input_ids=ids, **given).logits
            torch.testing.assert_close(short(input_ids=ids, **given).logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["albert", "gpt2", "modernbert"])
def test_others_are_returned_as_they_are(family: str, tiny_tokenizer: BertTokenizer) -> None:
    model = made(family, tiny_tokenizer)
    assert for_first_tokens(model) is model

"""What differs between families: heads, linear layers, positions and padding, on tiny models of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotune.errors import ModelError
from emotune.models.families import encoder_linear_modules, head_modules, pooler_modules, position_limit
from emotune.models.load import load_base

if TYPE_CHECKING:
    from transformers import BertTokenizer, PreTrainedConfig

LABELS = ("no", "yes", "perhaps")
TEXTS = ("defo pave difu bofa", "luvu")

# What the tiny models share, under each family's own names.
BERT_LIKE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": BERT_LIKE | {"max_position_embeddings": 40},
    "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 40},
    "roberta": BERT_LIKE | {"max_position_embeddings": 40},
    "electra": BERT_LIKE | {"embedding_size": 16, "max_position_embeddings": 40},
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 40, "pad_token_id": None},
}
HEADS = {"distilbert": ("pre_classifier", "classifier"), "gpt2": ("score",)}


def make_config(family: str, vocabulary: int) -> PreTrainedConfig:
    from transformers import AutoConfig

    return AutoConfig.for_model(family, **{"vocab_size": vocabulary, "pad_token_id": 0} | FAMILIES[family])


@pytest.fixture(params=FAMILIES)
def family_folder(request: pytest.FixtureRequest, tiny_tokenizer: BertTokenizer, tmp_path: Path) -> Path:
    """A folder, called by its family, with an encoder of random weights and a tokenizer as the family has it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModel, PreTrainedTokenizerFast

    family: str = request.param
    folder = tmp_path / family
    AutoModel.from_config(make_config(family, len(tiny_tokenizer))).save_pretrained(folder)
    if family == "gpt2":  # words only, and no token for padding
        words = Tokenizer(models.WordLevel(tiny_tokenizer.get_vocab(), unk_token="[UNK]"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        PreTrainedTokenizerFast(tokenizer_object=words, eos_token="[SEP]", padding_side="left").save_pretrained(folder)
    else:
        tiny_tokenizer.save_pretrained(folder)
    return folder


def test_head_is_what_has_parameters_beside_the_encoder(family_folder: Path) -> None:
    model = load_base(family_folder, labels=LABELS, max_length=32).model
    expected = HEADS.get(family_folder.name, ("classifier",))
    assert sorted(head_modules(model)) == sorted(expected)
    outside = {name.partition(".")[0] for name, _ in model.named_parameters()} - {model.base_model_prefix}
    assert outside == set(expected)


def test_padding_does_not_change_the_logits(family_folder: Path) -> None:
    import torch

    classifier = load_base(family_folder, labels=LABELS, max_length=32)

    def logits(*texts: str) -> torch.Tensor:
        batch = classifier.tokenizer(list(texts), padding=True, return_tensors="pt")
        with torch.no_grad():
            found: torch.Tensor = classifier.model(**batch).logits
        return found

    alone = torch.cat([logits(text) for text in TEXTS])
    torch.testing.assert_close(logits(*TEXTS), alone, rtol=1e-4, atol=1e-5)


def test_padding_is_set_where_the_tokenizer_has_none(family_folder: Path) -> None:
    classifier = load_base(family_folder, labels=LABELS, max_length=32)
    assert classifier.model.config.pad_token_id == classifier.tokenizer.pad_token_id
    assert classifier.tokenizer.padding_side == "right"


def test_longest_text_is_really_the_longest(family_folder: Path) -> None:
    import torch

    model = load_base(family_folder, labels=LABELS, max_length=32).model
    limit = position_limit(model)
    assert limit == (39 if family_folder.name == "roberta" else 40)
    with torch.no_grad():
        assert model(torch.full((1, limit), 7)).logits.shape == (1, len(LABELS))
        with pytest.raises((IndexError, RuntimeError)):
            model(torch.full((1, limit + 1), 7))
    with pytest.raises(ModelError, match=f"to {limit}"):
        load_base(family_folder, labels=LABELS, max_length=limit + 1)


def test_linear_modules_of_bert_are_named_in_full() -> None:
    from transformers import BertForSequenceClassification

    layer = "bert.encoder.layer.0"
    assert encoder_linear_modules(BertForSequenceClassification(make_config("bert", 10))) == (
        f"{layer}.attention.self.query",
        f"{layer}.attention.self.key",
        f"{layer}.attention.self.value",
        f"{layer}.attention.output.dense",
        f"{layer}.intermediate.dense",
        f"{layer}.output.dense",
    )


def test_linear_modules_of_gpt2_are_its_conv1d() -> None:
    from transformers import GPT2ForSequenceClassification

    assert encoder_linear_modules(GPT2ForSequenceClassification(make_config("gpt2", 10))) == (
        "transformer.h.0.attn.c_attn",
        "transformer.h.0.attn.c_proj",
        "transformer.h.0.mlp.c_fc",
        "transformer.h.0.mlp.c_proj",
    )


def test_pooler_is_named_where_there_is_one(family_folder: Path) -> None:
    model = load_base(family_folder, labels=LABELS, max_length=32).model
    assert pooler_modules(model) == (("bert.pooler",) if family_folder.name == "bert" else ())


def test_linear_modules_leave_the_head_out() -> None:
    from transformers import DistilBertForSequenceClassification

    model = DistilBertForSequenceClassification(make_config("distilbert", 10))
    assert len(encoder_linear_modules(model)) == 6
    assert not set(encoder_linear_modules(model)) & set(head_modules(model))

"""Where the blocks of each architecture end: names written down by hand, on tiny models."""

from __future__ import annotations

import pytest

from emotune.errors import MethodError
from emotune.models.blocks import block_outputs

from ..methods.models import ARCHITECTURES, LAYERS, make_model

BERT = ("encoder.layer.{}.attention.output.dense", "encoder.layer.{}.output.dense")
EXPECTED = {
    "albert": tuple(
        f"albert.encoder.albert_layer_groups.{{}}.albert_layers.0.{n}" for n in ("attention.dense", "ffn_output")
    ),
    "bert": tuple(f"bert.{name}" for name in BERT),
    "camembert": tuple(f"roberta.{name}" for name in BERT),
    "deberta-v2": tuple(f"deberta.{name}" for name in BERT),
    "distilbert": ("distilbert.transformer.layer.{}.attention.out_lin", "distilbert.transformer.layer.{}.ffn.lin2"),
    "electra": tuple(f"electra.{name}" for name in BERT),
    "gpt2": ("transformer.h.{}.attn.c_proj", "transformer.h.{}.mlp.c_proj"),
    "modernbert": ("model.layers.{}.attn.Wo", "model.layers.{}.mlp.Wo"),
    "mpnet": ("mpnet.encoder.layer.{}.attention.attn.o", "mpnet.encoder.layer.{}.output.dense"),
    "roberta": tuple(f"roberta.{name}" for name in BERT),
    "xlm-roberta": tuple(f"roberta.{name}" for name in BERT),
}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_layer_has_its_two(kind: str) -> None:
    found = block_outputs(make_model(kind))
    layers = range(1 if kind == "albert" else LAYERS)  # ALBERT's layers are one
    attention, feed_forward = EXPECTED[kind]
    assert found.attention == tuple(attention.format(i) for i in layers)
    assert found.feed_forward == tuple(feed_forward.format(i) for i in layers)


def test_an_unknown_architecture_is_refused_with_the_way_round() -> None:
    model = make_model()
    model.config.model_type = "nobert"
    with pytest.raises(MethodError, match=r"blocks of 'nobert' end.* by target_modules"):
        block_outputs(model)


def test_a_known_one_that_is_built_otherwise_is_refused() -> None:
    model = make_model()
    model.config.model_type = "mpnet"
    with pytest.raises(MethodError, match=r"no layers called 'attention\.attn\.o'.* by target_modules"):
        block_outputs(model)

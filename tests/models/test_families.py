"""What differs between families: heads, linear layers, positions and padding, on tiny models of each kind."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emotune.folder.base import load_base
from emotune.models import families
from emotune.models.families import (
    FAMILIES,
    ROLES,
    encoder,
    encoder_linear_modules,
    family_of,
    head_modules,
    pooler_modules,
    position_limit,
    precision_for,
    role_modules,
)
from emotune.system import precision
from emotune.system.errors import ConfigError, MethodError, ModelError

from ..tiny_models import (
    CONFIGS,
    HIDDEN,
    INNER,
    LAYERS,
    PADDED_BY_1,
    POSITIONS,
    make_config,
    make_folder,
    make_tokenizer,
)

if TYPE_CHECKING:
    from transformers import BertTokenizer, PreTrainedModel

LABELS = ("no", "yes", "perhaps")
TEXTS = ("defo pave difu bofa", "luvu")
# Written down by hand: what stands beside the encoder, and what stands between the stack and the head.
BESIDE = {
    "albert": {"classifier"},
    "bert": {"classifier"},
    "deberta": {"pooler", "classifier"},
    "deberta-v2": {"pooler", "classifier"},
    "distilbert": {"pre_classifier", "classifier"},
    "gpt2": {"score"},
    "modernbert": {"head", "classifier"},
}
POOLERS = {
    "albert": ("albert.pooler",),
    "bert": ("bert.pooler",),
    "deberta": ("pooler",),
    "deberta-v2": ("pooler",),
    "modernbert": ("head",),
}
FUSED = ("deberta", "gpt2", "modernbert")


def make_model(family: str) -> PreTrainedModel:
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_config(make_config(family, 50, num_labels=len(LABELS))).eval()


@pytest.fixture(params=CONFIGS)
def family_folder(request: pytest.FixtureRequest, tiny_tokenizer: BertTokenizer, tmp_path: Path) -> Path:
    """A folder, called by its family, with an encoder of random weights and a tokenizer as the family has it."""
    return make_folder(request.param, tmp_path / request.param, tiny_tokenizer)


def test_the_tests_know_every_family() -> None:
    assert CONFIGS.keys() == FAMILIES.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_what_has_parameters_beside_the_encoder_is_head_or_pooler(family: str) -> None:
    model = make_model(family)
    outside = {name.partition(".")[0] for name, _ in model.named_parameters()} - {model.base_model_prefix}
    assert outside == BESIDE.get(family, {"classifier"})
    pooler = POOLERS.get(family, ())
    assert pooler_modules(model) == pooler
    assert set(head_modules(model)) == outside - set(pooler)
    assert set(FAMILIES[family].head) == set(head_modules(model))
    assert FAMILIES[family].pooler == "".join(pooler)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_linear_layer_but_embeddings_and_relative_positions_has_a_role(family: str) -> None:
    model = make_model(family)
    named = set(role_modules(model, *ROLES))
    linear = set(encoder_linear_modules(model))
    assert named <= linear
    rest = {name.rpartition(".")[2] for name in linear - named}
    expected = {
        "albert": {"embedding_hidden_mapping_in"},
        "deberta": {"pos_proj", "pos_q_proj"},
        "electra": {"embeddings_project"},
    }
    assert rest == expected.get(family, set())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_layers_of_a_role_have_the_shape_of_it(family: str) -> None:
    model = make_model(family)
    depth = 1 if FAMILIES[family].shared else LAYERS
    fused = 3 if family in FUSED else 1
    gated = 2 if family == "modernbert" else 1
    shapes = dict.fromkeys(("query", "key", "value"), (HIDDEN, fused * HIDDEN))
    shapes |= {"attended": (HIDDEN, HIDDEN), "inner": (HIDDEN, gated * INNER), "outer": (INNER, HIDDEN)}
    for role, shape in shapes.items():
        found = [model.get_submodule(name) for name in role_modules(model, role)]
        assert len(found) == depth
        for module in found:
            assert type(module).__name__ == FAMILIES[family].linear
            given = tuple(module.weight.shape)
            assert given == (shape if FAMILIES[family].linear == "Conv1D" else shape[::-1])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_reads_the_token_that_the_table_says(family: str) -> None:
    """The gradient of the logits on the last hidden states is zero but at the token that the head reads."""
    import torch

    model = make_model(family)
    states: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, args: object, output: object) -> None:
        hidden = output[0]  # type: ignore[index]
        hidden.retain_grad()
        states.append(hidden)

    encoder(model).register_forward_hook(keep)
    padding = model.config.pad_token_id if model.config.pad_token_id is not None else 0
    model.config.pad_token_id = padding
    ids = torch.tensor([[5, 9, 7, 8, padding, padding]])
    model(input_ids=ids, attention_mask=(ids != padding).long()).logits.square().sum().backward()
    gradient = states[0].grad
    assert gradient is not None
    read = gradient[0].abs().sum(-1).nonzero().flatten().tolist()
    assert read == {"first token": [0], "last token": [3], "first token or mean": [0]}[FAMILIES[family].pooling]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_guess_agrees_with_the_table(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = FAMILIES[family]
    model = make_model(family)
    monkeypatch.setattr(families, "FAMILIES", {})
    guess = family_of(model)
    assert not guess.known
    assert (guess.layers, guess.linear) == (known.layers, known.linear)
    assert {role: getattr(guess, role) for role in ROLES} == {role: getattr(known, role) for role in ROLES}
    # A pooler beside the encoder looks like a part of the head: it is trained with the head all the same.
    everything = {*guess.head, guess.pooler} - {""}
    assert everything == {*known.head, known.pooler} - {""}


def test_layers_that_cannot_be_told_apart_are_refused_with_what_to_pass() -> None:
    import torch

    model = make_model("bert")
    model.config.model_type = "strange"
    for layer in model.bert.encoder.layer:
        layer.attention.self.odd = torch.nn.Linear(HIDDEN, HIDDEN)
    assert len(role_modules(model, "key", "outer")) == 2 * LAYERS
    with pytest.raises(MethodError, match=r"'strange' are attended could not be told.*target_modules.*bert"):
        role_modules(model, "attended", "outer")


def test_a_known_family_that_is_built_otherwise_is_refused() -> None:
    model = make_model("bert")
    model.config.model_type = "distilbert"
    with pytest.raises(MethodError, match=r"no layers called attention\.q_lin.*target_modules"):
        role_modules(model, "query")


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
    assert classifier.tokenizer.padding_side == FAMILIES[family_folder.name].padding_side == "right"


def test_a_tokenizer_that_pads_to_the_left_is_set_right(tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    folder = make_folder("gpt2", tmp_path / "gpt2", tiny_tokenizer)
    tokenizer = make_tokenizer("gpt2", tiny_tokenizer)
    tokenizer.pad_token = "[PAD]"
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(folder)
    classifier = load_base(folder, labels=LABELS, max_length=32)
    assert (classifier.tokenizer.pad_token, classifier.tokenizer.padding_side) == ("[PAD]", "right")
    assert classifier.model.config.pad_token_id == classifier.tokenizer.pad_token_id


def test_longest_text_is_really_the_longest(family_folder: Path) -> None:
    import torch

    model = load_base(family_folder, labels=LABELS, max_length=32).model
    limit = position_limit(model)
    family = FAMILIES[family_folder.name]
    offset = 2 if family.positions == "after the padding id" else 0
    assert limit == POSITIONS - offset
    with torch.no_grad():
        assert model(torch.full((1, limit), 7)).logits.shape == (1, len(LABELS))
        if family.positions not in ("relative", "rotary"):
            with pytest.raises((IndexError, RuntimeError)):
                model(torch.full((1, limit + 1), 7))
    with pytest.raises(ModelError, match=f"to {limit}"):
        load_base(family_folder, labels=LABELS, max_length=limit + 1)


def test_positions_begin_after_the_padding_id_in_the_families_that_say_so() -> None:
    assert {name for name, family in FAMILIES.items() if family.positions == "after the padding id"} == set(PADDED_BY_1)


@pytest.mark.parametrize("family", FAMILIES)
def test_token_types_are_told_apart_where_there_are_embeddings_of_several(family: str) -> None:
    rows = [
        module.num_embeddings
        for name, module in make_model(family).named_modules()
        if name.endswith("token_type_embeddings")
    ]
    assert FAMILIES[family].token_types == (max(rows, default=0) > 1)


def test_linear_modules_of_bert_are_named_in_full() -> None:
    layer = "bert.encoder.layer.0"
    assert encoder_linear_modules(make_model("bert"))[:6] == (
        f"{layer}.attention.self.query",
        f"{layer}.attention.self.key",
        f"{layer}.attention.self.value",
        f"{layer}.attention.output.dense",
        f"{layer}.intermediate.dense",
        f"{layer}.output.dense",
    )


def test_linear_modules_of_gpt2_are_its_conv1d() -> None:
    assert encoder_linear_modules(make_model("gpt2"))[:4] == (
        "transformer.h.0.attn.c_attn",
        "transformer.h.0.attn.c_proj",
        "transformer.h.0.mlp.c_fc",
        "transformer.h.0.mlp.c_proj",
    )


def test_linear_modules_leave_the_head_out() -> None:
    model = make_model("distilbert")
    assert len(encoder_linear_modules(model)) == 6 * LAYERS
    assert not set(encoder_linear_modules(model)) & set(head_modules(model))


def test_the_prediction_head_of_modernbert_is_taken_from_its_checkpoint(
    tiny_tokenizer: BertTokenizer, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForMaskedLM

    saved = AutoModelForMaskedLM.from_config(make_config("modernbert", len(tiny_tokenizer)))
    saved.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    model = load_base(tmp_path, labels=LABELS, max_length=32).model
    assert torch.equal(model.head.dense.weight, saved.head.dense.weight)


def test_the_table_in_the_documentation_says_the_same() -> None:
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        for line in text.partition("## Families")[2].partition("\n## ")[0].splitlines()
        if line.startswith("| `")
    ]
    found = {row[0]: row[1:] for row in rows}
    assert found == {
        name: [
            ", ".join(dict.fromkeys((family.query, family.key, family.value))),
            family.attended,
            f"{family.inner}, {family.outer}",
            family.pooler,
            ", ".join(family.head),
            family.pooling,
            family.positions,
        ]
        for name, family in FAMILIES.items()
    }


def test_families_are_plain_data() -> None:
    json.dumps({name: dataclasses.asdict(family) for name, family in FAMILIES.items()})


@pytest.mark.parametrize("family", FAMILIES)
def test_the_table_knows_whose_code_computes_in_bfloat16(family: str) -> None:
    import torch

    model = make_model(family)
    ids = torch.tensor([[5, 6, 7, 8], [5, 6, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    model.config.pad_token_id = 0
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        if FAMILIES[family].bfloat16:
            assert model(input_ids=ids, attention_mask=mask).logits.isfinite().all()
        else:
            with pytest.raises(RuntimeError, match="overflow"):
                model(input_ids=ids, attention_mask=mask)


def test_a_family_that_overflows_in_bfloat16_gets_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bf16", lambda: True)
    deberta, bert = make_model("deberta"), make_model("bert")
    assert precision_for(bert, "auto", "cpu").name == "bf16"
    found = precision_for(deberta, "auto", "cpu")
    assert (found.name, found.reason) == ("fp32", "models of type 'deberta' overflow in bfloat16")
    assert precision_for(deberta, "fp32", "cpu").reason == "as asked"
    with pytest.raises(ConfigError, match=r"'bf16' is not available: .*'deberta'.*Choose 'fp32', or 'auto'"):
        precision_for(deberta, "bf16", "cpu")

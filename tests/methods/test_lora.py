"""LoRA: the adapters that PEFT builds for the same configuration, on exactly the layers that were asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

from emotune.methods.lora import LoRA
from emotune.methods.lora_variants import PiSSA
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

HIDDEN, INNER, LAYERS, LABELS = 32, 64, 2, 6
SIZES = {"hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 4}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "distilbert": {"dim": HIDDEN, "hidden_dim": INNER, "n_layers": LAYERS, "n_heads": 4},
    "roberta": SIZES,
    "gpt2": {"n_embd": HIDDEN, "n_layer": LAYERS, "n_head": 4, "bos_token_id": 1, "eos_token_id": 2},
}
# The linear layers of one layer of each encoder, and what is trained in full: written down by hand.
BERT_LAYER = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
ENCODER_LAYERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bert": ("bert.encoder.layer", BERT_LAYER),
    "distilbert": (
        "distilbert.transformer.layer",
        ("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2"),
    ),
    "roberta": ("roberta.encoder.layer", BERT_LAYER),
    "gpt2": ("transformer.h", ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")),
}
TRAINED_IN_FULL = {
    "bert": {"bert.pooler", "classifier"},
    "distilbert": {"pre_classifier", "classifier"},
    "roberta": {"classifier"},
    "gpt2": {"score"},
}


def make_model(family: str = "bert", seed: int = 0) -> PreTrainedModel:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.for_model(family, vocab_size=50, pad_token_id=0, num_labels=LABELS, **FAMILIES[family])
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.name_or_path = "owner/base"
    return model


def apply(method: LoRA, model: PreTrainedModel, seed: int = 1) -> PeftModel:
    torch.manual_seed(seed)
    return method.apply(model, "owner/base")


def trained(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.tensor([[5, 9, 12, 40], [7, 7, 3, 8]])
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_all_linear_adapts_every_linear_layer_of_the_encoder_and_nothing_else(family: str) -> None:
    from peft.tuners.lora import LoraLayer

    model = apply(LoRA(), make_model(family))
    stack, modules = ENCODER_LAYERS[family]
    expected = [f"{stack}.{layer}.{module}" for layer in range(LAYERS) for module in modules]
    adapted = [name for name, module in model.get_base_model().named_modules() if isinstance(module, LoraLayer)]
    assert sorted(adapted) == sorted(expected)
    assert sorted(model.targeted_module_names) == sorted(expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_head_and_pooler_are_trained_in_full_and_all_else_is_frozen(family: str) -> None:
    plain = make_model(family)
    parameters = dict(plain.named_parameters())
    model = apply(LoRA(r=4), make_model(family))
    whole, adapters = set(), set()
    for name in trained(model):
        module = name.removeprefix("base_model.model.")
        if ".modules_to_save.default." in module:
            whole.add(module.replace(".modules_to_save.default.", "."))
        else:
            adapters.add(module.split(".lora_")[1].split(".")[0])
    assert adapters == {"A", "B"}
    assert whole == {name for name in parameters if name.startswith(tuple(f"{m}." for m in TRAINED_IN_FULL[family]))}


def test_the_number_of_trained_parameters_by_hand() -> None:
    rank = 4
    attention = 4 * rank * (HIDDEN + HIDDEN)
    feed_forward = 2 * rank * (HIDDEN + INNER)
    pooler = HIDDEN * HIDDEN + HIDDEN
    head = HIDDEN * LABELS + LABELS
    model = apply(LoRA(r=rank), make_model())
    assert model.get_nb_trainable_parameters()[0] == LAYERS * (attention + feed_forward) + pooler + head


@pytest.mark.parametrize(
    ("method", "plain"),
    [
        (LoRA(), {"r": 16, "lora_alpha": 32}),
        (LoRA(r=4, alpha=3.0), {"r": 4, "lora_alpha": 3.0}),
        (LoRA(r=8, rslora=True, dropout=0.1), {"r": 8, "lora_alpha": 16, "use_rslora": True, "lora_dropout": 0.1}),
    ],
    ids=["default", "alpha", "rslora"],
)
def test_is_what_peft_builds(method: LoRA, plain: dict[str, Any]) -> None:
    from peft import LoraConfig, get_peft_model

    ours = apply(method, make_model())
    config = LoraConfig(
        task_type="SEQ_CLS",
        target_modules=r"bert\.encoder\..*\.(query|key|value|dense)",
        modules_to_save=["pooler", "classifier"],
        **plain,
    )
    model = make_model()
    torch.manual_seed(1)
    reference = get_peft_model(model, config)

    assert trained(ours).keys() == trained(reference).keys()
    for name, parameter in trained(ours).items():
        assert torch.equal(parameter, trained(reference)[name]), name
    assert ours.get_nb_trainable_parameters() == reference.get_nb_trainable_parameters()
    for model in (ours, reference):  # B starts at zero, where any scale gives the same logits
        torch.manual_seed(2)
        for name, parameter in sorted(trained(model).items()):
            if ".lora_B." in name:
                torch.nn.init.normal_(parameter)
    assert torch.equal(logits(ours), logits(reference))
    assert not torch.allclose(logits(ours), logits(make_model()), atol=1e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_adapter_changes_nothing(family: str) -> None:
    assert torch.equal(logits(apply(LoRA(), make_model(family))), logits(make_model(family)))


@pytest.mark.parametrize(
    ("method", "scale"),
    [
        (LoRA(r=4), 2.0),
        (LoRA(r=16), 2.0),
        (LoRA(r=4, alpha=6.0), 1.5),
        (LoRA(r=4, alpha=6.0, rslora=True), 3.0),
        (LoRA(r=9, rslora=True), 6.0),
    ],
)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_an_adapted_layer_by_its_formula(family: str, method: LoRA, scale: float) -> None:
    model = apply(method, make_model(family)).eval()
    stack, modules = ENCODER_LAYERS[family]
    layer: Any = model.get_base_model().get_submodule(f"{stack}.1.{modules[-1]}")
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.nn.init.normal_(b)
    x = torch.randn(3, a.shape[1])
    assert a.shape[0] == b.shape[1] == method.r
    # Only GPT-2's Conv1D keeps its weight as (in, out).
    weight = layer.base_layer.weight if family == "gpt2" else layer.base_layer.weight.T
    expected = x @ weight + layer.base_layer.bias + scale * (x @ a.T @ b.T)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)
    assert math.isclose(layer.scaling["default"], scale)


def test_named_targets_alone_are_adapted() -> None:
    model = apply(LoRA(target_modules=["query", "value"]), make_model())
    expected = [f"bert.encoder.layer.{i}.attention.self.{name}" for i in range(LAYERS) for name in ("query", "value")]
    assert sorted(model.targeted_module_names) == sorted(expected)
    pattern = apply(LoRA(target_modules=r".*\.layer\.1\..*query"), make_model())
    assert pattern.targeted_module_names == [expected[2]]


def test_dropout_is_on_the_adapters_input() -> None:
    model = apply(LoRA(r=4, dropout=0.5), make_model())
    layer: Any = model.get_submodule("base_model.model.bert.encoder.layer.0.output.dense")
    torch.nn.init.normal_(layer.lora_B["default"].weight)
    x = torch.randn(3, INNER)
    assert torch.equal(layer.eval()(x), layer(x))
    assert not torch.equal(layer.train()(x), layer(x))


def test_the_configuration_names_the_base_as_told() -> None:
    model = apply(LoRA(), make_model())
    assert model.peft_config["default"].base_model_name_or_path == "owner/base"


def test_a_module_of_another_family_is_refused_with_berts_own_name() -> None:
    with pytest.raises(MethodError, match=r"'v_proj' matches no linear layer.*closest are: .*value"):
        apply(LoRA(target_modules=["v_proj"]), make_model())


def test_a_refused_target_leaves_the_model_as_it_was() -> None:
    model = make_model()
    names = [name for name, _ in model.named_modules()]
    with pytest.raises(MethodError):
        apply(LoRA(target_modules=["query", "v_proj"]), model)
    assert [name for name, _ in model.named_modules()] == names
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"r": 0}, "r is 0"),
        ({"r": -4}, "r is -4"),
        ({"r": 2.5}, "r is 2.5"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": -1.0}, "alpha is -1.0"),
        ({"alpha": math.nan}, "alpha is nan"),
        ({"alpha": math.inf}, "alpha is inf"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"dropout": math.nan}, "dropout is nan"),
    ],
)
def test_a_value_out_of_range_is_refused(options: dict[str, Any], seen: str) -> None:
    with pytest.raises(MethodError, match=seen):
        LoRA(**options)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(MethodError, match=r"(?s)r is -1.*alpha is 0.*dropout is 2"):
        LoRA(r=-1, alpha=0, dropout=2)


@pytest.mark.parametrize(
    ("method", "times_lora"),
    [
        (LoRA(r=16, rslora=True), 4),
        (LoRA(r=64, rslora=True), 8),
        (LoRA(r=64, alpha=16, rslora=True), 1),
        (LoRA(r=64, alpha=8, rslora=True), 1),
        (PiSSA(r=16, rslora=True), 4),
    ],
)
def test_the_rate_of_rslora_is_less_by_what_its_scale_is_more(method: LoRA, times_lora: float) -> None:
    assert method.usual_learning_rate == pytest.approx(type(method).learning_rate / times_lora)


def test_the_rate_without_rslora_is_the_methods_own() -> None:
    assert LoRA(r=64).usual_learning_rate == LoRA(alpha=1).usual_learning_rate == LoRA.learning_rate


def test_methods_are_equal_by_value() -> None:
    assert LoRA(target_modules=["query"]) == LoRA(target_modules=("query",))
    assert hash(LoRA(target_modules=["query"])) == hash(LoRA(target_modules=("query",)))
    assert LoRA().scale_numerator == 32
    assert LoRA(r=8, alpha=4).scale_numerator == 4

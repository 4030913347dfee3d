"""Bottleneck adapters: the formula, behind the blocks that the placement names, in PEFT's own wrapping."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import emotune
from emotune.methods.bottleneck import Bottleneck
from emotune.system.errors import ArtifactError, MethodError

from .models import ARCHITECTURES, HIDDEN, LABELS, LAYERS, draw_trained, logits, make_model

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier
    from emotune.training.options import TrainingOptions

SIZE = 4


def adapters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of the adapters."""
    return {name: parameter for name, parameter in model.named_parameters() if "emotune_bottleneck_" in name}


def test_the_number_of_trained_parameters_by_hand() -> None:
    adapter = HIDDEN * SIZE + SIZE + SIZE * HIDDEN + HIDDEN
    pooler = HIDDEN * HIDDEN + HIDDEN
    head = HIDDEN * LABELS + LABELS
    houlsby: Any = Bottleneck(size=SIZE).apply(make_model(), "owner/base")
    pfeiffer: Any = Bottleneck(size=SIZE, placement="pfeiffer").apply(make_model(), "owner/base")
    assert houlsby.get_nb_trainable_parameters()[0] == 2 * LAYERS * adapter + pooler + head
    assert pfeiffer.get_nb_trainable_parameters()[0] == LAYERS * adapter + pooler + head


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer"])
def test_starts_as_the_base_model_and_trains_adapters_and_what_is_no_encoder(kind: str, placement: Any) -> None:
    model: Any = Bottleneck(size=SIZE, placement=placement).apply(make_model(kind), "owner/base")
    assert torch.equal(logits(model), logits(make_model(kind)))
    for name, parameter in model.named_parameters():
        trained = "emotune_bottleneck_" in name or ".modules_to_save." in name
        assert parameter.requires_grad == trained, name


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_is_the_base_model_with_the_blocks_outputs_changed_by_the_formula(kind: str) -> None:
    """Against hooks on the base model, written out for this test."""
    from emotune.models.families import role_modules

    model: Any = Bottleneck(size=SIZE, activation="relu").apply(make_model(kind), "owner/base")
    draw_trained(model)
    weights = {name.removeprefix("base_model.model."): p.detach() for name, p in model.named_parameters()}
    reference = make_model(kind)
    own = {n.replace("modules_to_save.default.", ""): w for n, w in weights.items() if ".modules_to_save." in n}
    reference.load_state_dict(reference.state_dict() | own)
    for block in role_modules(reference, "attended", "outer"):
        parts = {
            part: [weights[f"{block}.emotune_bottleneck_{part}.default.{kind}"] for kind in ("weight", "bias")]
            for part in ("down", "up")
        }

        def hook(_: nn.Module, __: Any, y: torch.Tensor, parts: dict[str, list[torch.Tensor]] = parts) -> torch.Tensor:
            inner = (y @ parts["down"][0].T + parts["down"][1]).clamp_min(0)
            return y + inner @ parts["up"][0].T + parts["up"][1]

        reference.get_submodule(block).register_forward_hook(hook)
    torch.testing.assert_close(logits(model), logits(reference), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits(model), logits(make_model(kind)), atol=1e-2)


@pytest.mark.parametrize(("activation", "function"), [("gelu", nn.functional.gelu), ("relu", nn.functional.relu)])
@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_outputs_and_gradients_of_an_adapted_layer_by_its_formula(kind: str, activation: Any, function: Any) -> None:
    method = Bottleneck(size=SIZE, activation=activation)
    model: Any = method.apply(make_model(kind), "owner/base")
    draw_trained(model)
    layer = model.get_base_model().get_submodule(method.adapted_modules(make_model(kind))[-1])
    base, down, up = (
        layer.base_layer,
        layer.emotune_bottleneck_down["default"],
        layer.emotune_bottleneck_up["default"],
    )
    assert (down.in_features, down.out_features, up.out_features) == (HIDDEN, SIZE, HIDDEN)
    x = torch.randn(3, base.weight.shape[0 if kind == "gpt2" else 1], requires_grad=True)
    copies = [p.detach().clone().requires_grad_() for p in (down.weight, down.bias, up.weight, up.bias)]
    other = x.detach().clone().requires_grad_()
    y = other @ (base.weight if kind == "gpt2" else base.weight.T) + base.bias
    expected = y + function(y @ copies[0].T + copies[1]) @ copies[2].T + copies[3]
    found = layer(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for each in (found, expected):
        each.square().sum().backward()
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-4, atol=1e-4)
    for parameter, reference in zip((down.weight, down.bias, up.weight, up.bias), copies, strict=True):
        torch.testing.assert_close(parameter.grad, reference.grad, rtol=1e-4, atol=1e-4)


def test_dropout_is_on_the_adapters_input() -> None:
    model = Bottleneck(size=SIZE, dropout=0.5).apply(make_model(), "owner/base")
    draw_trained(model)
    layer: Any = model.get_submodule("base_model.model.bert.encoder.layer.0.output.dense")
    layer.base_layer.weight.data.zero_()
    layer.base_layer.bias.data.fill_(1.0)
    x = torch.zeros(200, layer.base_layer.in_features)
    assert torch.equal(layer.eval()(x), layer(x))
    torch.manual_seed(0)
    # Of an input of ones, each number is dropped or doubled: what comes out is one of the adapter's values on such inputs.
    down = layer.emotune_bottleneck_down["default"]
    found = []
    down.register_forward_hook(lambda _, inputs, __: found.append(inputs[0]))
    layer.train()(x)
    assert set(found[0].unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("kind", ["bert", "gpt2", "albert"])
@pytest.mark.parametrize("layers", [2, 12])
def test_saved_and_loaded_into_a_fresh_base_it_is_the_same(kind: str, layers: int, tmp_path: Path) -> None:
    from peft import PeftModel

    depth = {"n_layer": layers} if kind == "gpt2" else {"num_hidden_layers": layers}
    method = Bottleneck(size=SIZE, activation="relu")
    model: Any = method.apply(make_model(kind, **depth), "owner/base")
    draw_trained(model, std=0.1)
    method.save(model, tmp_path)
    loaded = method.load(tmp_path, lambda: make_model(kind, **depth))
    assert torch.equal(logits(loaded), logits(model))
    assert torch.equal(logits(PeftModel.from_pretrained(make_model(kind, **depth), tmp_path)), logits(model))


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    method = Bottleneck(size=SIZE)
    method.save(method.apply(make_model(), "owner/base"), tmp_path)
    with pytest.raises(ArtifactError, match="does not fit the base model"):
        method.load(tmp_path, lambda: make_model(hidden_size=16))


class TestAsPeftsUsersExpect:
    @pytest.fixture
    def model(self) -> Any:
        model = Bottleneck(size=SIZE).apply(make_model(), "owner/base")
        draw_trained(model)
        return model

    def test_disabled_adapters_leave_the_base(self, model: Any) -> None:
        tuned = logits(model)
        with model.disable_adapter():
            assert torch.equal(logits(model), logits(make_model()))
        assert torch.equal(logits(model), tuned)

    def test_merging_is_refused_and_changes_nothing(self, model: Any) -> None:
        tuned = logits(model)
        with pytest.raises(ValueError, match="cannot be merged"):
            model.merge_adapter()
        with pytest.raises(ValueError, match="cannot be merged"):
            model.merge_and_unload()
        with pytest.raises(NotImplementedError, match="cannot be merged"):
            model.get_base_model().bert.encoder.layer[0].output.dense.merge()
        assert torch.equal(logits(model), tuned)

    def test_unload_gives_the_base(self, model: Any) -> None:
        plain = model.unload()
        assert type(plain) is type(make_model())
        assert plain.state_dict().keys() == make_model().state_dict().keys()

    def test_several_adapters_side_by_side(self, model: Any) -> None:
        first = logits(model)
        config = copy.deepcopy(model.peft_config["default"])
        config.size = 2 * SIZE
        model.add_adapter("second", config)
        assert torch.equal(logits(model), first)
        model.set_adapter("second")
        assert {name: p.requires_grad for name, p in adapters(model).items()} == {
            name: ".second." in name for name in adapters(model)
        }
        torch.testing.assert_close(logits(model), logits(make_model()))
        model.set_adapter("default")
        assert torch.equal(logits(model), first)
        model.delete_adapter("second")
        assert torch.equal(logits(model), first)
        assert not any(".second." in name for name, _ in model.named_modules())

    def test_two_active_adapters_read_the_same_and_add_up(self, model: Any) -> None:
        model.add_adapter("second", copy.deepcopy(model.peft_config["default"]))
        layer = model.get_base_model().bert.encoder.layer[0].output.dense
        nn.init.normal_(layer.emotune_bottleneck_up["second"].weight)
        x = torch.randn(3, layer.base_layer.in_features)
        y = layer.base_layer(x)
        alone = []
        for name in ("default", "second"):
            layer.set_adapter(name)
            alone.append(layer(x) - y)
        layer.set_adapter(["default", "second"])
        torch.testing.assert_close(layer(x), y + alone[0] + alone[1])


def test_target_modules_take_the_place_of_the_placement() -> None:
    method = Bottleneck(size=SIZE, target_modules=["output.dense"])
    model: Any = method.apply(make_model(), "owner/base")
    stack = [f"bert.encoder.layer.{i}" for i in range(LAYERS)]
    expected = [f"{layer}.{name}" for layer in stack for name in ("attention.output.dense", "output.dense")]
    assert sorted(model.targeted_module_names) == sorted(expected)
    alone = Bottleneck(size=SIZE, target_modules=r".*\.layer\.1\.output\.dense")
    assert alone.adapted_modules(make_model()) == (expected[3],)
    with pytest.raises(MethodError, match="'v_proj' matches no linear layer"):
        Bottleneck(target_modules="v_proj").apply(make_model(), "owner/base")


def test_a_layer_that_is_not_linear_is_refused_by_the_tuner() -> None:
    from peft import get_peft_model

    from emotune.methods.tuners.bottleneck import BottleneckConfig

    with pytest.raises(TypeError, match="Embedding is not one"):
        get_peft_model(make_model(), BottleneckConfig(target_modules=["word_embeddings"]))
    with pytest.raises(ValueError, match="activation is 'tanh'"):
        BottleneckConfig(activation="tanh")


def test_must_move_names_up_and_the_head() -> None:
    method = Bottleneck(size=SIZE)
    model = method.apply(make_model(), "owner/base")
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert method.must_move(model).keys() == {n for n in trained if ".emotune_bottleneck_down." not in n}


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"size": 0}, "size is 0"),
        ({"size": 2.5}, "size is 2.5"),
        ({"placement": "parallel"}, "placement is 'parallel'"),
        ({"activation": "tanh"}, "activation is 'tanh'"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"placement": "pfeiffer", "target_modules": ["query"]}, "both placement and target_modules"),
        ({"size": -1, "activation": "", "dropout": 2}, r"(?s)size is -1.*activation is ''.*dropout is 2"),
    ],
)
def test_a_value_out_of_range_is_refused(options: dict[str, Any], seen: str) -> None:
    with pytest.raises(MethodError, match=seen):
        Bottleneck(**options)


def test_methods_are_equal_by_value() -> None:
    assert Bottleneck(target_modules=["query"]) == Bottleneck(target_modules=("query",))
    assert hash(Bottleneck(target_modules=["query"])) == hash(Bottleneck(target_modules=("query",)))


@pytest.mark.slow
def test_trains_saves_loads_and_verifies(
    tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions, tmp_path: Path
) -> None:
    method = Bottleneck(size=16)
    tuned = emotune.finetune(tiny_base, tiny_data, method, tiny_options.changed(learning_rate=2e-2))
    assert tuned.training is not None
    assert tuned.training.epochs[-1].train_loss < 0.9 * tuned.training.epochs[0].train_loss
    assert tuned.training.target_modules == method.adapted_modules(tiny_base.model)
    folder = tuned.save(tmp_path / "tuned")
    assert emotune.verify(folder, base=tiny_base.source).ok
    again = emotune.load(folder, base=tiny_base.source)
    assert isinstance(again, emotune.TunedClassifier)
    assert again.method == method
    assert torch.equal(logits(again.model), logits(tuned.model))

"""BitFit: what training the biases themselves gives, in PEFT's own wrapping, on every bias of the encoder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import emotune
from emotune.methods.bitfit import BitFit
from emotune.system.errors import ArtifactError, MethodError

from .models import ARCHITECTURES, HIDDEN, INNER, LABELS, LAYERS, draw_trained, logits, make_model

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier
    from emotune.training.options import TrainingOptions

HAVE_BIASES = [kind for kind in ARCHITECTURES if kind != "modernbert"]
# Parameters of pooler and head, by the beginning of their names: written down by hand.
IN_FULL = {
    "albert": ("albert.pooler.", "classifier."),
    "bert": ("bert.pooler.", "classifier."),
    "deberta-v2": ("pooler.", "classifier."),
    "distilbert": ("pre_classifier.", "classifier."),
    "gpt2": ("score.",),
}


def deltas(model: torch.nn.Module, adapter: str = "default") -> dict[str, torch.nn.Parameter]:
    """What is added to each bias, by the bias's own name in the base model."""
    return {
        name.removeprefix("base_model.model.").replace(f"emotune_bitfit_delta.{adapter}", "bias"): parameter
        for name, parameter in model.named_parameters()
        if name.endswith(f".emotune_bitfit_delta.{adapter}")
    }


@pytest.mark.parametrize("kind", HAVE_BIASES)
def test_every_bias_of_the_encoder_is_trained_with_pooler_and_head_in_full_and_nothing_else(kind: str) -> None:
    plain = make_model(kind)
    in_full = IN_FULL.get(kind, ("classifier.",))
    names = [name for name, _ in plain.named_parameters()]
    model = BitFit().apply(make_model(kind), "owner/base")
    assert sorted(deltas(model)) == sorted(n for n in names if n.endswith(".bias") and not n.startswith(in_full))
    others = {
        name.removeprefix("base_model.model.").replace("modules_to_save.default.", "")
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and "emotune_bitfit_delta" not in name
    }
    assert others == {name for name in names if name.startswith(in_full)}


def test_the_number_of_trained_parameters_by_hand() -> None:
    attention = 4 * HIDDEN
    feed_forward = INNER + HIDDEN
    normalizations = 2 * HIDDEN
    embeddings = HIDDEN
    pooler = HIDDEN * HIDDEN + HIDDEN
    head = HIDDEN * LABELS + LABELS
    model: Any = BitFit().apply(make_model(), "owner/base")
    expected = LAYERS * (attention + feed_forward + normalizations) + embeddings + pooler + head
    assert model.get_nb_trainable_parameters()[0] == expected


@pytest.mark.parametrize("kind", HAVE_BIASES)
def test_starts_as_the_base_model(kind: str) -> None:
    assert torch.equal(logits(BitFit().apply(make_model(kind), "owner/base")), logits(make_model(kind)))


@pytest.mark.parametrize("kind", HAVE_BIASES)
def test_logits_and_gradients_are_those_of_the_biases_themselves(kind: str) -> None:
    model = BitFit().apply(make_model(kind), "owner/base")
    draw_trained(model)
    reference = make_model(kind)
    state = reference.state_dict()
    for name, delta in deltas(model).items():
        state[name] = state[name] + delta.detach()
    for name, parameter in model.named_parameters():
        if ".modules_to_save.default." in name:
            own = name.removeprefix("base_model.model.").replace("modules_to_save.default.", "")
            state[own] = parameter.detach()
    reference.load_state_dict(state)

    torch.testing.assert_close(logits(model), logits(reference), rtol=1e-5, atol=1e-5)
    for each in (model, reference):
        logits(each).square().sum().backward()
    biases = dict(reference.named_parameters())
    for name, delta in deltas(model).items():
        assert delta.grad is not None, name
        torch.testing.assert_close(delta.grad, biases[name].grad, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
@pytest.mark.parametrize("layers", [2, 12])
def test_saved_and_loaded_into_a_fresh_base_it_is_the_same(kind: str, layers: int, tmp_path: Path) -> None:
    from peft import PeftModel

    # With many layers PEFT shortens the list of targets.
    depth = {"n_layer": layers} if kind == "gpt2" else {"num_hidden_layers": layers}
    method = BitFit()
    model: Any = method.apply(make_model(kind, **depth), "owner/base")
    draw_trained(model)
    method.save(model, tmp_path)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {file.name for file in tmp_path.iterdir()}
    loaded = method.load(tmp_path, lambda: make_model(kind, **depth))
    assert torch.equal(logits(loaded), logits(model))
    assert torch.equal(logits(PeftModel.from_pretrained(make_model(kind, **depth), tmp_path)), logits(model))


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    method = BitFit()
    method.save(method.apply(make_model(), "owner/base"), tmp_path)
    with pytest.raises(ArtifactError, match="does not fit the base model"):
        method.load(tmp_path, lambda: make_model(hidden_size=16))


class TestAsPeftsUsersExpect:
    @pytest.fixture
    def model(self) -> Any:
        model = BitFit().apply(make_model(), "owner/base")
        draw_trained(model)
        return model

    def test_disabled_adapters_leave_the_base(self, model: Any) -> None:
        tuned = logits(model)
        with model.disable_adapter():
            assert torch.equal(logits(model), logits(make_model()))
        assert torch.equal(logits(model), tuned)

    def test_merged_and_unmerged_again(self, model: Any) -> None:
        tuned = logits(model)
        model.merge_adapter()
        torch.testing.assert_close(logits(model), tuned, rtol=1e-5, atol=1e-5)
        bias = model.get_base_model().bert.encoder.layer[1].output.dense.base_layer.bias
        assert not torch.allclose(bias, make_model().bert.encoder.layer[1].output.dense.bias, atol=1e-2)
        with model.disable_adapter():  # which has to unmerge
            torch.testing.assert_close(logits(model), logits(make_model()), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(logits(model), tuned, rtol=1e-5, atol=1e-5)
        model.merge_adapter()
        model.unmerge_adapter()
        torch.testing.assert_close(logits(model), tuned, rtol=1e-5, atol=1e-5)
        with pytest.warns(UserWarning, match="nothing to unmerge"):
            model.unmerge_adapter()

    def test_merge_and_unload_gives_a_plain_model(self, model: Any) -> None:
        tuned = logits(model)
        plain = model.merge_and_unload(safe_merge=True)
        assert type(plain) is type(make_model())
        assert plain.state_dict().keys() == make_model().state_dict().keys()
        torch.testing.assert_close(logits(plain), tuned, rtol=1e-5, atol=1e-5)

    def test_a_broken_adapter_is_not_merged_safely(self, model: Any) -> None:
        layer = model.get_base_model().bert.encoder.layer[0].output.LayerNorm
        layer.emotune_bitfit_delta["default"].data[3] = torch.nan
        before = layer.base_layer.bias.clone()
        with pytest.raises(ValueError, match="not finite"):
            layer.merge(safe_merge=True)
        assert torch.equal(layer.base_layer.bias, before)
        assert not layer.merged

    def test_several_adapters_side_by_side(self, model: Any) -> None:
        first = logits(model)
        model.add_adapter("second", copy.deepcopy(model.peft_config["default"]))
        assert torch.equal(logits(model), first)
        assert not any(p.requires_grad for p in deltas(model, "second").values())
        model.set_adapter("second")
        assert all(p.requires_grad for p in deltas(model, "second").values())
        assert not any(p.requires_grad for p in deltas(model).values())
        torch.testing.assert_close(logits(model), logits(make_model()))
        for delta in deltas(model, "second").values():
            torch.nn.init.normal_(delta)
        second = logits(model)
        assert not torch.allclose(second, first, atol=1e-2)
        model.set_adapter("default")
        assert torch.equal(logits(model), first)
        model.delete_adapter("second")
        assert torch.equal(logits(model), first)
        assert not deltas(model, "second")

    def test_two_active_adapters_add_up(self, model: Any) -> None:
        model.add_adapter("second", copy.deepcopy(model.peft_config["default"]))
        layer = model.get_base_model().bert.encoder.layer[0].intermediate.dense
        torch.nn.init.normal_(layer.emotune_bitfit_delta["second"])
        layer.set_adapter(["default", "second"])
        x = torch.randn(3, HIDDEN)
        added = layer.emotune_bitfit_delta["default"] + layer.emotune_bitfit_delta["second"]
        torch.testing.assert_close(layer(x), layer.base_layer(x) + added)
        layer.merge()
        torch.testing.assert_close(layer.base_layer(x), layer(x))
        assert layer.merged_adapters == ["default", "second"]


def test_a_layer_without_bias_is_refused_by_the_tuner() -> None:
    from peft import get_peft_model

    from emotune.methods.tuners.bitfit import BitFitConfig

    with pytest.raises(ValueError, match="Embedding has none"):
        get_peft_model(make_model(), BitFitConfig(target_modules=["word_embeddings"]))


def test_an_encoder_without_biases_is_refused() -> None:
    model = make_model("modernbert")
    with pytest.raises(MethodError, match="encoder of this 'modernbert' has no biases"):
        BitFit().apply(model, "owner/base")
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_biases_that_no_layer_adds_to_its_output_are_refused() -> None:
    from transformers import DebertaConfig, DebertaForSequenceClassification

    sizes: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
    model = DebertaForSequenceClassification(DebertaConfig(**sizes, intermediate_size=24))
    with pytest.raises(MethodError, match=r"does not know what \S+bias of 'deberta' is added to"):
        BitFit().apply(model, "owner/base")


def test_must_move_names_every_delta_and_the_head_but_nothing_frozen() -> None:
    model = BitFit().apply(make_model(), "owner/base")
    assert BitFit().must_move(model).keys() == {n for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.slow
def test_trains_saves_loads_and_verifies(
    tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions, tmp_path: Path
) -> None:
    tuned = emotune.finetune(tiny_base, tiny_data, BitFit(), tiny_options)
    assert tuned.training is not None
    # Biases alone do little for random weights; that the loss falls at all shows that they are wired up.
    assert tuned.training.epochs[-1].train_loss < tuned.training.epochs[0].train_loss - 0.02
    assert tuned.training.target_modules == BitFit().adapted_modules(tiny_base.model)
    folder = tuned.save(tmp_path / "tuned")
    assert emotune.verify(folder, base=tiny_base.source).ok
    again = emotune.load(folder, base=tiny_base.source)
    assert isinstance(again, emotune.TunedClassifier)
    assert again.method == BitFit()
    assert torch.equal(logits(again.model), logits(tuned.model))

"""Merged models: plain transformers, the same logits as before, and the tuned model left as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from emotune.folder.load import load_saved
from emotune.methods.adalora import AdaLoRA
from emotune.methods.base import Method
from emotune.methods.bitfit import BitFit
from emotune.methods.bottleneck import Bottleneck
from emotune.methods.full import FullFineTuning
from emotune.methods.head import HeadOnly
from emotune.methods.ia3 import IA3
from emotune.methods.lora import LoRA
from emotune.methods.lora_variants import DoRA, LoRAPlus, PiSSA
from emotune.methods.prompts import PrefixTuning, PromptTuning
from emotune.methods.qlora import QLoRA
from emotune.methods.refusals import REFUSED
from emotune.methods.registry import METHODS
from emotune.methods.vera import VeRA
from emotune.system.errors import MethodError
from emotune.training.finetune import finetune

from ..tiny_models import CONFIGS, make_config

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from emotune.data.dataset import TextDataset
    from emotune.folder.tuned import TunedClassifier
    from emotune.models.classifier import Classifier
    from emotune.training.options import TrainingOptions

MERGED: dict[str, Method] = {
    "lora": LoRA(r=2),
    "lora, rslora and dropout": LoRA(r=4, rslora=True, dropout=0.1),
    "qlora": QLoRA(r=2),
    "dora": DoRA(r=2),
    "pissa": PiSSA(r=2),
    "lora-plus": LoRAPlus(r=2),
    "adalora": AdaLoRA(r=2),
    "vera": VeRA(r=8),
    "ia3": IA3(),
    "bitfit": BitFit(),
    "head": HeadOnly(),
    "full": FullFineTuning(),
}
NOT_MERGED: tuple[Method, ...] = (
    Bottleneck(size=4),
    Bottleneck(size=4, placement="pfeiffer", activation="relu"),
    PrefixTuning(tokens=2),
    PromptTuning(tokens=2),
)
CELLS = [
    (name, family) for name, method in MERGED.items() for family in CONFIGS if (method.name, family) not in REFUSED
]


def make_base(family: str = "bert") -> PreTrainedModel:
    """A tiny classifier of random weights, biases among them."""
    from transformers import AutoModelForSequenceClassification

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = make_config(family, 60, num_labels=3, **({"pad_token_id": 0} if family == "gpt2" else {}))
        model = AutoModelForSequenceClassification.from_config(config).eval()
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                nn.init.normal_(parameter, std=0.1)
    model.name_or_path = "owner/base"
    return model


def make_tuned(method: Method, family: str = "bert") -> Any:
    """A model whose trained weights have moved."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model: Any = method.apply(make_base(family), "owner/base").eval()
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn_like(parameter)
    return model


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    """Logits of three texts of 3 to 9 tokens, padded by what the model takes for padding."""
    texts = [[5, 9, 12, 40, 7, 8, 31, 22, 6], [7, 50, 30, 8], [11, 12, 13]]
    padding = model.config.pad_token_id
    ids = torch.tensor([text + [padding] * (9 - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (9 - len(text)) for text in texts])
    found: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits
    return found


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert float((found - expected).norm() / expected.norm()) < 1e-5


def assert_plain(merged: nn.Module, base: PreTrainedModel) -> None:
    """The base's own class and modules, in float32, nothing frozen, in evaluation mode."""
    assert type(merged) is type(base)
    assert [type(part) for part in merged.modules()] == [type(part) for part in base.modules()]
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in merged.state_dict().items()} == {
        name: (tensor.shape, tensor.dtype) for name, tensor in base.state_dict().items()
    }
    assert all(type(p) is nn.Parameter and p.requires_grad and p.dtype == torch.float32 for p in merged.parameters())
    assert not any(part.training for part in merged.modules())
    assert vars(merged).keys() <= vars(base).keys() | {"is_loaded_in_4bit"}


def reloaded(merged: Any, folder: Path) -> Any:
    from transformers import AutoModelForSequenceClassification

    merged.save_pretrained(folder)
    assert not list(folder.glob("adapter*"))
    return AutoModelForSequenceClassification.from_pretrained(folder).eval()


def test_every_method_is_tried() -> None:
    assert {method.name for method in (*MERGED.values(), *NOT_MERGED)} == set(METHODS)


@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, id="-".join(cell), marks=() if "bert" in cell else pytest.mark.slow) for cell in CELLS],
)
def test_is_a_plain_model_of_the_same_logits(cell: tuple[str, str], tmp_path: Path) -> None:
    name, family = cell
    method = MERGED[name]
    base, tuned = make_base(family), make_tuned(method, family)
    before = logits(tuned)
    assert (before - logits(base)).abs().max() > 1e-3
    state = {key: tensor.clone() for key, tensor in tuned.state_dict().items()}
    frozen = {key: parameter.requires_grad for key, parameter in tuned.named_parameters()}

    merged: Any = method.merge(tuned)

    assert_plain(merged, base)
    assert_close(logits(merged), before)
    assert torch.equal(logits(reloaded(merged, tmp_path)), logits(merged))
    # The tuned model is as it was, and stands on memory of its own.
    assert torch.equal(logits(tuned), before)
    assert all(torch.equal(tensor, state[key]) for key, tensor in tuned.state_dict().items())
    assert frozen == {key: parameter.requires_grad for key, parameter in tuned.named_parameters()}
    for parameter in merged.parameters():
        parameter.data.zero_()
    assert torch.equal(logits(tuned), before)


def test_layers_that_are_shared_are_merged_once() -> None:
    """ALBERT's layers are one layer: its weight moves by the adapter, and by no multiple of it."""
    tuned = make_tuned(LoRA(r=2), "albert")
    layer = tuned.get_submodule("base_model.model.albert.encoder.albert_layer_groups.0.albert_layers.0.ffn")
    expected = layer.base_layer.weight + layer.get_delta_weight("default")
    merged = LoRA(r=2).merge(tuned)
    found = merged.get_parameter("albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight")
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_frozen_weights_in_half_precision_become_float32_before_anything_is_added() -> None:
    tuned = make_tuned(LoRA(r=2))
    for parameter in tuned.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.bfloat16()
    merged: Any = LoRA(r=2).merge(tuned)
    assert_plain(merged, make_base())
    layer = tuned.get_submodule("base_model.model.bert.encoder.layer.0.output.dense")
    expected = layer.base_layer.weight.float() + layer.get_delta_weight("default")
    torch.testing.assert_close(merged.bert.encoder.layer[0].output.dense.weight, expected, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("method", [LoRA(r=2), PiSSA(r=2), AdaLoRA(r=2), QLoRA(r=2)], ids=lambda method: method.name)
def test_of_a_trained_model_and_of_its_folder(
    method: Method, tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions, tmp_path: Path
) -> None:
    tuned = finetune(tiny_base, tiny_data, method, tiny_options.changed(epochs=2))
    texts = tuned.tokenizer(list(tiny_data.test.texts), padding=True, return_tensors="pt")

    @torch.no_grad()
    def of(model: Any) -> torch.Tensor:
        found: torch.Tensor = model(**texts).logits
        return found

    before = of(tuned.model)
    assert (before - of(tiny_base.model)).abs().max() > 0.1
    merged = method.merge(tuned.model)
    assert_plain(merged, tiny_base.model)
    assert_close(of(merged), before)
    assert torch.equal(of(tuned.model), before)
    assert merged.config.id2label == dict(enumerate(tiny_data.labels))
    assert torch.equal(of(reloaded(merged, tmp_path / "merged")), of(merged))

    saved = load_saved(tuned.save(tmp_path / "saved"), base=tiny_base.source)
    assert_close(of(saved.method.merge(saved.model)), before)


@pytest.mark.parametrize("method", NOT_MERGED, ids=lambda method: f"{method.name}")
def test_what_cannot_be_merged_is_refused_with_its_reason(method: Method) -> None:
    tuned = make_tuned(method)
    before = logits(tuned)
    with pytest.raises(MethodError) as raised:
        method.merge(tuned)
    message = str(raised.value)
    assert message.startswith(f"A model with {method.title}")
    assert "no weight can express them" in message
    assert "Predict with emotune itself, or train with a method that can be merged, such as lora." in message
    assert len(message.splitlines()) == 1
    assert torch.equal(logits(tuned), before)


@pytest.mark.parametrize("name", ["lora", "qlora", "ia3", "bitfit", "vera", "adalora", "dora"])
def test_weights_that_are_not_numbers_are_refused(name: str) -> None:
    method = MERGED[name]
    tuned = make_tuned(method)
    broken = next(p for key, p in tuned.named_parameters() if p.requires_grad and ".layer.1." in key)
    broken.data.fill_(torch.nan)
    with pytest.raises(
        MethodError, match=rf"^{re.escape(method.title)} cannot be merged: .*Load or train the model again\.$"
    ):
        method.merge(tuned)


def test_a_base_model_s_weights_can_be_trained_on_from_there(tiny_tuned: TunedClassifier) -> None:
    """Nothing of PEFT is left that would keep a second stage from starting."""
    merged = tiny_tuned.method.merge(tiny_tuned.model)
    merged.name_or_path = "owner/base"
    again: Any = LoRA(r=2).apply(merged, "owner/base")
    assert any("lora_A" in name for name, _ in again.named_parameters())

"""QLoRA: four-bit weights as the paper defines them, the function that transformers and PEFT build, layers that predicting leaves alone."""

from __future__ import annotations

import copy
import importlib.util
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from emotune.folder.check import plain_logits
from emotune.folder.load import load
from emotune.methods.base import Method
from emotune.methods.lora import LoRA
from emotune.methods.qlora import QLoRA
from emotune.models.families import encoder_linear_modules
from emotune.models.quantization import element_count, quantize
from emotune.system.errors import MethodError
from emotune.training.finetune import finetune

from .test_lora import logits, make_model, trained

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.models.classifier import Classifier
    from emotune.training.options import TrainingOptions


def apply(method: Method, model: Any = None, seed: int = 1) -> Any:
    torch.manual_seed(seed)
    return method.apply(make_model() if model is None else model, "owner/base")


def stir(model: nn.Module) -> None:
    """Moves everything that is trained, as training would."""
    torch.manual_seed(2)
    with torch.no_grad():
        for _, parameter in sorted(trained(model).items()):
            parameter.add_(0.1 * torch.randn_like(parameter))


def normal_float_codes() -> np.ndarray:
    """The sixteen values of NF4, from appendix E of the paper: quantiles of the normal distribution, zero among them."""
    tail = (1 - 1 / 30 + 1 - 1 / 32) / 2
    positive = norm.ppf(np.linspace(tail, 0.5, 9)[:-1])
    negative = -norm.ppf(np.linspace(tail, 0.5, 8)[:-1])
    codes = np.sort(np.concatenate([positive, [0.0], negative]))
    return codes / np.abs(codes).max()


def test_weights_are_the_nearest_values_of_nf4() -> None:
    import bitsandbytes

    layer = nn.Linear(64, 32)
    model = nn.Sequential(layer)
    weight = layer.weight.detach().numpy().reshape(-1, 64)
    quantize(model, ["0"], double=False)
    stored: Any = model[0].weight
    found = bitsandbytes.functional.dequantize_4bit(stored.data, stored.quant_state).numpy().reshape(-1, 64)
    scale = np.abs(weight).max(axis=1, keepdims=True)
    codes = normal_float_codes()
    nearest = codes[np.abs(weight[..., None] / scale[..., None] - codes).argmin(axis=-1)] * scale
    np.testing.assert_allclose(found, nearest, rtol=1e-5, atol=1e-7)
    assert stored.numel() == 64 * 32 // 2
    assert element_count(stored) == 64 * 32


@pytest.mark.parametrize("double_quant", [True, False])
def test_is_what_transformers_and_peft_build(double_quant: bool, tmp_path: Path) -> None:
    import bitsandbytes
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig

    plain = make_model()
    plain.save_pretrained(tmp_path / "base")
    method = QLoRA(r=4, double_quant=double_quant)
    ours = apply(method, plain)
    stir(ours)
    method.save(ours, tmp_path / "saved")
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=double_quant,
        llm_int8_skip_modules=["bert.pooler", "classifier"],
    )
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base", quantization_config=settings)
    layers = [module for module in base.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert len(layers) == len(encoder_linear_modules(make_model()))
    for layer in layers:
        # Else they are repacked for prediction on processors that multiply bf16, with rounded scales.
        layer.support_avx512bf16_for_cpu = False
    reference = PeftModel.from_pretrained(base, str(tmp_path / "saved"))
    assert torch.equal(logits(ours), logits(reference))
    loaded = method.load(tmp_path / "saved", make_model)
    assert torch.equal(logits(ours), logits(loaded))


def test_trains_what_lora_trains_on_weights_that_are_near_the_original() -> None:
    ours, lora = apply(QLoRA(r=4)), apply(LoRA(r=4))
    assert trained(ours).keys() == trained(lora).keys()
    for key, parameter in trained(ours).items():
        assert torch.equal(parameter, trained(lora)[key]), key
    assert 0 < float((logits(ours) - logits(lora)).abs().max()) < 0.1


def test_gradients_are_those_of_the_weights_that_it_computes_with() -> None:
    import bitsandbytes

    layer = nn.Linear(64, 32)
    model = nn.Sequential(layer)
    x = torch.randn(5, 64, requires_grad=True)
    quantize(model, ["0"], double=True)
    stored: Any = model[0].weight
    weight = bitsandbytes.functional.dequantize_4bit(stored.data, stored.quant_state)
    model(x).square().sum().backward()
    found, x.grad = x.grad, None
    nn.functional.linear(x, weight, layer.bias.detach()).square().sum().backward()
    torch.testing.assert_close(found, x.grad)


def test_predicting_and_low_precision_leave_the_layers_as_they_were() -> None:
    model = apply(QLoRA(r=4))
    stir(model)
    before = logits(model)
    with torch.autocast("cpu", torch.bfloat16):
        low = logits(model)
    assert not torch.equal(low.float(), before)
    torch.testing.assert_close(low.float(), before, rtol=0.1, atol=0.05)
    assert torch.equal(logits(model), before)
    model.train()
    ids = torch.tensor([[5, 9, 12, 40]])
    model(input_ids=ids).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in trained(model).values())


def test_the_record_counts_packed_weights_as_what_they_stand_for(
    tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions
) -> None:
    record = finetune(tiny_base, tiny_data, QLoRA(r=2), tiny_options.changed(epochs=1)).training
    lora = LoRA(r=2).apply(copy.deepcopy(tiny_base.model), "owner/base")
    assert record is not None
    assert record.trainable_parameters == sum(parameter.numel() for parameter in trained(lora).values())
    assert record.total_parameters == sum(
        parameter.numel() for name, parameter in lora.named_parameters() if "original_module" not in name
    )


@pytest.mark.slow
def test_trains_in_bf16_without_touching_the_packed_weights(
    tiny_base: Classifier, tiny_data: TextDataset, tiny_options: TrainingOptions, tmp_path: Path
) -> None:
    tuned = finetune(tiny_base, tiny_data, QLoRA(r=2), tiny_options.changed(epochs=1, precision="bf16"))
    texts = list(tiny_data.test.texts[:6])
    tuned.save(tmp_path / "saved")
    again = load(tmp_path / "saved", base=tiny_base.source)
    np.testing.assert_allclose(plain_logits(again, texts), plain_logits(tuned, texts), rtol=0, atol=1e-5)


def test_refuses_layers_that_are_not_linear() -> None:
    with pytest.raises(MethodError, match="Conv1D"):
        apply(QLoRA(r=2), make_model("gpt2"))


def test_without_bitsandbytes_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Classifier, tiny_data: TextDataset
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "bitsandbytes" else real(name, *a)
    )
    with pytest.raises(MethodError, match=r"pip install 'emotune\[qlora\]'"):
        finetune(tiny_base, tiny_data, QLoRA())


def test_memory_of_the_quantized_weights() -> None:
    model = make_model()
    names = encoder_linear_modules(model)
    numbers = sum(model.get_parameter(f"{name}.weight").numel() for name in names)
    quantize(model, names, double=True)
    stored: list[Any] = [model.get_parameter(f"{name}.weight") for name in names]
    assert sum(weight.nbytes for weight in stored) == math.ceil(numbers / 2)

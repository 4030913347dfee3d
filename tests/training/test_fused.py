"""The fused LoRA layer against plain PEFT: equal logits, loss and gradients in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from emotune.methods.lora import LoRA
from emotune.models.load import load_base
from emotune.training.fused import fuse_lora

LABELS = ("a", "b", "c")


def _model(folder: Path, method: LoRA) -> torch.nn.Module:
    """A tuned-looking model: B is drawn at random, since with B zero half of the gradients vanish."""
    base = load_base(folder, labels=LABELS, max_length=32)
    torch.manual_seed(1)
    model = method.apply(base.model, base.name)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def _batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(2)
    mask = torch.ones(5, 12, dtype=torch.long)
    mask[1, 7:] = 0
    return {"input_ids": torch.randint(5, 60, (5, 12)), "attention_mask": mask}


def _run(model: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    logits = model(**_batch()).logits
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0, 1]))
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    return logits.detach(), loss.detach(), gradients


@pytest.mark.parametrize(
    "method",
    [LoRA(r=4), LoRA(r=8, alpha=3.0), LoRA(r=4, rslora=True), LoRA(r=2, target_modules=("query", "output.dense"))],
    ids=["default", "alpha", "rslora", "some targets"],
)
def test_equals_plain_peft_in_float32(tiny_bert: Path, method: LoRA) -> None:
    plain, fused = _model(tiny_bert, method).eval(), _model(tiny_bert, method).eval()
    covered, total = fuse_lora(fused)
    assert covered == total > 0

    logits, loss, gradients = _run(plain)
    fused_logits, fused_loss, fused_gradients = _run(fused)

    torch.testing.assert_close(fused_logits, logits, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(fused_loss, loss, rtol=1e-5, atol=0)
    assert gradients.keys() == fused_gradients.keys()
    for name, gradient in gradients.items():
        error = (fused_gradients[name] - gradient).norm() / gradient.norm()
        assert error < 1e-5, f"{name}: relative error {error:.1e}"


def test_is_close_to_float32_in_bfloat16(tiny_bert: Path) -> None:
    exact, low = _model(tiny_bert, LoRA(r=4)).eval(), _model(tiny_bert, LoRA(r=4)).eval()
    for parameter in low.parameters():
        if not parameter.requires_grad and parameter.ndim == 2:
            parameter.data = parameter.data.bfloat16()
    fuse_lora(low)
    _, _, gradients = _run(exact)
    with torch.autocast("cpu", torch.bfloat16):
        _, _, low_gradients = _run(low)
    for name, gradient in gradients.items():
        assert low_gradients[name].dtype == torch.float32
        cosine = torch.nn.functional.cosine_similarity(low_gradients[name].flatten(), gradient.flatten(), dim=0)
        assert cosine > 0.99, f"{name}: cosine {cosine:.4f}"


def test_passes_torch_gradcheck() -> None:
    from emotune.training.fused import _FusedLoRA

    torch.manual_seed(0)
    x, a, b = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((6, 5), (2, 5), (4, 2)))
    weight, bias = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x, a, b: _FusedLoRA.apply(x, weight, bias, a, b, 0.7), (x, a, b))


def test_a_layer_it_does_not_cover_keeps_pefts_forward(tiny_bert: Path) -> None:
    plain, fused = _model(tiny_bert, LoRA(r=4, dropout=0.2)).eval(), _model(tiny_bert, LoRA(r=4, dropout=0.2)).eval()
    assert fuse_lora(fused)[0] == 0
    torch.testing.assert_close(_run(fused)[0], _run(plain)[0], rtol=0, atol=0)

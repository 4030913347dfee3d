"""Variants of LoRA: with a magnitude vector (DoRA), another initialization (PiSSA) or two learning rates (LoRA+)."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from emotune.methods.lora import LowRank
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import nn
    from transformers import PreTrainedModel


class DoRA(LowRank):
    """Weight-decomposed LoRA (Liu et al., 2024, arXiv 2402.09353): LoRA for the rows' directions, and magnitudes.

    Row i of an adapted weight W becomes m_i v_i / ||v_i|| with v = W + (alpha / r) B A. The magnitudes m start as the
    norms of W's rows. At low rank, DoRA is closer to full fine-tuning than LoRA. It is slower, since it recomputes the
    norms at every step.
    """

    title: ClassVar[str] = "DoRA"
    moving: ClassVar[tuple[str, ...]] = (".lora_B.", ".lora_magnitude_vector.")

    name: Literal["dora"] = "dora"

    def peft_config(self, model: PreTrainedModel) -> LoraConfig:
        """Return PEFT's LoRA configuration with magnitudes."""
        config = super().peft_config(model)
        config.use_dora = True
        return config


class PiSSA(LowRank):
    """LoRA that starts from the principal singular vectors (Meng et al., 2024, arXiv 2404.02948).

    A and B start as the first r singular directions of each weight, and the rest of the weight is frozen. So training
    begins in the directions that matter most. The saved adapter is ordinary LoRA of rank 2 r on the unchanged base, and
    computes the same function: the trained adapter minus the initial one.
    """

    title: ClassVar[str] = "PiSSA"
    learning_rate: ClassVar[float] = 1e-3
    moving: ClassVar[tuple[str, ...]] = (".lora_A.", ".lora_B.")

    name: Literal["pissa"] = "pissa"
    alpha: Annotated[
        float | None,
        Field(gt=0, description="Numerator of the adapters' scale; the rank if not given, as in the paper."),
    ] = None

    @property
    def scale_numerator(self) -> float:
        """Alpha, with its default of the rank filled in."""
        return float(self.r) if self.alpha is None else self.alpha

    def peft_config(self, model: PreTrainedModel) -> LoraConfig:
        """Return PEFT's LoRA configuration with a fast, nearly exact singular value decomposition of 16 iterations."""
        config = super().peft_config(model)
        config.init_lora_weights = "pissa_niter_16"
        return config

    def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
        """Return the model as for LoRA, with the initial A and B kept in it for saving.

        Raises:
            MethodError: As for LoRA, or a weight has fewer singular vectors than the rank.
        """
        sides = {name: min(model.get_parameter(f"{name}.weight").shape) for name in self.adapted_modules(model)}
        narrow = min(sides, key=sides.__getitem__)
        if self.r > sides[narrow]:
            raise MethodError(
                f"PiSSA of rank {self.r} needs as many singular vectors, and {narrow} has {sides[narrow]}. Lower the rank."
            )
        wrapped: Any = super().apply(model, base_model_name)
        wrapped.started_as = {name: tensor.clone() for name, tensor in _adapter(wrapped).items() if ".lora_" in name}
        return wrapped

    def save(self, model: Any, folder: Path) -> None:
        """Write the change since the start as LoRA of rank 2 r: (B, -B0) (A, A0)', with the same scale.

        A loaded model has such an adapter already, which is written unchanged.
        """
        import torch
        from safetensors.torch import save_file

        started_as = getattr(model, "started_as", None)
        if started_as is None:
            super().save(model, folder)
            return
        weights = _adapter(model)
        for name, tensor in started_as.items():
            start = tensor.to(weights[name].device)
            if ".lora_A." in name:
                weights[name] = torch.cat([weights[name], start])
            else:
                weights[name] = torch.cat([weights[name], -start], dim=1)
        config = copy.deepcopy(model.peft_config["default"])
        config.r = 2 * self.r
        config.lora_alpha = self.scale_numerator * (math.sqrt(2) if self.rslora else 2)
        config.init_lora_weights = True
        config.inference_mode = True
        folder.mkdir(parents=True, exist_ok=True)
        config.save_pretrained(str(folder))
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / self.files[0])

    def save_checkpoint(self, model: Any, folder: Path) -> None:
        """Write the adapter in its trained form, for resuming and for restoring the best epoch of the same model."""
        super().save(model, folder)


class LoRAPlus(LowRank):
    """LoRA with a higher learning rate for B than for A (Hayou et al., 2024, arXiv 2402.12354). Saved as plain LoRA."""

    title: ClassVar[str] = "LoRA+"
    learning_rate: ClassVar[float] = 5e-4

    name: Literal["lora-plus"] = "lora-plus"
    ratio: float = Field(default=4.0, ge=1, description="Learning rate of B over that of A, pooler and head.")

    def parameter_groups(self, model: nn.Module, learning_rate: float) -> list[dict[str, Any]]:
        """Return two groups: A, pooler and head at the rate, and B at `ratio` times the rate."""
        trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        return [
            {"params": [p for name, p in trained if ".lora_B." not in name], "lr": learning_rate},
            {"params": [p for name, p in trained if ".lora_B." in name], "lr": learning_rate * self.ratio},
        ]


def _adapter(model: Any) -> dict[str, Any]:
    """Return the tensors of a model that PEFT saves, unchanged."""
    from peft import get_peft_model_state_dict

    return {
        name: tensor.detach() for name, tensor in get_peft_model_state_dict(model, save_embedding_layers=False).items()
    }

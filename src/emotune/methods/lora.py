"""LoRA: low-rank adapters of frozen linear layers (Hu et al., 2021, arXiv 2106.09685), through PEFT."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from emotune.methods.base import Alpha, Dropout, LinearMethod
from emotune.models.targets import ALL_LINEAR, Targets

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel


class LowRank(LinearMethod):
    """Base class of LoRA and its variants: their options, and PEFT's LoRA configuration.

    Adapters are on every linear layer of the encoder ("all-linear"), unless `target_modules` says otherwise.
    """

    moving: ClassVar[tuple[str, ...]] = (".lora_B.",)
    learning_rate: ClassVar[float] = 1e-3

    r: int = Field(default=16, ge=1, description="Rank of the adapters.")
    alpha: Alpha = None
    dropout: Dropout = 0.0
    target_modules: Targets = ALL_LINEAR
    rslora: bool = Field(
        default=False,
        description="Scale by alpha over the square root of the rank, not over the rank; useful at high rank.",
    )

    @property
    def scale_numerator(self) -> float:
        """Alpha, with its default of twice the rank filled in."""
        return 2.0 * self.r if self.alpha is None else self.alpha

    @property
    def usual_learning_rate(self) -> float:
        """The method's rate; with rslora, divided by the scale's ratio to the default without rslora, if above 1."""
        if not self.rslora:
            return self.learning_rate
        plain = self.changed(alpha=None).scale_numerator / self.r
        return self.learning_rate * min(1.0, plain * math.sqrt(self.r) / self.scale_numerator)

    def options(self) -> dict[str, Any]:
        """Return the options by name, with alpha's default filled in."""
        return {**super().options(), "alpha": self.scale_numerator}

    def peft_config(self, model: PreTrainedModel) -> LoraConfig:
        """Return PEFT's LoRA configuration. Adapters start without effect: B is zero, A is random."""
        from peft import LoraConfig

        return LoraConfig(
            r=self.r,
            lora_alpha=self.scale_numerator,
            lora_dropout=self.dropout,
            use_rslora=self.rslora,
            bias="none",
            **self.shared_options(model),
        )


class LoRA(LowRank):
    """Low-rank adaptation: each adapted layer W x becomes W x + (alpha / r) B A x.

    Only A, B and the head are trained, and BERT's pooler with the head. `rslora` scales by alpha / sqrt(r) instead
    (Kalajdzievski, 2023, arXiv 2312.03732).
    """

    title: ClassVar[str] = "LoRA"

    name: Literal["lora"] = "lora"

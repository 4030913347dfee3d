"""LoRA: low-rank adapters beside frozen linear layers (Hu et al., 2021, arXiv 2106.09685), through PEFT."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from emotune.methods.base import LinearMethod, check_alpha, check_dropout, check_rank
from emotune.models.targets import ALL_LINEAR

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class LoRA(LinearMethod):
    """Low-rank adaptation: each adapted layer W x becomes W x + (alpha / r) B A x.

    Only A, B and the head are trained, and with the head BERT's pooler.

    Attributes:
        r: Rank of the adapters. Quality depends on it little; size and time a little more.
        alpha: Numerator of the scale; None stands for 2 r.
        dropout: Dropout on the adapters' input.
        target_modules: "all-linear" for every linear layer of the encoder, a list of names, or a regular expression over
            full module names.
        rslora: Scale by alpha / sqrt(r) instead (Kalajdzievski, 2023, arXiv 2312.03732): matters at high rank.

    Raises:
        MethodError: A value out of range; all mistakes at once.
    """

    key: ClassVar[str] = "lora"
    name: ClassVar[str] = "LoRA"
    learning_rate: ClassVar[float] = 1e-3
    moving: ClassVar[tuple[str, ...]] = (".lora_B.",)

    r: int = 16
    alpha: float | None = None
    dropout: float = 0.0
    target_modules: str | Sequence[str] = ALL_LINEAR
    rslora: bool = False

    def mistakes(self) -> Iterator[str]:
        """Values out of range."""
        yield from check_rank(self.r)
        yield from check_alpha(self.alpha)
        yield from check_dropout(self.dropout)

    @property
    def scale_numerator(self) -> float:
        """Alpha, with its default of twice the rank filled in."""
        return 2.0 * self.r if self.alpha is None else self.alpha

    @property
    def usual_learning_rate(self) -> float:
        """The method's own; with rslora less by as much as the scale is more than the default alpha gives without it."""
        if not self.rslora:
            return self.learning_rate
        plain = replace(self, alpha=None).scale_numerator / self.r
        return self.learning_rate * min(1.0, plain * math.sqrt(self.r) / self.scale_numerator)

    def options(self) -> dict[str, Any]:
        """The options by name, with alpha's default filled in."""
        return {**super().options(), "alpha": self.scale_numerator}

    def peft_config(self, model: PreTrainedModel) -> LoraConfig:
        """PEFT's LoRA configuration. Adapters start at zero effect: B is zero, A is random."""
        from peft import LoraConfig

        return LoraConfig(
            r=self.r,
            lora_alpha=self.scale_numerator,
            lora_dropout=self.dropout,
            use_rslora=self.rslora,
            bias="none",
            **self.shared_options(model),
        )

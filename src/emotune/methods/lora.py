"""LoRA: low-rank adapters beside frozen linear layers (Hu et al., 2021, arXiv 2106.09685), through PEFT."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from emotune.errors import MethodError
from emotune.methods.base import PeftMethod
from emotune.methods.targets import ALL_LINEAR, resolve_targets

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class LoRA(PeftMethod):
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

    def __post_init__(self) -> None:
        if not isinstance(self.target_modules, str):
            object.__setattr__(self, "target_modules", tuple(self.target_modules))
        mistakes = []
        if not isinstance(self.r, int) or self.r < 1:
            mistakes.append(f"the rank r is {self.r}; expected a whole number of at least 1")
        if self.alpha is not None and not 0 < self.alpha < math.inf:
            mistakes.append(f"alpha is {self.alpha}; expected a number above 0, or none for twice the rank")
        if not 0 <= self.dropout < 1:
            mistakes.append(f"dropout is {self.dropout}; expected a share from 0 up to, not including, 1")
        if mistakes:
            raise MethodError("LoRA cannot be built: " + "; ".join(mistakes) + ".")

    @property
    def scale_numerator(self) -> float:
        """Alpha, with its default of twice the rank filled in."""
        return 2.0 * self.r if self.alpha is None else self.alpha

    def options(self) -> dict[str, Any]:
        """The options by name, with alpha's default filled in."""
        return {**super().options(), "alpha": self.scale_numerator}

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """The linear layers that `target_modules` matches."""
        from emotune.models.families import encoder_linear_modules

        return resolve_targets(encoder_linear_modules(model), self.target_modules)

    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """PEFT's LoRA configuration. Adapters start at zero effect: B is zero, A is random."""
        from peft import LoraConfig

        from emotune.models.families import head_modules, pooler_modules

        return LoraConfig(
            r=self.r,
            lora_alpha=self.scale_numerator,
            lora_dropout=self.dropout,
            use_rslora=self.rslora,
            target_modules=list(self.adapted_modules(model)),
            modules_to_save=[*pooler_modules(model), *head_modules(model)],
            # GPT-2's Conv1D keeps its weight transposed, and PEFT wants to be told.
            fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),
            bias="none",
        )

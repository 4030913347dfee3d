"""LoRA: low-rank adapters beside frozen linear layers (Hu et al., 2021, arXiv 2106.09685), through PEFT."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emotune.errors import MethodError
from emotune.methods.targets import ALL_LINEAR, resolve_targets

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class LoRA:
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
    def name(self) -> str:
        """The method's name."""
        return "LoRA"

    @property
    def scale_numerator(self) -> float:
        """Alpha, with its default of twice the rank filled in."""
        return 2.0 * self.r if self.alpha is None else self.alpha

    def apply(self, model: PreTrainedModel, base_model_name: str) -> PeftModel:
        """Put adapters into a base model, in place; give it a copy where the base is still needed.

        Adapters start at zero effect (B is zero; A is drawn from the global random generator). Head and pooler are trained in full.

        Args:
            model: A sequence classifier.
            base_model_name: The name that the adapter's configuration gives its base model: a Hub id.

        Returns:
            The PEFT model around `model`, all but adapters and head frozen.

        Raises:
            MethodError: A target that matches no linear layer, or a model without a head to train.
        """
        from peft import LoraConfig, TaskType, get_peft_model

        from emotune.models.families import encoder_linear_modules, head_modules, pooler_modules

        config = LoraConfig(
            task_type=TaskType.SEQ_CLS,
            base_model_name_or_path=base_model_name,
            r=self.r,
            lora_alpha=self.scale_numerator,
            lora_dropout=self.dropout,
            use_rslora=self.rslora,
            target_modules=list(resolve_targets(encoder_linear_modules(model), self.target_modules)),
            modules_to_save=[*pooler_modules(model), *head_modules(model)],
            # GPT-2's Conv1D keeps its weight transposed, and PEFT wants to be told.
            fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),
            bias="none",
        )
        wrapped = get_peft_model(model, config)
        # get_peft_model names the base after the path it was loaded from, which is this machine's affair.
        wrapped.peft_config["default"].base_model_name_or_path = base_model_name
        return wrapped

"""IA3: scales on keys, values and the feed-forward block (Liu et al., 2022, arXiv 2205.05638), through PEFT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from emotune.methods.base import PeftMethod, head_and_pooler
from emotune.models.targets import resolve_targets
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class IA3(PeftMethod):
    """Multiply keys, values, and what goes into the feed-forward block's second layer by trained vectors, which start at one.

    A few thousand numbers beside the head. Where query, key and value are one layer, as in GPT-2, the query is scaled with them.

    Attributes:
        target_modules: The layers whose outputs are scaled, in place of keys and values, and feed-forward layers whose inputs are: as for
            LoRA. None for the family's. Where it cannot be told which layers end the feed-forward block, the outputs of all are scaled.
    """

    key: ClassVar[str] = "ia3"
    name: ClassVar[str] = "IA3"
    learning_rate: ClassVar[float] = 2e-2
    moving: ClassVar[tuple[str, ...]] = (".ia3_l.",)

    target_modules: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.target_modules is not None and not isinstance(self.target_modules, str):
            object.__setattr__(self, "target_modules", tuple(self.target_modules))
        super().__post_init__()

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Key, value and the layer that ends the feed-forward block, or what `target_modules` names."""
        from emotune.models.families import encoder_linear_modules, role_modules

        if self.target_modules is not None:
            return resolve_targets(encoder_linear_modules(model), self.target_modules)
        return role_modules(model, "key", "value", "outer")

    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """PEFT's IA3 configuration: vectors on the inputs of feed-forward layers, on the outputs of the others."""
        from peft import IA3Config

        from emotune.models.families import role_modules

        adapted = self.adapted_modules(model)
        try:
            ending = set(role_modules(model, "outer"))
        except MethodError:  # an unknown architecture, whose layers the user has named: all are scaled at their outputs
            if self.target_modules is None:
                raise
            ending = set()
        return IA3Config(
            target_modules=list(adapted),
            feedforward_modules=[name for name in adapted if name in ending],
            modules_to_save=head_and_pooler(model),
            fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),
        )

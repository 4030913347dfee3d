"""IA3: scales on keys, values and the feed-forward block (Liu et al., 2022, arXiv 2205.05638), through PEFT."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from emotune.methods.base import PeftMethod, head_and_pooler
from emotune.models.families import encoder_linear_modules, role_modules
from emotune.models.targets import Targets, resolve_targets
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel


class IA3(PeftMethod):
    """Multiply keys, values, and the input of the second feed-forward layer by trained vectors, which start at one.

    These are a few thousand parameters in addition to the head. If query, key and value are one layer, as in GPT-2, the
    query is scaled with them.
    """

    title: ClassVar[str] = "IA3"
    learning_rate: ClassVar[float] = 2e-2
    moving: ClassVar[tuple[str, ...]] = (".ia3_l.",)

    name: Literal["ia3"] = "ia3"
    target_modules: Targets | None = Field(
        default=None,
        description="Layers to scale, instead of keys, values and feed-forward: all-linear, a list of names, or a regular expression.",
    )

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return key, value and the second feed-forward layer, or the layers that `target_modules` matches."""
        if self.target_modules is not None:
            return resolve_targets(encoder_linear_modules(model), self.target_modules)
        return role_modules(model, "key", "value", "outer")

    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """Return PEFT's IA3 configuration: vectors on the inputs of feed-forward layers, on outputs of the others."""
        from peft import IA3Config

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

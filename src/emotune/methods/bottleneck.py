"""Bottleneck adapters: small networks after the blocks of a frozen encoder, through PEFT and emotune's own tuner.

Houlsby et al., 2019, arXiv 1902.00751; Pfeiffer et al., 2020, arXiv 2005.00247.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Self

from pydantic import Field, model_validator

from emotune.methods.base import Dropout, PeftMethod, head_and_pooler
from emotune.models.families import encoder_linear_modules, role_modules
from emotune.models.targets import Targets, resolve_targets
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel


class Bottleneck(PeftMethod):
    """Bottleneck adapters: the output y of a block becomes y + up(activation(down(y))).

    `down` projects to the bottleneck, `up` back to the encoder's width. Both are trained, with the head, and with the
    pooler if there is one. The normalizations, which Houlsby et al. train too, stay frozen.

    With "houlsby", an adapter follows the output projections of both blocks, attention and feed-forward; with
    "pfeiffer", only that of the feed-forward block. y is the output of the projection, before dropout, residual and
    normalization. AdapterHub's configuration named "pfeiffer" differs: its adapter reads the normalized sum of y and
    the residual, and the sum is normalized once more after it.

    The activation prevents adapters from being merged into the weights, so they cost time in prediction too.
    """

    title: ClassVar[str] = "bottleneck adapter"
    learning_rate: ClassVar[float] = 2e-3
    moving: ClassVar[tuple[str, ...]] = (".emotune_bottleneck_up.",)
    tuner: ClassVar[str | None] = "emotune.methods.tuners.bottleneck"

    name: Literal["bottleneck"] = "bottleneck"
    size: int = Field(
        default=48, ge=1, description="Width of bottleneck adapters; 48 is a sixteenth of the encoder's with BERT base."
    )
    placement: Literal["houlsby", "pfeiffer"] = Field(
        default="houlsby",
        description="Places of bottleneck adapters: houlsby, after attention and feed-forward; pfeiffer, after feed-forward.",
    )
    activation: Literal["gelu", "relu"] = Field(default="gelu", description="Activation inside bottleneck adapters.")
    dropout: Dropout = 0.0
    target_modules: Targets | None = Field(
        default=None,
        description="Layers that adapters follow, instead of placement: all-linear, a list of names, or a regular expression.",
    )

    @model_validator(mode="after")
    def _placed_once(self) -> Self:
        if self.target_modules is not None and self.placement == "pfeiffer":
            raise ValueError("both placement and target_modules say where adapters go; give one of them")
        return self

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return the output projections that adapters follow.

        Raises:
            MethodError: The blocks of the architecture are not known, or a target module matches nothing.
        """
        if self.target_modules is not None:
            return resolve_targets(encoder_linear_modules(model), self.target_modules)
        return role_modules(model, *(("attended", "outer") if self.placement == "houlsby" else ("outer",)))

    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """Return the configuration of emotune's tuner. `up` starts at zero, `down` at random."""
        from emotune.methods.tuners.bottleneck import BottleneckConfig  # which imports PEFT

        return BottleneckConfig(
            size=self.size,
            activation=self.activation,
            dropout=self.dropout,
            target_modules=list(self.adapted_modules(model)),
            modules_to_save=head_and_pooler(model),
        )

    def merge(self, model: Any) -> NoReturn:
        """Refuse to merge.

        Raises:
            MethodError: Always.
        """
        raise MethodError(
            "A model with bottleneck adapters cannot be merged: an activation stands between an adapter's two layers, so no weight "
            "can express them. Predict with emotune itself, or train with a method that can be merged, such as lora."
        )

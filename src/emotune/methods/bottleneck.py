"""Bottleneck adapters: small networks behind the blocks of a frozen encoder, through PEFT and a tuner of our own.

Houlsby et al., 2019, arXiv 1902.00751; Pfeiffer et al., 2020, arXiv 2005.00247.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from emotune.methods.base import PeftMethod, check_dropout, head_and_pooler
from emotune.models.targets import resolve_targets
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel

PLACEMENTS = ("houlsby", "pfeiffer")
ACTIVATIONS = ("gelu", "relu")


@dataclass(frozen=True)
class Bottleneck(PeftMethod):
    """Bottleneck adapters: what a block gives, y, becomes y + up(activation(down(y))).

    `down` leads to a few numbers, `up` back to the encoder's width. Both are trained, with the head, and with the pooler where there
    is one. The normalizations stay frozen, which Houlsby et al. train as well.

    With "houlsby" an adapter stands behind the output projections of both blocks, attention and feed-forward; with "pfeiffer"
    behind the feed-forward block's alone. y is what the projection gives, before dropout, residual and normalization.
    AdapterHub's configuration of the name "pfeiffer" differs: its adapter reads the normalized sum of y and the residual, and
    the sum is normalized once more behind it.

    The activation keeps adapters from being merged into the weights, so they cost time in prediction too.

    Attributes:
        size: Width of the bottleneck; with BERT base, 48 is a sixteenth of the encoder's.
        placement: "houlsby" or "pfeiffer".
        activation: "gelu" or "relu".
        dropout: Dropout on the adapters' input.
        target_modules: The layers to put adapters behind, in place of the placement's: as for LoRA. None for the placement's.

    Raises:
        MethodError: A value out of range, or two that contradict each other; all mistakes at once.
    """

    key: ClassVar[str] = "bottleneck"
    name: ClassVar[str] = "bottleneck adapter"
    learning_rate: ClassVar[float] = 2e-3
    moving: ClassVar[tuple[str, ...]] = (".emotune_bottleneck_up.",)
    tuner: ClassVar[str | None] = "emotune.methods.tuners.bottleneck"

    size: int = 48
    placement: str = "houlsby"
    activation: str = "gelu"
    dropout: float = 0.0
    target_modules: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.target_modules is not None and not isinstance(self.target_modules, str):
            object.__setattr__(self, "target_modules", tuple(self.target_modules))
        super().__post_init__()

    def mistakes(self) -> Iterator[str]:
        """Values out of range, and options that contradict each other."""
        if not isinstance(self.size, int) or self.size < 1:
            yield f"the size is {self.size}; expected a whole number of at least 1"
        if self.placement not in PLACEMENTS:
            yield f"the placement is {self.placement!r}; expected {' or '.join(PLACEMENTS)}"
        if self.activation not in ACTIVATIONS:
            yield f"the activation is {self.activation!r}; expected {' or '.join(ACTIVATIONS)}"
        yield from check_dropout(self.dropout)
        if self.target_modules is not None and self.placement == "pfeiffer":
            yield "both placement and target_modules say where adapters go; give one of them"

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """The output projections that adapters stand behind.

        Raises:
            MethodError: An architecture whose blocks are not known, or a target module that matches nothing.
        """
        from emotune.models.families import encoder_linear_modules, role_modules

        if self.target_modules is not None:
            return resolve_targets(encoder_linear_modules(model), self.target_modules)
        return role_modules(model, *(("attended", "outer") if self.placement == "houlsby" else ("outer",)))

    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """The configuration of our tuner. `up` starts at zero, `down` at random."""
        from emotune.methods.tuners.bottleneck import BottleneckConfig

        return BottleneckConfig(
            size=self.size,
            activation=self.activation,
            dropout=self.dropout,
            target_modules=list(self.adapted_modules(model)),
            modules_to_save=head_and_pooler(model),
        )

    def merge(self, model: Any) -> NoReturn:
        """Refuse.

        Raises:
            MethodError: Always.
        """
        raise MethodError(
            "A model with bottleneck adapters cannot be merged: an activation stands between an adapter's two layers, so no weight can "
            "take them up. Predict with emotune itself, or train with a method that can be merged, such as lora."
        )

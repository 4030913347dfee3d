"""VeRA: vectors on shared random matrices (Kopiczko et al., 2023, arXiv 2310.11454), through PEFT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from emotune.methods.base import LinearMethod, check_dropout, check_rank
from emotune.models.targets import ALL_LINEAR

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class VeRA(LinearMethod):
    """Each adapted layer W x becomes W x + diag(b) B diag(d) A x: A and B are random, frozen and shared by all layers; b and d are trained.

    Fewer than a tenth of LoRA's parameters, beside the head.

    Attributes:
        r: Rank of the shared matrices: high, since it costs little.
        dropout: Dropout on the adapters' input.
        target_modules: As for LoRA.

    Raises:
        MethodError: A value out of range; all mistakes at once.
    """

    key: ClassVar[str] = "vera"
    name: ClassVar[str] = "VeRA"
    learning_rate: ClassVar[float] = 2e-2
    moving: ClassVar[tuple[str, ...]] = (".vera_lambda_b.",)

    r: int = 256
    dropout: float = 0.0
    target_modules: str | Sequence[str] = ALL_LINEAR

    def mistakes(self) -> Iterator[str]:
        """Values out of range."""
        yield from check_rank(self.r)
        yield from check_dropout(self.dropout)

    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """PEFT's VeRA configuration. The random matrices are saved with the adapter: another machine might draw others."""
        from peft import VeraConfig

        return VeraConfig(
            r=self.r,
            vera_dropout=self.dropout,
            save_projection=True,
            **self.shared_options(model),
        )

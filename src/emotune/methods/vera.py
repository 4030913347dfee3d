"""VeRA: vectors on shared random matrices (Kopiczko et al., 2023, arXiv 2310.11454), through PEFT."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from emotune.methods.base import Dropout, LinearMethod
from emotune.models.targets import ALL_LINEAR, Targets

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel


class VeRA(LinearMethod):
    """Vectors b and d on random matrices A and B: each adapted layer W x becomes W x + diag(b) B diag(d) A x.

    A and B are frozen and shared by all layers; b and d are trained. Without the head, VeRA has less than a tenth of
    LoRA's parameters.
    """

    title: ClassVar[str] = "VeRA"
    learning_rate: ClassVar[float] = 2e-2
    moving: ClassVar[tuple[str, ...]] = (".vera_lambda_b.",)

    name: Literal["vera"] = "vera"
    r: int = Field(default=256, ge=1, description="Rank of the shared matrices: high, since it costs little.")
    dropout: Dropout = 0.0
    target_modules: Targets = ALL_LINEAR

    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """Return PEFT's VeRA configuration. The random matrices are saved: other machines might draw different ones."""
        from peft import VeraConfig

        return VeraConfig(
            r=self.r,
            vera_dropout=self.dropout,
            save_projection=True,
            **self.shared_options(model),
        )

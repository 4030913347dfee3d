"""QLoRA: LoRA beside frozen weights of four bits (Dettmers et al., 2023, arXiv 2305.14314), through PEFT and bitsandbytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from emotune.methods.lora import LowRank

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class QLoRA(LowRank):
    """LoRA on an encoder whose linear layers are kept in NF4, a data type of four bits for weights that are normally distributed.

    Embeddings, normalizations, pooler and head stay as they are. The folder holds the adapter alone; loading it quantizes the base
    again, in the same way.
    """

    title: ClassVar[str] = "QLoRA"

    name: Literal["qlora"] = "qlora"
    double_quant: bool = Field(
        default=True, description="Quantize the scales of the four-bit weights too: saves 0.4 bits per weight."
    )

    def check_installed(self) -> None:
        """Refuse to go on without bitsandbytes."""
        from emotune.models.quantization import check_bitsandbytes

        check_bitsandbytes()

    def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
        """As for LoRA, on a model that is quantized first.

        Raises:
            MethodError: As for LoRA, a model whose layers cannot be quantized, or bitsandbytes is not installed.
        """
        self._quantize(model)
        return super().apply(model, base_model_name)

    def load(self, folder: Path, base: Callable[[], PreTrainedModel]) -> nn.Module:
        """As for LoRA, on a model that is quantized first.

        Raises:
            ArtifactError: As for LoRA.
            MethodError: bitsandbytes is not installed.
        """

        def quantized() -> PreTrainedModel:
            model = base()
            self._quantize(model)
            return model

        return super().load(folder, quantized)

    def _quantize(self, model: PreTrainedModel) -> None:
        from emotune.models.families import encoder_linear_modules
        from emotune.models.quantization import quantize

        quantize(model, encoder_linear_modules(model), double=self.double_quant)

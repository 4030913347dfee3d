"""QLoRA: LoRA beside frozen weights of four bits (Dettmers et al., 2023, arXiv 2305.14314), through PEFT and bitsandbytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from emotune.methods.lora import LoRA

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class QLoRA(LoRA):
    """LoRA on an encoder whose linear layers are kept in NF4, a data type of four bits for weights that are normally distributed.

    Embeddings, normalizations, pooler and head stay as they are. The folder holds the adapter alone; loading it quantizes the base
    again, in the same way.

    Attributes:
        double_quant: Whether the scales of the weights are quantized too: saves 0.4 bits a weight.
    """

    key: ClassVar[str] = "qlora"
    name: ClassVar[str] = "QLoRA"

    double_quant: bool = True

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

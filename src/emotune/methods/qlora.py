"""QLoRA: LoRA on frozen four-bit weights (Dettmers et al., 2023, arXiv 2305.14314), through PEFT and bitsandbytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from emotune.methods.lora import LowRank
from emotune.models.families import encoder_linear_modules
from emotune.models.quantization import check_bitsandbytes, dequantize, quantize
from emotune.system.errors import MethodError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class QLoRA(LowRank):
    """LoRA on an encoder whose linear layers are kept in NF4, a four-bit data type for normally distributed weights.

    Embeddings, normalizations, pooler and head are not quantized. The folder holds only the adapter; loading it
    quantizes the base again, in the same way.
    """

    title: ClassVar[str] = "QLoRA"

    name: Literal["qlora"] = "qlora"
    double_quant: bool = Field(
        default=True, description="Quantize the scales of the four-bit weights too: saves 0.4 bits per weight."
    )

    def check_installed(self) -> None:
        """Check that bitsandbytes is installed."""
        check_bitsandbytes()

    def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
        """Quantize the model, then apply LoRA.

        Raises:
            MethodError: As for LoRA, the model's layers cannot be quantized, or bitsandbytes is not installed.
        """
        self._quantize(model)
        return super().apply(model, base_model_name)

    def load(self, folder: Path, base: Callable[[], PreTrainedModel]) -> nn.Module:
        """Quantize the base model, then load the adapter as for LoRA.

        Raises:
            ArtifactError: As for LoRA.
            MethodError: bitsandbytes is not installed.
        """

        def quantized() -> PreTrainedModel:
            model = base()
            self._quantize(model)
            return model

        return super().load(folder, quantized)

    def _merge_in_place(self, model: Any) -> PreTrainedModel:
        """Merge the adapter into the dequantized weights: PEFT would round the sum to four bits again."""
        inner = model.get_base_model()
        dequantize(inner)
        for name, layer in [(name, layer) for name, layer in inner.named_modules() if hasattr(layer, "lora_A")]:
            layer.base_layer.weight.data += layer.get_delta_weight("default").float()
            if not layer.base_layer.weight.isfinite().all():
                raise MethodError(
                    f"{self.title} cannot be merged: the merged weights of {name} are not finite numbers. Load or train the model again."
                )
            parent, _, child = name.rpartition(".")
            setattr(inner.get_submodule(parent), child, layer.base_layer)
        return super()._merge_in_place(model)

    def _quantize(self, model: PreTrainedModel) -> None:
        quantize(model, encoder_linear_modules(model), double=self.double_quant)

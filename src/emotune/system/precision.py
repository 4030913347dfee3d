"""Device and precision of training and prediction, and the reason for the choice in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emotune.system.errors import ConfigError
from emotune.system.internals.torch import cpu_multiplies_bf16

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Precision:
    """Arithmetic of matrix products; trained weights and their optimizer state are always float32.

    Attributes:
        name: "bf16", "fp32", or "int8" for prediction.
        reason: Reason for the choice, in words.
    """

    name: str
    reason: str

    @property
    def products(self) -> torch.dtype | None:
        """PyTorch's dtype of matrix products, or None for the weights' own float32; int8 is not PyTorch's."""
        import torch

        return torch.bfloat16 if self.name == "bf16" else None


def choose_device(asked: str = "auto") -> str:
    """Return the device to use: "cuda", "mps" or "cpu".

    Args:
        asked: One of these, or "auto" for the first available.

    Raises:
        ConfigError: A device that this machine does not have, or an unknown name.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        return next(name for name, here in available.items() if here)
    if not available.get(asked, False):
        here = ", ".join(name for name, yes in available.items() if yes)
        raise ConfigError(f"The device '{asked}' is not available. This machine has: {here}. Choose one, or 'auto'.")
    return asked


def choose_precision(asked: str, device: str, *, prediction: bool = False) -> Precision:
    """Return the precision to train or predict in.

    bfloat16 is faster only if the hardware multiplies it. Elsewhere it is emulated, and slower than float32.

    Args:
        asked: "bf16", "fp32", or "auto"; for prediction on a processor also "int8".
        device: "cpu", "cuda" or "mps".
        prediction: True for prediction, False for training.

    Raises:
        ConfigError: An unknown name, or int8 on a device that lacks it.
    """
    if asked == "int8" and prediction and device != "cpu":
        raise ConfigError(
            f"int8 is computed on the processor, and the device is '{device}'. Choose --device cpu, or 'auto'."
        )
    if asked not in ("auto", "bf16", "fp32", *(["int8"] if prediction else [])):
        names = "'auto', 'bf16', 'fp32' or 'int8'" if prediction else "'auto', 'bf16' or 'fp32'"
        raise ConfigError(f"The precision '{asked}' is unknown. Choose {names}.")
    if asked != "auto":
        return Precision(asked, "as asked")
    if device == "cuda":
        import torch

        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision("bf16", "this GPU multiplies bfloat16")
        return Precision("fp32", "this GPU does not multiply bfloat16")
    if device == "cpu":
        if cpu_multiplies_bf16():
            return Precision("bf16", "this processor multiplies bfloat16 (AVX512-BF16 or AMX)")
        return Precision("fp32", "this processor does not multiply bfloat16 (no AVX512-BF16, no AMX)")
    return Precision("fp32", f"bfloat16 is not used on {device}")

"""Full fine-tuning: every weight is trained (Devlin et al., 2018, arXiv 1810.04805). The reference for the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from emotune.methods.base import Method
from emotune.system.errors import ArtifactError
from emotune.system.text import reason_of

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class FullFineTuning(Method):
    """Train every weight, in float32 copies. The saved folder is a whole model, and needs no base model."""

    title: ClassVar[str] = "full fine-tuning"
    learning_rate: ClassVar[float] = 1e-4
    needs_base: ClassVar[bool] = False
    files: ClassVar[tuple[str, ...]] = ("model.safetensors",)

    name: Literal["full"] = "full"

    def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
        """Return the model itself, with nothing frozen."""
        model.requires_grad_(True)
        return model

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return no modules: the weights themselves are trained."""
        return ()

    def trains(self, model: PreTrainedModel) -> str:
        """Describe the trained part: everything."""
        return "every weight"

    def must_move(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Return all parameters."""
        return dict(model.named_parameters())

    def save(self, model: Any, folder: Path) -> None:
        """Write all weights under the names that transformers gives them."""
        from safetensors.torch import save_file

        weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        folder.mkdir(parents=True, exist_ok=True)
        save_file(weights, folder / self.files[0], metadata={"format": "pt"})

    def load(self, folder: Path, base: Callable[[], PreTrainedModel]) -> nn.Module:
        """Return the base model with all its weights replaced."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = folder / self.files[0]
        model = base()
        try:
            model.load_state_dict(load_file(path))
        except (SafetensorError, OSError, RuntimeError) as error:
            raise ArtifactError(
                f"'{path}' is damaged, or is not of the model in '{folder}': {reason_of(error)}. "
                "Copy the folder again, or save the model again."
            ) from None
        return model

"""Head only: the encoder stays frozen; only the classification head is trained, with BERT's pooler. The lower bound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from emotune.methods.base import Method, head_and_pooler
from emotune.system.errors import ArtifactError
from emotune.system.text import reason_of

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class HeadOnly(Method):
    """Train only head and pooler, on the base model's own features, which they read from one token."""

    title: ClassVar[str] = "head only"
    learning_rate: ClassVar[float] = 1e-2
    needs_base: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ("head.safetensors",)

    name: Literal["head"] = "head"

    def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
        """Return the model itself, with everything frozen except head and pooler."""
        model.requires_grad_(False)
        for module in head_and_pooler(model):
            model.get_submodule(module).requires_grad_(True)
        return model

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return no modules: there are no adapters."""
        return ()

    def trains(self, model: PreTrainedModel) -> str:
        """Describe the trained part: head and pooler."""
        return f"{', '.join(head_and_pooler(model))} in full, and nothing else"

    def must_move(self, model: Any) -> dict[str, nn.Parameter]:
        """Return the parameters of head and pooler."""
        prefixes = tuple(f"{module}." for module in head_and_pooler(model))
        return {name: parameter for name, parameter in model.named_parameters() if name.startswith(prefixes)}

    def save(self, model: Any, folder: Path) -> None:
        """Write head and pooler under the names that transformers gives them."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: parameter.detach().contiguous() for name, parameter in self.must_move(model).items()}
        save_file(weights, folder / self.files[0], metadata={"format": "pt"})

    def save_checkpoint(self, model: Any, folder: Path) -> None:
        """Write the whole model, which Trainer expects to load."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    def load(self, folder: Path, base: Callable[[], PreTrainedModel]) -> nn.Module:
        """Return the base model with the head of the folder."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = folder / self.files[0]
        try:
            weights = load_file(path)
        except (SafetensorError, OSError) as error:
            raise ArtifactError(
                f"'{path}' is damaged: {reason_of(error)}. Copy the folder again, or save the model again."
            ) from None
        model = base()
        own = {name: tuple(parameter.shape) for name, parameter in self.must_move(model).items()}
        saved = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        if own != saved:
            name, shape = sorted(own.items() ^ saved.items())[0]
            raise ArtifactError(
                f"The head in '{folder}' does not fit the base model '{model.name_or_path}': "
                f"{name} of shape {shape} is in one of them only."
            )
        # Replace the old tensors, do not copy into them: other models may share the base's memory.
        model.load_state_dict(weights, strict=False, assign=True)
        return model

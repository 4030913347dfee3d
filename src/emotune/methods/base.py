"""Base classes of fine-tuning methods: validated options, and applying, saving, loading and merging of weights."""

from __future__ import annotations

import copy
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from emotune.models.families import encoder_linear_modules, head_modules, pooler_modules
from emotune.models.targets import Targets, resolve_targets, summarize_targets
from emotune.system.errors import ArtifactError, EmotuneError, MethodError
from emotune.system.options import Options
from emotune.system.text import reason_of

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig
    from torch import nn
    from transformers import PreTrainedModel, TrainerCallback


Alpha = Annotated[
    float | None, Field(gt=0, description="Numerator of the adapters' scale; twice the rank if not given.")
]
Dropout = Annotated[float, Field(ge=0, lt=1, description="Dropout on the adapters' input.")]


class Method(Options, ABC):
    """Method of fine-tuning a sequence classifier. The fields of a subclass are its options, except for `name`.

    Attributes:
        name: Name in configurations, on the command line and in saved folders.
        title: Name in messages and reports.
        learning_rate: The peak rate of AdamW that suits the method with its default options.
        needs_base: True if loading a saved folder needs the base model.
        files: Files that a saved folder must hold, the trained weights first.
    """

    error: ClassVar[type[EmotuneError]] = MethodError
    title: ClassVar[str]
    learning_rate: ClassVar[float]
    needs_base: ClassVar[bool]
    files: ClassVar[tuple[str, ...]]

    name: str

    @classmethod
    def noun(cls) -> str:
        """Return the name of the method in messages."""
        return cls.title

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Return the names of the options."""
        return tuple(name for name in cls.model_fields if name != "name")

    @property
    def usual_learning_rate(self) -> float:
        """Default peak rate of AdamW: the method's own, unless an option changes it."""
        return self.learning_rate

    def check_installed(self) -> None:
        """Check that the libraries that only this method needs are installed.

        Raises:
            MethodError: One is not installed; the message says how to install it.
        """
        return

    @abstractmethod
    def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
        """Make a base model trainable by this method, in place; pass a copy if the base is still needed.

        New parameters are drawn from the global random generator, and have no effect yet.

        Args:
            model: A sequence classifier.
            base_model_name: Name of the base model in saved files: a Hub id.

        Returns:
            The model to train, in which exactly what the method trains requires a gradient.

        Raises:
            MethodError: The model cannot take the method.
        """

    @abstractmethod
    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return the full names of the base model's modules that get an adapter; none if the method uses no adapters.

        Raises:
            MethodError: An option names a module that the model does not have.
        """

    def trains(self, model: PreTrainedModel) -> str:
        """Describe the trained part of a base model, in words.

        Raises:
            MethodError: As for `adapted_modules`.
        """
        whole = ", ".join(head_and_pooler(model))
        return f"adapters on {summarize_targets(self.adapted_modules(model))}, and {whole} in full"

    @abstractmethod
    def must_move(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Return the parameters that must change in the first steps of training, by name.

        They are chosen by their names, not by `requires_grad`. Parameters that get no gradient until their partner has
        changed, such as LoRA's A with a B of zeros, are not among them.

        Args:
            model: The result of `apply`.
        """

    @abstractmethod
    def save(self, model: Any, folder: Path) -> None:
        """Write the trained weights into a folder."""

    def save_checkpoint(self, model: Any, folder: Path) -> None:
        """Write the weights that Trainer loads into the model during training; by default, what `save` writes."""
        self.save(model, folder)

    def restore_checkpoint(self, model: Any, folder: Path) -> None:
        """Read back what `save_checkpoint` wrote in addition to the weights, which Trainer loads itself."""
        return

    @abstractmethod
    def load(self, folder: Path, base: Callable[[], PreTrainedModel]) -> nn.Module:
        """Return the tuned model of a folder that `save` has written.

        Args:
            folder: The folder, with every one of `files`.
            base: Function that returns a base model to put the trained weights into.

        Raises:
            ArtifactError: The weights are damaged, incomplete, or do not fit the base model.
        """

    def merge(self, model: Any) -> PreTrainedModel:
        """Return a plain transformers model with the trained weights, and adapters merged into the base's weights.

        It gives the logits of the tuned model up to rounding, and needs neither emotune nor PEFT.

        Args:
            model: The tuned model, which is left unchanged.

        Returns:
            A separate model, in float32 and evaluation mode, with nothing frozen.

        Raises:
            MethodError: The base model's weights cannot express what the method trains, or merged weights are not
                finite.
        """
        merged: PreTrainedModel = self._merge_in_place(copy.deepcopy(model))
        return merged.float().requires_grad_(True).eval()

    def _merge_in_place(self, model: Any) -> PreTrainedModel:
        """Return the plain model; the tuned one may be taken apart for it."""
        return model

    def options(self) -> dict[str, Any]:
        """Return the options by name, with the defaults that follow from others filled in."""
        return {name: getattr(self, name) for name in self.option_names()}

    def extra_tokens(self) -> int:
        """Return the number of the model's positions that the method uses in addition to the text."""
        return 0

    def parameter_groups(self, model: nn.Module, learning_rate: float) -> list[dict[str, Any]] | None:
        """Return groups of parameters with learning rates, for PyTorch's optimizers, or None for one common rate.

        Args:
            model: The result of `apply`.
            learning_rate: The chosen rate.
        """
        return None

    def begin(self, model: nn.Module, steps: int) -> list[TrainerCallback]:
        """Return the callbacks that the method needs during training.

        Args:
            model: The result of `apply`.
            steps: Largest possible number of optimizer steps.

        Raises:
            MethodError: There are too few.
        """
        return []

    def penalty(self, model: nn.Module) -> torch.Tensor | None:
        """Return a term to add to the loss of a step, or None."""
        return None


class PeftMethod(Method):
    """Method that works through PEFT: a subclass provides PEFT's configuration, and PEFT does the rest."""

    moving: ClassVar[tuple[str, ...]]
    """Parts of the names of the adapters' parameters that must change."""

    tuner: ClassVar[str | None] = None
    """Module whose import registers the method with PEFT, for a method that PEFT does not have itself."""

    needs_base: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ("adapter_model.safetensors", "adapter_config.json")

    @abstractmethod
    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """Return PEFT's configuration for a model, without task and base model.

        Raises:
            MethodError: As for `apply`.
        """

    def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
        """Return PEFT's model around the base model, with everything frozen except adapters, pooler and head."""
        from peft import TaskType, get_peft_model

        self.register()
        config = self.peft_config(model)
        config.task_type = TaskType.SEQ_CLS
        wrapped = get_peft_model(model, config)
        # get_peft_model names the base after the path it was loaded from, which is valid only on this machine.
        wrapped.peft_config["default"].base_model_name_or_path = base_model_name
        _name_heads_once(wrapped)
        return wrapped

    def register(self) -> None:
        """Register one of emotune's own methods with PEFT: once per process, however often this is called."""
        if self.tuner is not None:
            importlib.import_module(self.tuner)

    def must_move(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Return the adapters' parameters that match `moving`, with pooler and head."""
        parts = (*self.moving, ".modules_to_save.")
        return {name: found for name, found in model.named_parameters() if any(part in name for part in parts)}

    def _merge_in_place(self, model: Any) -> PreTrainedModel:
        self.register()
        _put_heads_in_place(model.get_base_model())
        try:
            merged: PreTrainedModel = model.float().merge_and_unload(safe_merge=True)
        except ValueError as error:
            raise MethodError(
                f"{self.title} cannot be merged: {reason_of(error)}. Load or train the model again."
            ) from None
        return merged

    def save(self, model: Any, folder: Path) -> None:
        """Write PEFT's own two files."""
        # Set explicitly, since PEFT would otherwise ask the Hub whether the base's embeddings were resized.
        model.save_pretrained(folder, save_embedding_layers=False)

    def load(self, folder: Path, base: Callable[[], PreTrainedModel]) -> nn.Module:
        """Return the base model with the adapter of the folder."""
        return load_adapter(folder, base, self.register)


def load_adapter(
    folder: Path, base: Callable[[], PreTrainedModel], register: Callable[[], None] = lambda: None
) -> nn.Module:
    """Return a base model with the adapter of a folder that PEFT has written.

    Args:
        folder: The folder.
        base: Function that returns the base model.
        register: Function that registers with PEFT a method that PEFT does not have itself.

    Raises:
        ArtifactError: The adapter is damaged, incomplete, or does not fit the base model.
    """
    import warnings

    saved = _tensor_names(folder / PeftMethod.files[0])
    model = base()
    name = model.name_or_path
    # Imported only now: the import takes seconds, and a damaged folder is reported without it.
    from peft import PeftModel, get_peft_model_state_dict

    register()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Found missing adapter keys")  # an error, below
            wrapped = PeftModel.from_pretrained(model, str(folder))
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"The adapter in '{folder}' does not fit the base model '{name}': {reason_of(error)}."
        ) from None
    expected = set(get_peft_model_state_dict(wrapped, save_embedding_layers=False))
    if expected != saved:
        odd = sorted(expected ^ saved)
        raise ArtifactError(
            f"The adapter in '{folder}' is incomplete: {len(odd)} tensors are missing or unknown, among them {odd[0]}."
        )
    _name_heads_once(wrapped)
    return wrapped


class LinearMethod(PeftMethod):
    """Method of PEFT that adapts linear layers of the encoder, which the option `target_modules` chooses."""

    if TYPE_CHECKING:  # each subclass declares it, in its own order and with its own default
        target_modules: Targets

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return the linear layers that `target_modules` matches."""
        return resolve_targets(encoder_linear_modules(model), self.target_modules)

    def shared_options(self, model: PreTrainedModel) -> dict[str, Any]:
        """Return the options that the configurations of these methods have in common."""
        return {
            "target_modules": list(self.adapted_modules(model)),
            "modules_to_save": head_and_pooler(model),
            # GPT-2's Conv1D keeps its weight transposed, which PEFT needs to know.
            "fan_in_fan_out": any(type(module).__name__ == "Conv1D" for module in model.modules()),
        }


def head_and_pooler(model: PreTrainedModel) -> list[str]:
    """Return the names of the modules that every method trains in full."""
    return [*pooler_modules(model), *head_modules(model)]


def _name_heads_once(model: Any) -> None:
    """Remove duplicate names of heads from a configuration: PEFT adds them again each time it wraps a classifier."""
    config = model.peft_config["default"]
    if getattr(config, "modules_to_save", None) is not None:  # configurations of prompts have none
        config.modules_to_save = list(dict.fromkeys(config.modules_to_save))


def _put_heads_in_place(model: nn.Module) -> None:
    """Remove PEFT's wrapper around modules trained in full: some of its tuners cannot do so for a pooler or head."""
    from peft.utils import ModulesToSaveWrapper

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ModulesToSaveWrapper):
                setattr(parent, name, child.modules_to_save[child.active_adapters[0]])


def _tensor_names(path: Path) -> set[str]:
    """Return the names of the tensors in a safetensors file, after checking that the file is complete."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as weights:
            return set(weights.keys())
    except (SafetensorError, OSError) as error:
        raise ArtifactError(
            f"'{path}' is damaged: {reason_of(error)}. Copy the folder again, or save the model again."
        ) from None

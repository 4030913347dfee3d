"""What every fine-tuning method is: validated options, and how its weights get into a model, out of it, and into a folder."""

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
    """One way of fine-tuning a sequence classifier. The fields of a subclass are its options, `name` aside.

    Attributes:
        name: What configurations, the command and saved folders call it.
        title: What people call it.
        learning_rate: The peak rate of AdamW that suits the method with its default options.
        needs_base: Whether a saved folder needs the base model beside it.
        files: What a saved folder must hold, the trained weights first.
    """

    error: ClassVar[type[EmotuneError]] = MethodError
    title: ClassVar[str]
    learning_rate: ClassVar[float]
    needs_base: ClassVar[bool]
    files: ClassVar[tuple[str, ...]]

    name: str

    @classmethod
    def noun(cls) -> str:
        """Return what messages call the method."""
        return cls.title

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Return the names of the options."""
        return tuple(name for name in cls.model_fields if name != "name")

    @property
    def usual_learning_rate(self) -> float:
        """The peak rate of AdamW where none is given: the method's own, unless an option asks for another."""
        return self.learning_rate

    def check_installed(self) -> None:
        """Refuse to go on without a library that only this method needs.

        Raises:
            MethodError: It is not installed; the message says how to install it.
        """
        return

    @abstractmethod
    def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
        """Make a base model trainable by this method, in place; give it a copy where the base is still needed.

        What is new is drawn from the global random generator, and has no effect yet.

        Args:
            model: A sequence classifier.
            base_model_name: The name that saved files give the base model: a Hub id.

        Returns:
            The model to train, in which exactly what the method trains requires a gradient.

        Raises:
            MethodError: The model cannot take the method.
        """

    @abstractmethod
    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Full names of the modules of a base model that get an adapter; none where the method trains something else.

        Raises:
            MethodError: An option names a module that the model does not have.
        """

    def trains(self, model: PreTrainedModel) -> str:
        """What the method trains of a base model, in words.

        Raises:
            MethodError: As for `adapted_modules`.
        """
        whole = ", ".join(head_and_pooler(model))
        return f"adapters on {summarize_targets(self.adapted_modules(model))}, and in full {whole}"

    @abstractmethod
    def must_move(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Parameters that have to move in the first steps of training, by name, chosen by their names and not by what requires a gradient.

        What gets no gradient until its partner has moved, such as LoRA's A beside a B of zeros, is not among them.

        Args:
            model: What `apply` gave.
        """

    @abstractmethod
    def save(self, model: Any, folder: Path) -> None:
        """Write the trained weights into a folder."""

    def save_checkpoint(self, model: Any, folder: Path) -> None:
        """Write what Trainer puts back into the model in training; by default, what `save` writes."""
        self.save(model, folder)

    def restore_checkpoint(self, model: Any, folder: Path) -> None:
        """Take back what `save_checkpoint` wrote beside weights, which Trainer loads itself."""
        return

    @abstractmethod
    def load(self, folder: Path, base: Callable[[], PreTrainedModel]) -> nn.Module:
        """The tuned model of a folder that `save` wrote to.

        Args:
            folder: The folder, with every one of `files`.
            base: Gives a base model to put the trained weights into.

        Raises:
            ArtifactError: The weights are damaged, incomplete, or do not fit the base model.
        """

    def merge(self, model: Any) -> PreTrainedModel:
        """Make a plain transformers model of a tuned one: trained weights take the place of the base's, and adapters go into them.

        It gives the logits of the tuned model up to rounding, and needs neither emotune nor PEFT any more.

        Args:
            model: The tuned model, which is left as it is.

        Returns:
            A model of its own, in float32 and evaluation mode, with nothing frozen.

        Raises:
            MethodError: What the method trains cannot be expressed in the base model's weights, or weights are not finite numbers.
        """
        merged: PreTrainedModel = self._merge_in_place(copy.deepcopy(model))
        return merged.float().requires_grad_(True).eval()

    def _merge_in_place(self, model: Any) -> PreTrainedModel:
        """The plain model, made of the tuned one, which may be taken apart."""
        return model

    def options(self) -> dict[str, Any]:
        """The options by name, with the defaults that follow from others filled in."""
        return {name: getattr(self, name) for name in self.option_names()}

    def extra_tokens(self) -> int:
        """How many positions of the model the method takes up beside the text."""
        return 0

    def parameter_groups(self, model: nn.Module, learning_rate: float) -> list[dict[str, Any]] | None:
        """Groups of parameters with learning rates of their own, as PyTorch's optimizers take them; None for one rate for all.

        Args:
            model: What `apply` gave.
            learning_rate: The rate that was asked for.
        """
        return None

    def begin(self, model: nn.Module, steps: int) -> list[TrainerCallback]:
        """Callbacks that the method needs while training.

        Args:
            model: What `apply` gave.
            steps: How many optimizer steps there will be at most.

        Raises:
            MethodError: There are too few.
        """
        return []

    def penalty(self, model: nn.Module) -> torch.Tensor | None:
        """A term that is added to the loss of a step."""
        return None


class PeftMethod(Method):
    """A method that works through PEFT: a subclass gives PEFT's configuration, and all else is PEFT's."""

    moving: ClassVar[tuple[str, ...]]
    """Parts of the names of the adapters' parameters that have to move."""

    tuner: ClassVar[str | None] = None
    """The module whose import registers the method with PEFT, for a method that PEFT does not have itself."""

    needs_base: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ("adapter_model.safetensors", "adapter_config.json")

    @abstractmethod
    def peft_config(self, model: PreTrainedModel) -> PeftConfig:
        """PEFT's configuration for a model, its task and base model aside.

        Raises:
            MethodError: As for `apply`.
        """

    def apply(self, model: PreTrainedModel, base_model_name: str) -> nn.Module:
        """PEFT's model around the base model, all but adapters, pooler and head frozen."""
        from peft import TaskType, get_peft_model

        self.register()
        config = self.peft_config(model)
        config.task_type = TaskType.SEQ_CLS
        wrapped = get_peft_model(model, config)
        # get_peft_model names the base after the path it was loaded from, which is this machine's affair.
        wrapped.peft_config["default"].base_model_name_or_path = base_model_name
        _name_heads_once(wrapped)
        return wrapped

    def register(self) -> None:
        """Make the method known to PEFT, where it is one of ours: once a process, however often this is called."""
        if self.tuner is not None:
            importlib.import_module(self.tuner)

    def must_move(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The adapters' parameters called by `moving`, with pooler and head."""
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
        # Given explicitly, PEFT would otherwise ask the Hub whether the base's embeddings were resized.
        model.save_pretrained(folder, save_embedding_layers=False)

    def load(self, folder: Path, base: Callable[[], PreTrainedModel]) -> nn.Module:
        """The base model with the adapter of the folder on it."""
        import warnings

        saved = _tensor_names(folder / self.files[0])
        model = base()
        name = model.name_or_path
        # Imported only now: it takes seconds, which nobody should wait for whose folder is damaged.
        from peft import PeftModel, get_peft_model_state_dict

        self.register()
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
    """A method of PEFT that adapts linear layers of the encoder, which the option `target_modules` chooses."""

    if TYPE_CHECKING:  # each subclass declares it, in its own order and with its own default
        target_modules: Targets

    def adapted_modules(self, model: PreTrainedModel) -> tuple[str, ...]:
        """The linear layers that `target_modules` matches."""
        return resolve_targets(encoder_linear_modules(model), self.target_modules)

    def shared_options(self, model: PreTrainedModel) -> dict[str, Any]:
        """What the configurations of these methods have in common."""
        return {
            "target_modules": list(self.adapted_modules(model)),
            "modules_to_save": head_and_pooler(model),
            # GPT-2's Conv1D keeps its weight transposed, and PEFT wants to be told.
            "fan_in_fan_out": any(type(module).__name__ == "Conv1D" for module in model.modules()),
        }


def head_and_pooler(model: PreTrainedModel) -> list[str]:
    """Names of the modules that every method trains in full."""
    return [*pooler_modules(model), *head_modules(model)]


def _name_heads_once(model: Any) -> None:
    """Take out of a configuration what PEFT adds to it again each time it wraps a classifier: the usual names of heads."""
    config = model.peft_config["default"]
    if getattr(config, "modules_to_save", None) is not None:  # configurations of prompts have none
        config.modules_to_save = list(dict.fromkeys(config.modules_to_save))


def _put_heads_in_place(model: nn.Module) -> None:
    """Take off PEFT's wrapper around modules that were trained in full: some of its tuners cannot take it off a pooler or a head."""
    from peft.utils import ModulesToSaveWrapper

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ModulesToSaveWrapper):
                setattr(parent, name, child.modules_to_save[child.active_adapters[0]])


def _tensor_names(path: Path) -> set[str]:
    """The names of the tensors in a safetensors file, which is found to be whole on the way."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as weights:
            return set(weights.keys())
    except (SafetensorError, OSError) as error:
        raise ArtifactError(
            f"'{path}' is damaged: {reason_of(error)}. Copy the folder again, or save the model again."
        ) from None

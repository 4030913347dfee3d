"""Base classes of emotune's tuners: their registration with PEFT, and the module that replaces a layer.

A saved adapter names its tuner by PEFT's type. Emotune's types begin with EMOTUNE_. So PEFT can add a tuner of the same
name later, and the type in a folder that PEFT does not know says where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from peft import PeftConfig, PeftType
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import register_peft_method
from torch import nn

CHECKED = "peft>=0.21,<0.22"


@dataclass
class WrappingConfig(PeftConfig):
    """Options that the configurations of emotune's tuners share.

    Attributes:
        target_modules: Layers to adapt: endings of full names, or a regular expression over full names.
        exclude_modules: Layers to leave unchanged, named in the same way.
        modules_to_save: Modules to train and save in full, such as the head.
    """

    target_modules: list[str] | str | None = field(default=None, metadata={"help": "Layers to adapt."})
    exclude_modules: list[str] | str | None = field(default=None, metadata={"help": "Layers to leave unchanged."})
    modules_to_save: list[str] | None = field(default=None, metadata={"help": "Modules to train and save in full."})


class WrappingLayer(nn.Module, BaseTunerLayer):
    """Layer with adapters on its output.

    A subclass names in `adapter_layer_names` the attributes that hold trained weights by adapter, and in
    `other_param_names` those that hold other objects by adapter. This class creates the attributes.

    Args:
        base_layer: The layer, or another tuner's layer around it.
        adapter_name: Name of the first adapter.
        config: Its configuration.
    """

    if TYPE_CHECKING:  # PEFT is untyped, and mypy would take inherited attributes for modules

        def __getattr__(self, name: str) -> Any: ...

    container: ClassVar[type[nn.Module]] = nn.ModuleDict
    """Class of those attributes: `nn.ParameterDict` if an adapter's weights are bare parameters."""

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: PeftConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self.merged_adapters: list[str] = []
        for name in (*self.adapter_layer_names, *self.other_param_names):
            setattr(self, name, self.container())
        self.update_layer(adapter_name, config)

    def add_weights(self, adapter_name: str, config: Any) -> None:
        """Add an adapter's weights, which have no effect yet."""
        raise NotImplementedError

    def update_layer(self, adapter_name: str, config: Any) -> None:
        """Add an adapter; the active ones stay active."""
        self.add_weights(adapter_name, config)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def cast_input(self, x: torch.Tensor, weight: Any) -> torch.Tensor:
        """Return x in the dtype of a weight, unless PEFT was told to leave inputs as they are."""
        cast: torch.Tensor = self._cast_input_dtype(x, weight.dtype)
        return cast


class WrappingTuner(BaseTuner):
    """Tuner that replaces each targeted module by a `tuner_layer_cls`."""

    tuner_layer_cls: type[WrappingLayer]
    # PEFT's default layers by architecture: none, since emotune always names the layers.
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012  # PEFT declares it so

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        if isinstance(target, self.tuner_layer_cls):
            target.update_layer(adapter_name, peft_config)
            return
        layer = self.tuner_layer_cls(target, adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)  # a second adapter waits until it is made the active one
        self._replace_module(parent, target_name, layer, target)

    def _replace_module(self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module) -> None:
        # PEFT's version also copies a weight, which BERT's pooler lacks on unloading, and moves weights to the base
        # layer's device, which `update_layer` does already.
        setattr(parent, child_name, new_module)


def register(name: str, config: type[WrappingConfig], tuner: type[WrappingTuner]) -> None:
    """Register a tuner with PEFT, which then builds, saves and loads it like its own.

    Args:
        name: The type's name in lower case. `tuner.prefix` is the name followed by "_".
        config: The configuration's class.
        tuner: The model's class.
    """
    kind = name.upper()
    if kind not in PeftType.__members__:
        # register_peft_method accepts only members of PeftType, and an enumeration has no public way to add one.
        member = str.__new__(PeftType, kind)
        member._name_, member._value_ = kind, kind
        type.__setattr__(PeftType, kind, member)
        PeftType._member_names_.append(kind)
        PeftType._member_map_[kind] = member
        PeftType._value2member_map_[kind] = member
    register_peft_method(name=name, config_cls=config, model_cls=tuner)

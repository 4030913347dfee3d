"""A model's modules once more on the memory of its weights: a copy that costs no weights, and that nobody switches to training."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import nn

_Module = TypeVar("_Module", bound="nn.Module")


def on_same_memory(module: _Module, instead: Mapping[nn.Module, nn.Module] | None = None) -> _Module:
    """Copy the modules of a model and leave its weights where they are.

    The copy's parameters are its own, though their memory is the model's. So a mode, a hook or a device that is set on the one leaves the
    other alone, while weights that are changed in place change in both.

    Args:
        module: The model, or a part of one.
        instead: What takes the place of some of its modules in the copy; those are then not copied, nor kept alive by it.
    """
    from torch import nn

    memo: dict[int, Any] = {id(part): other for part, other in (instead or {}).items()}
    for parameter in module.parameters():
        # Packed weights know how they were packed, and stay the objects that they are.
        plain = type(parameter) is nn.Parameter
        memo[id(parameter)] = (
            nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad) if plain else parameter
        )
    for buffer in module.buffers():
        memo[id(buffer)] = buffer
    return copy.deepcopy(module, memo)

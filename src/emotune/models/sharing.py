"""Copies of a model's modules that share the memory of its weights, with their own mode and hooks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import nn

_Module = TypeVar("_Module", bound="nn.Module")


def on_same_memory(module: _Module, instead: Mapping[nn.Module, nn.Module] | None = None) -> _Module:
    """Copy the modules of a model, and share its weights.

    The copy has its own parameters, which share the model's memory. So a mode, a hook or a device that is set on one
    does not affect the other, while weights that are changed in place change in both.

    Args:
        module: The model, or a part of one.
        instead: Replacements of modules in the copy, by module; the copy does not keep replaced modules alive.
    """
    from torch import nn

    memo: dict[int, Any] = {id(part): other for part, other in (instead or {}).items()}
    for parameter in module.parameters():
        # Packed weights carry their quantization state, so the objects themselves are kept.
        plain = type(parameter) is nn.Parameter
        memo[id(parameter)] = (
            nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad) if plain else parameter
        )
    for buffer in module.buffers():
        memo[id(buffer)] = buffer
    return copy.deepcopy(module, memo)

"""Modules that a method adapts: resolve a pattern against a model, and refuse one that matches nothing.

In the project's first version, `run` named `v_proj`, a module that BERT does not have, without any message. Now every
name of a list must match.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from emotune.system.errors import MethodError
from emotune.system.options import Text, Texts

ALL_LINEAR = "all-linear"


def _compiles(target_modules: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(target_modules, str):
        try:
            re.compile(target_modules)
        except re.error as error:
            raise ValueError(
                f"expected {ALL_LINEAR}, a list of names or a regular expression, and this is not one: {error}"
            ) from None
    return target_modules


Targets = Annotated[
    Text | Texts,
    AfterValidator(_compiles),
    Field(
        description="Layers to adapt: all-linear, for every linear layer of the encoder; a list of names; or a regular "
        "expression over full module names."
    ),
]


def resolve_targets(linear_modules: Sequence[str], target_modules: str | Sequence[str]) -> tuple[str, ...]:
    """Resolve target modules to full names.

    Args:
        linear_modules: Full dotted names of every linear layer of the encoder, without the head.
        target_modules: "all-linear"; a name or a list of names, each of which matches the modules with that dotted name
            or ending ("query", "attention.output.dense"); or a regular expression that must match full names.

    Returns:
        Full names of the matched modules, in the model's order.

    Raises:
        MethodError: A pattern or name matches no linear layer; the message names the closest that exist.
    """
    if target_modules == ALL_LINEAR:
        return tuple(linear_modules)
    if isinstance(target_modules, str) and re.fullmatch(r"\w+(\.\w+)*", target_modules):
        target_modules = [target_modules]  # a plain name, not a pattern
    if isinstance(target_modules, str):
        try:
            pattern = re.compile(target_modules)
        except re.error as error:
            raise MethodError(f"target_modules '{target_modules}' is not a regular expression: {error}.") from None
        matched = tuple(name for name in linear_modules if pattern.fullmatch(name))
        if not matched:
            raise _nothing_matched([target_modules], linear_modules)
        return matched
    missing = [name for name in target_modules if not any(_ends_with(module, name) for module in linear_modules)]
    if missing or not target_modules:
        raise _nothing_matched(missing, linear_modules)
    return tuple(module for module in linear_modules if any(_ends_with(module, name) for name in target_modules))


def summarize_targets(modules: Sequence[str]) -> str:
    """Group full names that differ only in the layer number: "encoder.layer.*.output.dense (6)".

    Args:
        modules: Full dotted names.

    Returns:
        The groups in order, separated by commas.
    """
    groups: dict[str, int] = {}
    for module in modules:
        group = re.sub(r"(?<=\.)\d+(?=\.|$)", "*", module)
        groups[group] = groups.get(group, 0) + 1
    return ", ".join(f"{group} ({count})" if count > 1 else group for group, count in groups.items())


def _ends_with(module: str, name: str) -> bool:
    return module == name or module.endswith(f".{name}")


def _nothing_matched(missing: Sequence[str], linear_modules: Sequence[str]) -> MethodError:
    suffixes = list(
        dict.fromkeys(".".join(parts[-n:]) for n in (1, 2, 3) for parts in (m.split(".") for m in linear_modules))
    )
    names = [suffix for suffix in suffixes if not suffix.split(".")[0].isdigit()]
    if not missing:
        seen = "target_modules is empty"
    else:
        quoted = ", ".join(f"'{name}'" for name in missing)
        seen = f"target_modules {quoted} {'match' if len(missing) > 1 else 'matches'} no linear layer of this model"
    # Names of another family ("v_proj") have no similar spelling in this model; they are matched by meaning.
    synonyms = {"v": "value", "q": "query", "k": "key", "v_proj": "value", "q_proj": "query", "k_proj": "key"}
    close = [
        match
        for name in missing
        for match in [*difflib.get_close_matches(name, names, n=2, cutoff=0.5), synonyms.get(name, "")]
        if match in names
    ]
    closest = f"The closest are: {', '.join(dict.fromkeys(close))}. " if close else ""
    short = [name for name in names if "." not in name]
    return MethodError(
        f"{seen}. {closest}This model's linear layers are called: {', '.join(short)}; or use '{ALL_LINEAR}'."
    )

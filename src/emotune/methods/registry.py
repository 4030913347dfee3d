"""All fine-tuning methods, by the name that configurations give them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field

from emotune.methods import MODULES
from emotune.methods.base import Method
from emotune.system.errors import ArtifactError, MethodError

METHODS: dict[str, type[Method]] = {
    method.model_fields["name"].default: method
    for method in (
        getattr(importlib.import_module(f"emotune.methods.{module}"), name) for name, module in MODULES.items()
    )
}

if TYPE_CHECKING:
    AnyMethod = Method
else:
    AnyMethod = Annotated[Union[tuple(METHODS.values())], Field(discriminator="name")]  # noqa: UP007
"""Type of a field that holds any of the methods, discriminated by `name`."""


def method_of_folder(description: dict[str, Any], folder: str) -> Method:
    """Build the method that a saved folder was made with.

    Args:
        description: The entry "method" of its `emotune.json`: the method's name and its options. Folders of format 1
            have the title instead of the name.
        folder: The folder, for messages.

    Raises:
        ArtifactError: This emotune has no such method, or the method does not have these options.
    """
    options = dict(description)
    name = options.pop("name", None)
    method = METHODS.get(str(name)) or next((found for found in METHODS.values() if found.title == name), None)
    if method is None:
        known = ", ".join(METHODS)
        raise ArtifactError(f"'{folder}' was made with the method {name!r}; this emotune knows {known}.")
    try:
        return method(**options)
    except MethodError as error:
        raise ArtifactError(f"'{folder}' is damaged: its options of {name} are not valid: {error}") from None

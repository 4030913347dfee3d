"""Options of loading a base model, declared once for Python, the command and configurations."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from emotune.system.errors import EmotuneError, ModelError
from emotune.system.options import Options, PathText, Text


class ModelSource(Options):
    """Arguments of `load_base`, without labels.

    Raises:
        ModelError: A value is out of range; the message names all mistakes at once.
    """

    error: ClassVar[type[EmotuneError]] = ModelError

    name: PathText = Field(
        default="bert-base-uncased", description="The base model: a Hub id, a local folder, or bundled:minilm."
    )
    revision: Text | None = Field(default=None, description="Branch, tag or commit of a Hub model.")
    max_length: int = Field(
        default=128,
        ge=8,
        description="Tokens per text, special tokens included; longer texts are cut, and the output says so.",
    )
    fresh_head: bool = Field(
        default=False,
        description="Start with a new head even if the model's own has the data's labels and would be kept.",
    )


MAX_LENGTH: int = ModelSource.model_fields["max_length"].default

"""Options of loading a base model, declared once for Python, the command and configurations."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from emotune.system.errors import EmotuneError, ModelError
from emotune.system.options import Options, PathText, Text


class HeadRule(StrEnum):
    """Rule for a head in the checkpoint.

    Attributes:
        MATCHING: Keep it if its labels are the wanted ones; else make a new one.
        REQUIRED: Keep it if its labels are the wanted ones; else refuse.
        NEW: Make a new one.
        OWN: Keep it with its own labels, named or not; else refuse.
    """

    MATCHING = "matching"
    REQUIRED = "required"
    NEW = "new"
    OWN = "own"


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
    max_length: int | None = Field(
        default=None,
        ge=8,
        description="Tokens per text, special tokens included; longer texts are cut, and the output says so. If not given, "
        "as many as cover 99 % of the training texts: at least 128, and at most 512.",
    )
    long_texts: Literal["cut", "windows"] = Field(
        default="cut",
        description="What is done with texts longer than max_length: they are cut, or read in overlapping windows whose "
        "logits are averaged, in training and in prediction.",
    )
    fresh_head: bool = Field(
        default=False,
        description="Start with a new head even if the model's own has the data's labels and would be kept.",
    )
    keep_head: bool = Field(
        default=False,
        description="Require the model's own head: stop where its labels are not the data's, instead of making a new one.",
    )

    @model_validator(mode="after")
    def _one_head(self) -> ModelSource:
        if self.keep_head and self.fresh_head:
            raise ValueError("keep_head and fresh_head exclude each other; set one of them")
        return self

    @property
    def head(self) -> HeadRule:
        """Rule for the head of the checkpoint."""
        return HeadRule.NEW if self.fresh_head else HeadRule.REQUIRED if self.keep_head else HeadRule.MATCHING


MAX_LENGTH = 128
"""Tokens per text where there are no training texts to choose by, and the least that is chosen."""

"""Errors of emotune: one class per kind of mistake, each with the exit code of the command.

Every message says what was seen, what was expected and what to do, in one to three lines.
"""

from __future__ import annotations


class EmotuneError(Exception):
    """Base of errors that the user can correct; the command prints only the message and exits with `exit_code`."""

    exit_code = 2


class ConfigError(EmotuneError):
    """An invalid configuration, preset or option; lists every mistake at once."""


class DataError(EmotuneError):
    """Data that cannot be read, or rows that cannot be trained or scored on."""


class HubError(EmotuneError):
    """The Hugging Face Hub could not be reached, or lacks the model or data set."""


class ModelError(EmotuneError):
    """A base model that cannot be loaded, or that emotune does not support."""


class MethodError(EmotuneError):
    """A fine-tuning method whose options do not fit the model."""


class OutputError(EmotuneError):
    """An output folder that cannot be written, or that would be overwritten."""


class ArtifactError(EmotuneError):
    """A saved folder that is incomplete, damaged, or not made by emotune."""


class TrainingError(EmotuneError):
    """A failure that makes the training's result meaningless (weights that did not change, a loss of NaN)."""

    exit_code = 1


class VerificationError(EmotuneError):
    """A saved folder that, when loaded, does not reproduce its saved predictions."""

    exit_code = 1

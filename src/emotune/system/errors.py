"""What emotune raises when it cannot go on: one class for each kind of mistake, each with the exit code the command returns.

Every message says what was seen, what was expected and what to do next, in one to three lines.
"""

from __future__ import annotations


class EmotuneError(Exception):
    """Something the user can put right; the command prints the message alone and exits with `exit_code`."""

    exit_code = 2


class ConfigError(EmotuneError):
    """A configuration, preset or option that does not hold; lists every mistake at once."""


class DataError(EmotuneError):
    """Data that cannot be read, or rows that cannot be trained or scored on."""


class HubError(EmotuneError):
    """The Hugging Face Hub could not be reached, or does not have what was asked for."""


class ModelError(EmotuneError):
    """A base model that cannot be loaded, or that emotune does not support."""


class MethodError(EmotuneError):
    """A fine-tuning method whose options do not fit the model."""


class OutputError(EmotuneError):
    """An output folder that cannot be written, or that would be overwritten."""


class ArtifactError(EmotuneError):
    """A saved folder that is incomplete, damaged, or not one of emotune's."""


class TrainingError(EmotuneError):
    """Training went wrong in a way that makes its result meaningless (weights that did not move, a loss that is not a number)."""

    exit_code = 1


class VerificationError(EmotuneError):
    """A saved folder that, loaded again, does not give the predictions it was saved with."""

    exit_code = 1

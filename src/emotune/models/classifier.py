"""The noun of the models: a `Classifier`, a text classifier with its tokenizer and label names, tuned or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from emotune.methods.base import Method
    from emotune.models.heads import CheckpointHead
    from emotune.training.record import TrainingRecord


@dataclass(frozen=True, eq=False)
class Classifier:
    """A sequence classifier: encoder, head, tokenizer and the names of its labels.

    Attributes:
        name: The base model's Hub id, or the base name of its local folder.
        source: What was loaded: a Hub id, a local folder or "bundled:minilm". May be a path of this machine, so it is never saved.
        revision: The commit of the Hub repository, where the model came from the Hub.
        model: The transformers model in float32, or, once tuned, the PEFT model around it. In evaluation mode.
        tokenizer: Its tokenizer.
        labels: Label names; logit i belongs to `labels[i]`.
        max_length: Tokens a text, special tokens counted; longer texts are cut.
        seed: The seed that was set before the head was created.
        method: The fine-tuning method, or None for a base model.
        training: How the tuned model was trained, or None.
        temperature: What logits are divided by for calibrated probabilities, fitted on validation; None where nobody fitted one, or
            validation could choose none.
        checkpoint_head: The head that the base's checkpoint holds, and whether it was kept; None where it holds none, and for a model that
            was loaded from a saved folder.
    """

    name: str
    source: str
    revision: str | None
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...]
    max_length: int
    seed: int
    method: Method | None = None
    training: TrainingRecord | None = None
    temperature: float | None = None
    checkpoint_head: CheckpointHead | None = None

    @property
    def is_tuned(self) -> bool:
        """Whether emotune fine-tuned it."""
        return self.method is not None

    @property
    def has_new_head(self) -> bool:
        """Whether its head is random numbers that nobody has trained; its scores then measure chance."""
        return not self.is_tuned and not (self.checkpoint_head is not None and self.checkpoint_head.kept)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Save the tuned adapter, head, tokenizer and labels as a folder that plain PEFT and transformers load.

        Args:
            folder: Where to; made if it is missing.
            overwrite: Replace a result of emotune that stands there.

        Returns:
            The folder.

        Raises:
            OutputError: The folder is not empty and `overwrite` is false, or it cannot be written.
            ArtifactError: The model was not fine-tuned, so there is nothing to save.
        """
        from emotune.folder.artifact import save

        return save(self, folder, overwrite=overwrite)

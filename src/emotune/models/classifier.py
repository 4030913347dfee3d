"""The noun of the models: a `Classifier`, a text classifier with its tokenizer and label names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emotune.models.heads import CheckpointHead
from emotune.system.errors import ArtifactError
from emotune.tasks.base import Task
from emotune.tasks.single_label import SINGLE_LABEL

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


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
        task: What kind of label it gives.
        max_length: Tokens per text, special tokens counted; longer texts are cut.
        temperature: What logits are divided by for calibrated probabilities, fitted on validation; None where nobody fitted one, or
            validation could choose none.
        checkpoint_head: The head that the base's checkpoint holds, and whether it was kept; None where it holds none, and for a model that
            was loaded from a saved folder.
        new_parameters: Names of the parameters that `load_base` drew at random, since the checkpoint lacks them: those of a new head, and
            of a pooler. `finetune` draws them again from its own seed.
    """

    name: str
    source: str
    revision: str | None
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...]
    max_length: int
    temperature: float | None = None
    task: Task = SINGLE_LABEL
    checkpoint_head: CheckpointHead | None = None
    new_parameters: tuple[str, ...] = ()

    @property
    def is_tuned(self) -> bool:
        """Whether emotune fine-tuned it: then it is a `TunedClassifier`."""
        return False

    @property
    def has_new_head(self) -> bool:
        """Whether its head is random numbers that nobody has trained; its scores then measure chance."""
        return not self.is_tuned and not (self.checkpoint_head is not None and self.checkpoint_head.kept)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Refuse: there is nothing to save of a base model.

        Raises:
            ArtifactError: Always; a classifier that `finetune` gave can be saved.
        """
        raise ArtifactError(f"'{self.name}' was not fine-tuned: there is nothing to save. Call finetune first.")

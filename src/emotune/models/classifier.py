"""The `Classifier`: a text classification model with its tokenizer and label names."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emotune.data.kept import KeptRows
from emotune.models.heads import CheckpointHead
from emotune.system.errors import ArtifactError
from emotune.tasks.base import Task
from emotune.tasks.calibration import Temperature
from emotune.tasks.single_label import SINGLE_LABEL

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Classifier:
    """A sequence classifier: encoder, head, tokenizer and the names of its labels.

    Attributes:
        name: The base model's Hub id, or the base name of its local folder.
        source: The source of the base model: a Hub id, a local folder or "bundled:minilm". It may be a path on this
            machine, so it is never saved.
        revision: The commit of the Hub repository, if the model came from the Hub.
        model: The transformers model in float32 or, after fine-tuning, the PEFT model around it; in evaluation mode.
        tokenizer: Its tokenizer.
        labels: Label names; logit i belongs to `labels[i]`.
        task: The kind of label.
        max_length: Tokens per text, special tokens included; longer texts are cut.
        windows: True if texts longer than `max_length` are read in overlapping windows, not cut.
        pairs: True if it was trained on pairs of texts, False if on single texts, None for a base model.
        temperature: Divisor of the logits for calibrated probabilities, fitted on validation; None if none was fitted,
            or validation could not determine one.
        checkpoint_head: The head in the base's checkpoint, with the decision to keep it or not; None if the checkpoint
            has no head, and for a model loaded from a saved folder.
        new_parameters: Names of the parameters that `load_base` drew at random, since the checkpoint lacks them: those
            of a new head or pooler. `finetune` redraws them from its own seed.
        kept: Function that returns the rows kept for int8; None if there are none.
        made_from: How emotune made the base model, if it did: "LoRA on bert-base-uncased, merged"; else "".
    """

    name: str
    source: str
    revision: str | None
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...]
    max_length: int
    pairs: bool | None = None
    windows: bool = False
    temperature: Temperature | None = None
    task: Task = SINGLE_LABEL
    checkpoint_head: CheckpointHead | None = None
    new_parameters: tuple[str, ...] = ()
    made_from: str = ""
    kept: Callable[[], KeptRows] | None = None

    @property
    def is_tuned(self) -> bool:
        """True if emotune fine-tuned it, as for a `TunedClassifier`."""
        return False

    @property
    def has_new_head(self) -> bool:
        """True if its head is random and untrained, so that its scores measure chance."""
        return not self.is_tuned and not (self.checkpoint_head is not None and self.checkpoint_head.kept)

    def merged(self) -> PreTrainedModel:
        """Return a separate plain model of transformers, adapters merged, in float32 and evaluation mode.

        Raises:
            MethodError: The base model's weights cannot express what was trained.
        """
        model = copy.deepcopy(self.model)
        plain: PreTrainedModel = model.merge_and_unload() if hasattr(model, "peft_config") else model
        return plain.float().eval()

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Refuse to save: a base model has nothing to save.

        Raises:
            ArtifactError: Always; only the result of `finetune` can be saved.
        """
        raise ArtifactError(f"'{self.name}' was not fine-tuned: there is nothing to save. Call finetune first.")

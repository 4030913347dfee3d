"""`TunedClassifier`, the result of `finetune` and `load`, and the folder in which it is saved.

The folder holds the trained weights with the head (PEFT's own files, or a whole model after full fine-tuning), the
tokenizer, `config.json` with the labels, and `emotune.json` with everything else. It holds no path of the machine that
made it. Plain PEFT and transformers load it; the model card in it says how.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emotune.folder.format import (
    CHECKED,
    LOGIT_TOLERANCE,
    BaseModelEntry,
    Description,
    Evidence,
    VerificationEntry,
    sha256,
    versions,
    write_description,
)
from emotune.folder.kept import write_kept
from emotune.folder.probes import PROBES
from emotune.folder.record import TrainingRecord
from emotune.inference.forward import compute_logits
from emotune.methods.base import Method
from emotune.models.bundled import SOURCE as BUNDLED
from emotune.models.classifier import Classifier
from emotune.models.encoding import encode
from emotune.system.output import written_whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False, kw_only=True)
class TunedClassifier(Classifier):
    """A classifier that emotune fine-tuned.

    Attributes:
        method: The fine-tuning method.
        training: Record of the training.
    """

    method: Method
    training: TrainingRecord

    @property
    def is_tuned(self) -> bool:
        """True: emotune fine-tuned it."""
        return True

    def merged(self) -> PreTrainedModel:
        """Return a separate plain model, as the method merges it."""
        return self.method.merge(self.model)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Save the tuned adapter, head, tokenizer and labels as a folder that plain PEFT and transformers load.

        Args:
            folder: The folder to write; it is created if missing.
            overwrite: Replace a result of emotune in the folder.

        Returns:
            The folder.

        Raises:
            OutputError: The folder is not empty and `overwrite` is false, or it cannot be written.
        """
        with written_whole(Path(folder), overwrite) as work:
            write_model(self, work)
            describe(self, work)
        return Path(folder)

    @property
    def portable_source(self) -> str | None:
        """Name that loads the base on any machine: "bundled:…" or its Hub id; None for a local folder."""
        # A local folder may have the name of its model; a model from the Hub has a revision.
        from_hub = self.source == self.name and self.revision is not None
        return self.source if from_hub or self.source == BUNDLED else None


def write_model(classifier: TunedClassifier, folder: Path) -> None:
    """Write the trained weights, the tokenizer, the labels and the rows kept for int8 into an existing folder."""
    from transformers import AutoConfig

    classifier.method.save(classifier.model, folder)
    clean_tokenizer(classifier).save_pretrained(folder)
    config = AutoConfig.for_model(**classifier.model.config.to_dict())
    config.name_or_path = ""
    config.save_pretrained(folder)
    if classifier.kept is not None:
        write_kept(classifier.kept(), folder)


def clean_tokenizer(classifier: Classifier) -> PreTrainedTokenizerBase:
    """Return a copy of the tokenizer that cuts long texts as in training, without settings left by the last call."""
    tokenizer = copy.deepcopy(classifier.tokenizer)
    for setting in (
        "max_length",
        "stride",
        "truncation_strategy",
        "truncation_side",
        "pad_to_multiple_of",
        "local_files_only",
        "is_local",
    ):
        tokenizer.init_kwargs.pop(setting, None)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()
    tokenizer.model_max_length = classifier.max_length
    return tokenizer


def describe(classifier: TunedClassifier, folder: Path, evidence: Evidence | None = None) -> None:
    """Write `emotune.json` into the classifier's folder, last: it holds the checksums of every other file.

    Args:
        classifier: The saved classifier.
        folder: The folder, all other files in place.
        evidence: Settings and results of a run, to be saved with it.
    """
    # Each with the next one, for a model of pairs.
    seconds = (*PROBES[1:], PROBES[0]) if classifier.pairs else None
    probes = VerificationEntry.inputs_of(PROBES, seconds)
    logits = compute_logits(
        classifier.model, encode(classifier.tokenizer, probes, classifier.max_length, classifier.windows)
    )
    verification = VerificationEntry(
        texts=PROBES, seconds=seconds, logits=tuple(map(tuple, logits.tolist())), tolerance=LOGIT_TOLERANCE
    )
    description = Description(
        emotune=versions()["emotune"],
        base_model=BaseModelEntry(
            name=classifier.name,
            source=classifier.portable_source,
            revision=classifier.revision,
            made_from=classifier.made_from,
        ),
        task=classifier.task.name,
        labels=classifier.labels,
        max_length=classifier.max_length,
        pairs=bool(classifier.pairs),
        windows=classifier.windows,
        method=classifier.method,
        temperature=classifier.temperature,
        thresholds=classifier.task.thresholds,
        at_least_one=classifier.task.at_least_one,
        training=classifier.training,
        versions=versions(),
        verification=verification,
        files={name: sha256(folder / name) for name in CHECKED if (folder / name).is_file()},
        **dict(evidence or {}),
    )
    write_description(folder, description)

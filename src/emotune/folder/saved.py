"""`SavedFolder`: a folder that emotune saved, found complete, and the loading of its classifier on a base model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from emotune.folder.format import KEPT, PREDICTIONS, Description, read_description, sha256
from emotune.folder.kept import read_kept
from emotune.folder.place import saved_folder
from emotune.folder.tuned import TunedClassifier
from emotune.methods.base import Method
from emotune.models.encoding import keep_types_of
from emotune.models.folder import TOKENIZER_FILES
from emotune.models.load import untrained_model
from emotune.system.errors import ArtifactError
from emotune.system.outside import translated
from emotune.tasks.base import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class SavedFolder:
    """A saved folder that was found complete, with its description.

    Attributes:
        folder: The folder.
        description: Its `emotune.json`.
        given: The base model's location given by the caller.
    """

    folder: Path
    description: Description
    given: str | Path | None

    @classmethod
    def checked(cls, folder: str | Path, base: str | Path | None, revision: str | None = None) -> SavedFolder:
        """Check a folder without loading anything; arguments and errors as in `load`."""
        folder = saved_folder(folder, revision)
        description = read_description(folder)
        method, recorded = description.method, description.base_model
        if base is None and recorded.source is None and method.needs_base:
            raise ArtifactError(
                f"'{folder}' was trained on a base model from a local folder ('{recorded.name}'), "
                "which it does not contain. "
                "Say where it is with --base FOLDER (base=... in Python)."
            )
        for name in (*method.files, "config.json", "tokenizer_config.json", *description.files):
            if name in (PREDICTIONS, KEPT):  # not needed for loading
                continue
            if not (folder / name).is_file():
                raise ArtifactError(
                    f"'{folder}' is incomplete: {name} is missing. Copy the whole folder, or save the model again."
                )
        return cls(folder, description, base)

    @property
    def base(self) -> str | Path:
        """Name or path that loads the base model; the folder itself if it is a whole model of a base without a name."""
        source = self.description.base_model.source if self.given is None else self.given
        return self.folder if source is None else source

    @property
    def base_revision(self) -> str | None:
        """The base's commit on the Hub, if it is loaded from there."""
        return None if self.given is not None else self.description.base_model.revision

    @property
    def method(self) -> Method:
        """The fine-tuning method."""
        return self.description.method

    @property
    def task(self) -> Task:
        """The task: the kind of label."""
        return self.description.kind

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names, in the order of the logits."""
        return self.description.labels

    @property
    def max_length(self) -> int:
        """Tokens per text."""
        return self.description.max_length

    def classifier(
        self, base: Callable[[], PreTrainedModel], tokenizers: dict[str, PreTrainedTokenizerBase] | None = None
    ) -> TunedClassifier:
        """Load the classifier.

        Args:
            base: Function that returns the base model, for methods that need one.
            tokenizers: Tokenizers loaded so far, by base model and checksums of their files; None to share none.
        """
        model = self.method.load(self.folder, base if self.method.needs_base else lambda: untrained_model(self.folder))
        tokenizer = self._tokenizer({} if tokenizers is None else tokenizers)
        keep_types_of(model, tokenizer)
        recorded = self.description.base_model
        return TunedClassifier(
            name=recorded.name,
            source=str(self.base),
            revision=recorded.revision,
            model=model.eval(),
            tokenizer=tokenizer,
            labels=self.labels,
            max_length=self.max_length,
            pairs=self.description.pairs,
            windows=self.description.windows,
            task=self.task,
            method=self.method,
            training=self.description.training,
            temperature=self.description.temperature,
            made_from=recorded.made_from,
            kept=partial(read_kept, self.folder, self.description) if (self.folder / KEPT).is_file() else None,
        )

    def _tokenizer(self, tokenizers: dict[str, PreTrainedTokenizerBase]) -> PreTrainedTokenizerBase:
        # Imported only now: the import takes seconds, and a mistyped path is reported without it.
        from transformers import AutoTokenizer

        files = {name: sha256(self.folder / name) for name in TOKENIZER_FILES if (self.folder / name).is_file()}
        # How the files are read also depends on the architecture.
        key = json.dumps([self.description.base_model.name, files], sort_keys=True)
        if key not in tokenizers:
            with translated(
                lambda reason: ArtifactError(
                    f"The tokenizer in '{self.folder}' is damaged: {reason}. Copy the folder again, or save the model again."
                )
            ):
                tokenizers[key] = AutoTokenizer.from_pretrained(str(self.folder), trust_remote_code=False)
        return tokenizers[key]

"""Many saved folders over one copy of their base model: the memory of one model, and a little per folder."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from emotune.folder.base import encoder_for, open_base
from emotune.folder.saved import SavedFolder
from emotune.folder.tuned import TunedClassifier
from emotune.models.load import OpenBase
from emotune.system.errors import ArtifactError, EmotuneError
from emotune.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_many(
    folders: Iterable[str | Path], *, base: str | Path | None = None, progress: Progress = SILENT
) -> dict[str, TunedClassifier]:
    """Load many saved folders over one copy of each base model; their labels may differ.

    Each result is a classifier as returned by `load`, with its own adapter, pooler and head, and the same predictions
    bit for bit. Classifiers with the same base share the memory of its frozen weights, and those with the same
    tokenizer files share the tokenizer. So their weights must not be changed in place, and `model.to("cuda")` makes one
    copy per classifier. Folders of full fine-tuning are whole models and share no weights. Folders of QLoRA share all
    weights except the four-bit layers.

    A `Predictor` of each shares the base's embeddings with the others, and in fp32 the matrices without adapters.

    Args:
        folders: Folders written by `save`, or names on the Hub as in `load`.
        base: The location of the base model, for folders whose base was a local folder; all folders then need the same
            one.
        progress: Front end that names the folders that share no weights.

    Returns:
        The classifiers by folder, as given and in the given order.

    Raises:
        ArtifactError: A folder is incomplete or damaged, or its base model is not known; there are no folders; or
            `base` is given for folders with different ones.
        ModelError: A base model cannot be loaded.
        HubError: A base model is on the Hub, and the Hub cannot be reached.
    """
    if isinstance(folders, (str, Path)):
        raise ArtifactError(
            f"load_many takes a list of folders, and was given one. Write load_many([{str(folders)!r}])."
        )
    wanted = {str(folder): SavedFolder.checked(folder, base) for folder in folders}
    if not wanted:
        raise ArtifactError("There is no folder to load. Give at least one that emotune run saved.")
    if base is not None:
        _refuse_different_bases(wanted)
    bases = SharedBases()
    found = {}
    for folder, saved in wanted.items():
        if not saved.method.needs_base:
            progress.say(f"'{folder}' is a whole model ({saved.method.title}): it shares no weights with the others")
        try:
            found[folder] = bases.classifier(saved)
        except EmotuneError as error:
            if f"'{folder}'" in str(error):
                raise
            raise type(error)(f"'{folder}': {error}") from None
    return found


class SharedBases:
    """Base models and tokenizers that saved folders share, each read when a folder first needs it.

    Holding it keeps the base models in memory, so that further folders can be loaded on them.
    """

    def __init__(self) -> None:
        self._bases: dict[tuple[str, str | None], OpenBase] = {}
        self._tokenizers: dict[str, PreTrainedTokenizerBase] = {}

    def classifier(self, saved: SavedFolder) -> TunedClassifier:
        """Load a folder; its frozen weights are those of all other folders on the same base.

        Raises:
            ArtifactError: The folder is damaged, or does not fit its base model.
            ModelError: The base model cannot be loaded.
            HubError: The base model is on the Hub, and the Hub cannot be reached.
        """
        return saved.classifier(partial(self._model, saved), self._tokenizers)

    def _model(self, saved: SavedFolder) -> PreTrainedModel:
        key = (str(saved.base), saved.base_revision)
        if key not in self._bases:
            self._bases[key] = open_base(saved.base, saved.base_revision)
        return encoder_for(saved, self._bases[key])


def _refuse_different_bases(folders: dict[str, SavedFolder]) -> None:
    """Refuse one given base model for folders that name different ones."""
    of_name = {
        saved.description.base_model.name: folder
        for folder, saved in reversed(folders.items())
        if saved.method.needs_base
    }
    if len(of_name) > 1:
        examples = ", ".join(f"'{folder}' on {name}" for name, folder in reversed(of_name.items()))
        raise ArtifactError(
            f"One base model was given, and the folders were trained on {len(of_name)}: {examples}. "
            "Load the folders of each base model separately."
        )

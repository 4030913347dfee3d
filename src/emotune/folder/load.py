"""`load`: a folder as a classifier, whether emotune, transformers or PEFT saved it."""

from __future__ import annotations

from pathlib import Path

from emotune.folder.base import encoder_for, open_base
from emotune.folder.place import saved_folder
from emotune.folder.plain import PlainFolder, is_plain
from emotune.folder.saved import SavedFolder
from emotune.folder.tuned import TunedClassifier
from emotune.models.classifier import Classifier


def load(folder: str | Path, *, base: str | Path | None = None, revision: str | None = None) -> Classifier:
    """Load a folder that emotune, transformers or PEFT saved, from this machine or from the Hub.

    A folder of emotune gives a `TunedClassifier`. The labels of a plain folder are those in its config.json, and its
    texts are cut at the limit of its tokenizer or its positions.

    Args:
        folder: A folder written by `save`, a plain folder of transformers or PEFT, or the name on the Hub of one that
            emotune pushed: "user/name" or "user/name@revision". A path that exists comes first.
        base: Location of the base model, for folders whose base was a local folder; or a local copy of a Hub model.
        revision: Branch, tag or commit on the Hub.

    Raises:
        ArtifactError: The folder is incomplete or damaged, or its base model is not known.
        ModelError: The base model cannot be loaded, or a plain model has no classification head.
        HubError: The folder or the base model is on the Hub, and the Hub cannot be reached.
    """
    place = saved_folder(folder, revision)
    if is_plain(place):
        return PlainFolder.opened(place, base).classifier()
    return load_saved(place, base=base)


def load_saved(folder: str | Path, *, base: str | Path | None = None, revision: str | None = None) -> TunedClassifier:
    """Load a folder that emotune saved; arguments and errors as in `load`.

    Raises:
        ArtifactError: Also if it was not emotune that saved the folder.
    """
    saved = SavedFolder.checked(folder, base, revision)
    return saved.classifier(lambda: encoder_for(saved, open_base(saved.base, saved.base_revision)))

"""`load`: a saved folder as a classifier."""

from __future__ import annotations

from pathlib import Path

from emotune.folder.base import encoder_for, open_base
from emotune.folder.saved import SavedFolder
from emotune.folder.tuned import TunedClassifier


def load(folder: str | Path, *, base: str | Path | None = None, revision: str | None = None) -> TunedClassifier:
    """Load a saved folder, from this machine or from the Hub.

    Args:
        folder: A folder written by `save`, or the name on the Hub of one that was pushed: "user/name" or
            "user/name@revision". A path that exists comes first.
        base: Location of the base model, for folders whose base was a local folder; or a local copy of a Hub model.
        revision: Branch, tag or commit on the Hub.

    Raises:
        ArtifactError: The folder is incomplete or damaged, or its base model is not known.
        ModelError: The base model cannot be loaded.
        HubError: The folder or the base model is on the Hub, and the Hub cannot be reached.
    """
    saved = SavedFolder.checked(folder, base, revision)
    return saved.classifier(lambda: encoder_for(saved, open_base(saved.base, saved.base_revision)))

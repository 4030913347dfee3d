"""Location of a base model: bundled with a package, in a local folder, or on the Hub, from which it is fetched.

All three result in a folder on this machine.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from emotune.models import bundled
from emotune.models.folder import CONFIG, FILES_TO_DOWNLOAD, WEIGHT_FILES, WEIGHTS, WEIGHTS_INDEX
from emotune.system.errors import ModelError
from emotune.system.hub import translate_hub_errors, without_bars
from emotune.system.names import is_hub_id
from emotune.system.text import printable, reason_of


@dataclass(frozen=True)
class FoundModel:
    """A base model found on this machine.

    Attributes:
        name: Its name in results: see `Classifier.name`.
        source: The name that the caller gave; messages use it.
        folder: The folder with its files.
        revision: The Hub's commit, if it came from the Hub.
    """

    name: str
    source: str
    folder: Path
    revision: str | None = None


def find_model(name: str | Path, revision: str | None, *, weights: bool = True) -> FoundModel:
    """Find a base model, and fetch it from the Hub if it is there.

    Args:
        name: As for `load_base`.
        revision: As for `load_base`.
        weights: True if its weights are needed.

    Raises:
        ModelError: There is no such model.
        HubError: The Hub could not be reached, or refused the model.
    """
    source = str(name)
    try:
        folder = Path(name).expanduser()
        exists = folder.exists()
    except (OSError, RuntimeError) as error:  # a name too long, no permission on the way, an unknown ~user
        raise ModelError(f"'{printable(source)}' cannot be read: {reason_of(error)}.") from None
    is_bundled = source.startswith("bundled:")
    if revision is not None and (is_bundled or exists):
        raise ModelError(f"'{source}' is on this machine and has no revisions; leave out revision '{revision}'.")
    if is_bundled:
        if source != bundled.SOURCE:
            raise ModelError(f"There is no '{source}'. The bundled model is {bundled.SOURCE}.")
        return FoundModel(bundled.HUB_ID, source, bundled.bundled_folder())
    if folder.is_dir():
        return FoundModel(_portable_name(folder), source, folder)
    if exists:
        raise ModelError(f"'{source}' is a file. Give the folder that holds {CONFIG}, {WEIGHTS} and the tokenizer.")
    if isinstance(name, Path) or _looks_like_path(source):
        raise ModelError(
            f"There is no folder '{source}'. Give an existing folder, a model id of the Hub, or bundled:minilm."
        )
    if not is_hub_id(source):
        raise ModelError(
            f"'{source}' is neither an existing folder nor a model id of the Hub.\n"
            "Ids of the Hub look like bert-base-uncased or owner/name."
        )
    folder = download_model(source, revision, weights=weights)
    return FoundModel(source, source, folder, revision=folder.name)


def _looks_like_path(source: str) -> bool:
    """Return whether the name of a missing folder looks like a path: Hub ids have at most one inner slash."""
    return source.startswith((".", "/", "~")) or source.endswith("/") or "\\" in source or source.count("/") > 1


def _portable_name(folder: Path) -> str:
    """Return a local folder's name for results: the Hub id in its configuration, or the folder's base name.

    The configuration's `_name_or_path` is not enough: a model saved after training still has the name of the model that
    it was trained from. It counts if the folder has the same name, as a download does.
    """
    import json

    base_name = folder.resolve().name
    try:
        stored = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return base_name  # check_folder reports mistakes in the file
    is_same = isinstance(stored, str) and is_hub_id(stored) and stored.rpartition("/")[2] == base_name
    return stored if is_same else base_name


def download_model(hub_id: str, revision: str | None, *, weights: bool = True) -> Path:
    """Fetch what loading needs into the Hub library's cache; nothing is fetched twice.

    Args:
        hub_id: The model's id.
        revision: As for `load_base`.
        weights: True if its weights are needed.

    Returns:
        The folder of the snapshot, whose name is the commit.

    Raises:
        HubError: The Hub could not be reached, or refused the model.
    """
    from huggingface_hub import snapshot_download, utils
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted = FILES_TO_DOWNLOAD if weights else [file for file in FILES_TO_DOWNLOAD if file not in WEIGHT_FILES]
    # Progress bars of downloads are for terminals, not for logs.
    bars = nullcontext() if sys.stderr.isatty() else without_bars(utils)
    with translate_hub_errors(hub_id, "model", bundled.bundled_hint(hub_id)), bars:
        try:
            return Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(wanted)))
        except LocalEntryNotFoundError as error:
            # Offline, with a snapshot of another program: it may lack only files that are not needed.
            snapshot = Path(getattr(error, "snapshot_path", None) or "/nonexistent")
            has_weights = (snapshot / WEIGHTS).is_file() or (snapshot / WEIGHTS_INDEX).is_file()
            if (snapshot / CONFIG).is_file() and (has_weights or not weights):
                return snapshot
            raise

"""Where a saved folder is: on this machine, or on the Hub, from which it is fetched.

`saved_folder` is the only function that turns a name into a folder; `load`, `verify` and the command call it.
"""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext
from pathlib import Path

from emotune.folder.files import KNOWN_FILES
from emotune.folder.format import Description, read_description, sha256
from emotune.system.errors import ArtifactError
from emotune.system.hub import translate_hub_errors, without_bars
from emotune.system.names import is_hub_id
from emotune.system.output import DESCRIPTION
from emotune.system.text import reason_of
from emotune.system.wording import in_full, listed

_COMMIT = re.compile(r"[0-9a-f]{40}")
_WAYS_ON = "Without the network: a folder on this machine, or a revision that was loaded here before, needs none."


def saved_folder(folder: str | Path, revision: str | None = None) -> Path:
    """Return the place of a saved folder on this machine; one that is on the Hub is fetched into the Hub's cache.

    A path that exists is that path. Any other text of the form user/name or user/name@revision is a model on the Hub. A
    `Path` is never looked up there. What was fetched is compared with the checksums in its `emotune.json`.

    Args:
        folder: The path, or the name on the Hub.
        revision: Branch, tag or commit on the Hub; main if neither this nor the name gives one. A commit that was
            fetched before needs no network.

    Returns:
        The folder; it may not exist if the name cannot be one on the Hub.

    Raises:
        ArtifactError: A revision is given for a folder on this machine or twice, or what is on the Hub is damaged or
            was not pushed by emotune.
        HubError: The Hub could not be reached, or refused the model.
    """
    path = Path(folder)
    try:
        exists = path.exists()
    except (OSError, ValueError) as error:  # a name too long, no permission on the way, a NUL character
        raise ArtifactError(f"{in_full(folder)} cannot be read: {reason_of(error)}.") from None
    name, at, pinned = ("", "", "") if exists or isinstance(folder, Path) else folder.partition("@")
    if not is_hub_id(name, with_owner=True):
        if revision is not None:
            raise ArtifactError(
                f"{in_full(folder)} is not a name on the Hub such as user/name, so it has no revision {revision!r}. "
                "Leave the revision out."
            )
        return path
    if at and not pinned:
        raise ArtifactError(f"{in_full(folder)} ends with @. Give a branch, tag or commit behind it, or leave @ out.")
    if pinned and revision is not None:
        raise ArtifactError(
            f"{in_full(folder)} names a revision, and so does revision={revision!r}. Give one of the two."
        )
    return _fetched(name, pinned or revision)


def _fetched(name: str, revision: str | None) -> Path:
    """Return the folder of a model on the Hub in the local cache, its files checked."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    if revision is not None and _COMMIT.fullmatch(revision):
        # A commit never changes, so that a complete copy needs no question to the Hub.
        try:
            return _checked(_snapshot(name, revision, cached=True), name)
        except (LocalEntryNotFoundError, ArtifactError):
            pass
    # Progress bars of downloads are for terminals, not for logs.
    from huggingface_hub import utils

    bars = nullcontext() if sys.stderr.isatty() else without_bars(utils)
    try:
        with translate_hub_errors(name, "model", ways_on=_WAYS_ON), bars:
            folder = _snapshot(name, revision)
    except _NotPushedError as error:
        raise ArtifactError(
            f"The model '{name}' on the Hub has no {DESCRIPTION}, so it was not pushed by emotune. "
            "Base models are given with --model, not as a saved folder."
        ) from error
    return _checked(folder, name)


def _snapshot(name: str, revision: str | None, *, cached: bool = False) -> Path:
    """Fetch the description, and then only the files of the folder that it describes, all of one commit."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        described = Path(hf_hub_download(name, DESCRIPTION, revision=revision, local_files_only=cached))
    except LocalEntryNotFoundError:
        raise
    except EntryNotFoundError as error:
        raise _NotPushedError(name) from error
    commit = described.parent.name
    return Path(snapshot_download(name, revision=commit, allow_patterns=list(KNOWN_FILES), local_files_only=cached))


class _NotPushedError(Exception):
    """The repository lacks emotune's mark."""


def _checked(folder: Path, name: str) -> Path:
    """Return a fetched folder whose files are those that its description names."""
    wrong = wrong_files(folder, read_description(folder))
    if wrong:
        raise ArtifactError(
            f"The model '{name}' at commit {folder.name} is not what was saved: {listed(wrong)} "
            f"{'is' if len(wrong) == 1 else 'are'} missing or changed. Push it again, or load another revision."
        )
    return folder


def wrong_files(folder: Path, description: Description) -> list[str]:
    """Return the files of a saved folder that are missing, or that are not those that were saved.

    Files that were left out when the folder was pushed may be missing.
    """
    return [
        file
        for file, checksum in description.files.items()
        if not ((folder / file).is_file() and sha256(folder / file) == checksum)
        and not (file in description.left_out and not (folder / file).exists())
    ]

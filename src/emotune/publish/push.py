"""Push a saved folder to the Hub, in one commit; the folder itself is only read."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.folder.files import CARD, KNOWN_FILES, OF_TEXTS, WITH_TEXTS
from emotune.folder.format import Description, read_description
from emotune.folder.place import wrong_files
from emotune.publish.card import card_for_hub, files_of_scores, has_license
from emotune.publish.remote import ATTRIBUTES, MAIN, Repository, look_at, require_hub, translate_push_errors
from emotune.publish.texts import files_with_texts, in_words
from emotune.report.hub_metadata import EVAL_RESULTS
from emotune.system.errors import ArtifactError, ConfigError, HubError, OutputError
from emotune.system.names import is_hub_id
from emotune.system.output import DESCRIPTION
from emotune.system.text import printable
from emotune.system.wording import enumerated, in_full, listed, quoted

_BRANCH = re.compile(r"\w[\w./-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
# ISO 639-1, -2 or -3, or one of the Hub's two words.
_LANGUAGE = re.compile(r"[a-z]{2,3}|code|multilingual")
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_METADATA = "Warnings while validating metadata"


@dataclass(frozen=True)
class Pushed:
    """Result of a push.

    Attributes:
        name: The name on the Hub.
        url: Address of the model's page.
        commit: The commit, which `load` takes as its revision.
        private: True if only the owners of the repository see it.
        files: Files in the commit's folder that emotune pushed, sorted.
        left_out: Files with texts of the data, or with hashes of them, that were not pushed.
        unknown: Files in the folder that emotune does not know and did not push.
        changed: False if the Hub had all of it already, so that no commit was made.
        notes: What the owner should know, one sentence each.
        pairs: True for a model of pairs of texts.
    """

    name: str
    url: str
    commit: str
    private: bool
    files: tuple[str, ...]
    left_out: tuple[str, ...]
    unknown: tuple[str, ...]
    changed: bool
    notes: tuple[str, ...]
    pairs: bool = False


def push(
    folder: str | Path,
    name: str,
    *,
    private: bool = True,
    with_texts: bool | None = None,
    revision: str | None = None,
    message: str | None = None,
    language: str | Sequence[str] = (),
    license: str | None = None,
    overwrite: bool = False,
) -> Pushed:
    """Push a saved folder to the Hub as user/name, in one commit. The folder is only read.

    The token is that of the Hub's library: HF_TOKEN, or the login of `hf auth login`.

    Args:
        folder: A folder on this machine, written by `save` or `emotune run`.
        name: The name on the Hub, user/name; the repository is created if there is none.
        private: True if only the owners of the repository may see it.
        with_texts: Whether to push the files with texts of the data; it must be given if there are any.
        revision: The branch; main if not given. It is created from main if there is none.
        message: The message of the commit.
        language: ISO 639 codes of the texts' languages for the model card; left out if not given.
        license: The Hub's identifier of the licence, such as apache-2.0, for the model card; left out if not given.
        overwrite: Replace the files of a repository that emotune did not push.

    Returns:
        What was pushed, with the commit.

    Raises:
        ConfigError: An argument is not valid, or `with_texts` is not given where the folder holds texts.
        ArtifactError: The folder is incomplete, damaged, or not made by emotune.
        OutputError: The repository holds something else, or is public where `private` is true, or the reverse.
        HubError: There is no login, or the Hub could not be reached or refused the push.
    """
    folder, branch = Path(folder), revision or MAIN
    languages = (language,) if isinstance(language, str) else tuple(language)
    _check_arguments(name, branch, message, languages, license)
    description = read_description(folder)
    _refuse_changed(folder, description)
    texts = files_with_texts(folder)
    if texts and with_texts is None:
        raise ConfigError(
            f"'{folder}' holds texts of the data: {in_words(texts)}. Nothing was pushed. "
            "Say whether they may leave this machine: --with-texts or --without-texts (with_texts=... in Python)."
        )
    hashed = [file for file in OF_TEXTS if (folder / file).is_file()]
    left_out = () if with_texts else (*(file.name for file in texts), *hashed)
    content = _content(folder, description, name, license, languages, left_out)
    return _push(
        folder, description, name, branch, content, left_out, private=private, overwrite=overwrite, message=message
    )


def _push(
    folder: Path,
    description: Description,
    name: str,
    branch: str,
    content: Mapping[str, bytes | Path],
    left_out: tuple[str, ...],
    *,
    private: bool,
    overwrite: bool,
    message: str | None,
) -> Pushed:
    """Look at the repository, create it if there is none, and make one commit."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard, constants

    token = require_hub()
    api = HfApi(token=token)
    card = content[CARD]
    if not isinstance(card, bytes):
        raise TypeError("the card is made for the Hub")
    created = False
    try:
        with translate_push_errors(name, token):
            there = look_at(api, name, branch)
            if there is not None:
                _refuse_other(there, name, branch, private=private, overwrite=overwrite)
            # Before anything is created, so that a mistake in the metadata leaves nothing behind.
            ModelCard(card.decode("utf-8")).validate(repo_type="model")
            if there is None:
                api.create_repo(name, private=private)
                created = True
            if branch != MAIN and (there is None or not there.has_branch):
                api.create_branch(name, branch=branch)
            stale = _stale(there, content)
            operations = [
                *(CommitOperationDelete(path_in_repo=path) for path in stale),
                *(CommitOperationAdd(path_in_repo=path, path_or_fileobj=what) for path, what in content.items()),
            ]
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                # One commit, unlike upload_folder, which may make several. It fails if the branch has moved since.
                made = api.create_commit(
                    name,
                    operations,
                    commit_message=message
                    or f"Push {printable(description.base_model.name)} with {description.method.title}",
                    revision=branch,
                    parent_commit=None if there is None else there.commit,
                )
    except HubError as error:
        if created:
            raise HubError(f"{error}\nThe new repository '{name}' was created, and is empty.") from error
        raise
    return Pushed(
        name=name,
        url=f"{constants.ENDPOINT}/{name}",
        commit=str(made.oid),
        private=private,
        files=tuple(sorted(content)),
        left_out=left_out,
        unknown=_unknown(folder),
        changed=there is None or made.oid != there.commit,
        notes=(
            *_notes(description, card.decode("utf-8"), there, left_out),
            *(
                " ".join(str(found.message).split()) + "."
                for found in warned
                if str(found.message).startswith(_METADATA)
            ),
        ),
        pairs=description.pairs,
    )


def _check_arguments(
    name: str, branch: str, message: str | None, languages: Sequence[str], license: str | None
) -> None:
    if not is_hub_id(name, with_owner=True):
        raise ConfigError(f"{quoted(name)} is not a name on the Hub. Expected user/name, such as user/emotions.")
    if _COMMIT.fullmatch(branch) or not _BRANCH.fullmatch(branch):
        raise ConfigError(
            f"--revision is {quoted(branch)}; expected the name of a branch, since a commit never changes."
        )
    if message is not None and not message.strip():
        raise ConfigError("--message is blank. Give a message for the commit, or leave it out.")
    wrong = [code for code in languages if not _LANGUAGE.fullmatch(code)]
    if wrong:
        raise ConfigError(f"--language is {quoted(wrong[0])}; expected an ISO 639 code, such as en.")
    if license is not None and not _LICENSE.fullmatch(license):
        raise ConfigError(
            f"--license is {quoted(license)}; expected an identifier of the Hub, such as apache-2.0 or mit."
        )


def _refuse_changed(folder: Path, description: Description) -> None:
    """Refuse a folder whose files are not those that were saved."""
    wrong = wrong_files(folder, description)
    if wrong:
        raise ArtifactError(
            f"'{folder}' has changed since it was saved: {listed(wrong)} missing or different. "
            "Nothing was pushed. Restore the files, or train again."
        )


def _content(
    folder: Path,
    description: Description,
    name: str,
    license: str | None,
    languages: Sequence[str],
    left_out: Sequence[str],
) -> dict[str, bytes | Path]:
    """Return what is pushed, by its path in the repository: files of the folder, or bytes made for the Hub."""
    content: dict[str, bytes | Path] = {
        file: folder / file for file in KNOWN_FILES if (folder / file).is_file() and file not in left_out
    }
    all_left_out = tuple(file for file in (*WITH_TEXTS, *OF_TEXTS) if file in (*description.left_out, *left_out))
    if left_out:
        # The text as it is, so that entries of a later version of emotune stay.
        values: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        values["left_out"] = list(all_left_out)
        content[DESCRIPTION] = (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()
    card = card_for_hub(folder, description, name, license=license, language=languages, left_out=left_out)
    content[CARD] = card.encode()
    return content | {path: text.encode() for path, text in files_of_scores(description).items()}


def _refuse_other(there: Repository, name: str, branch: str, *, private: bool, overwrite: bool) -> None:
    """Refuse a repository that holds something else, or that others see where they should not."""
    if private and not there.private:
        raise OutputError(
            f"'{name}' is on the Hub already, and is public: everybody would see what is pushed. "
            "Add --public if they may, or choose another name."
        )
    if not private and there.private:
        raise OutputError(
            f"'{name}' is on the Hub already, and is private, which a push does not change. "
            "Leave --public out, or make it public in its settings on the Hub first."
        )
    if not (there.is_ours or there.is_empty or overwrite):
        raise OutputError(
            f"'{name}' ({branch}) is on the Hub already, and has no {DESCRIPTION}, so it is not a result of emotune "
            f"({listed(sorted(there.files - {ATTRIBUTES}))}).\n"
            "Choose another name, or replace its files with --overwrite; its history keeps them."
        )


def _stale(there: Repository | None, content: Mapping[str, object]) -> list[str]:
    """Return the files to delete: those of an earlier push that are gone, or all others of a replaced repository."""
    if there is None:
        return []
    ours = {*KNOWN_FILES, *EVAL_RESULTS.values()}
    deleted = there.files & ours if there.is_ours else there.files - {ATTRIBUTES}
    return sorted(deleted - set(content))


def _unknown(folder: Path) -> tuple[str, ...]:
    """Return what the folder holds and emotune does not know."""
    return tuple(sorted(path.name for path in folder.iterdir() if path.name not in KNOWN_FILES))


def _notes(description: Description, card: str, there: Repository | None, left_out: Sequence[str]) -> list[str]:
    notes = []
    if not has_license(card):
        notes.append(
            "The model card names no licence, so nobody knows what they may do with it: --license ID adds one."
        )
    base = description.base_model
    if base.source is None and description.method.needs_base:
        notes.append(
            f"The base model was a local folder, {in_full(base.name)}, and is not pushed: who loads this needs it, "
            "and says where it is with --base."
        )
    earlier = sorted(there.files & set(left_out)) if there is not None else []
    if earlier:
        notes.append(
            f"Earlier commits still hold {enumerated(earlier)}: a push does not change the history of a repository."
        )
    return notes

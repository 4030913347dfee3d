"""The repository on the Hub that a folder is pushed to: what it is now, and errors of the Hub in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from emotune.system.errors import HubError
from emotune.system.hub import why_unreachable
from emotune.system.internals.hub import transport_error
from emotune.system.output import DESCRIPTION
from emotune.system.text import reason_of

MAIN = "main"
# The Hub writes it into every new repository.
ATTRIBUTES = ".gitattributes"
_LOG_IN = "Log in with `hf auth login`, or set HF_TOKEN to a token with write permission."


@dataclass(frozen=True)
class Repository:
    """A repository on the Hub.

    Attributes:
        commit: The commit at the head of the branch; that of main if there is no such branch.
        private: True if only its owners see it.
        files: Paths of all files at the commit.
        has_branch: True if there is a branch of the name asked for.
    """

    commit: str
    private: bool
    files: frozenset[str]
    has_branch: bool

    @property
    def is_empty(self) -> bool:
        """True if it has no file but that of the Hub."""
        return self.files <= {ATTRIBUTES}

    @property
    def is_ours(self) -> bool:
        """True if it has the mark of emotune."""
        return DESCRIPTION in self.files


def require_hub() -> str:
    """Return the token of the Hub library, after a look whether the Hub answers.

    Raises:
        HubError: There is none, the Hub does not answer, or the user forbids to ask it.
    """
    from huggingface_hub import constants, get_token

    token = get_token()
    if token is None:
        raise HubError(f"Pushing needs a login on the Hub, and there is none. {_LOG_IN}")
    if constants.HF_HUB_OFFLINE:
        raise HubError("HF_HUB_OFFLINE forbids to use the Hub. Unset it to push.")
    unreachable = why_unreachable()
    if unreachable is not None:
        raise HubError(
            f"The Hugging Face Hub ({constants.ENDPOINT}) could not be reached ({unreachable}). Nothing was pushed; "
            "try again later."
        )
    return token


def look_at(api: Any, name: str, branch: str) -> Repository | None:
    """Return what a repository is now; None if there is none that this token may see."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        try:
            info, has_branch = api.repo_info(name, revision=branch), True
        except RevisionNotFoundError:
            info, has_branch = api.repo_info(name), False
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        return None
    files = frozenset(file.rfilename for file in info.siblings or ())
    return Repository(info.sha, bool(info.private), files, has_branch)


@contextmanager
def translate_push_errors(name: str, token: str) -> Iterator[None]:
    """Make calls that write to the Hub fail with a `HubError` that says what to do; the token is never part of it.

    Args:
        name: The repository's name.
        token: The token, which is removed from what the Hub says.

    Raises:
        HubError: The Hub refused the call, or was lost on the way.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HfHubHTTPError as error:
        raise HubError(_refusal(error, name, token)) from error
    except HFValidationError as error:
        raise HubError(f"'{name}' cannot be the name of a model on the Hub: {_said(error, token)}.") from error
    except (transport_error(), OSError) as error:
        raise HubError(
            f"The connection to the Hub was lost while pushing to '{name}': {_said(error, token)}. "
            "A push is one commit, so it is there as a whole or not at all; look, and push again."
        ) from error
    except (RuntimeError, ValueError) as error:  # a file that could not be uploaded; metadata that the Hub refuses
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError) and cause.response.status_code != 400:
            raise HubError(_refusal(cause, name, token)) from error
        said = _said(_mistakes_in_metadata(str(error)), token)
        raise HubError(f"The Hub does not take the push to '{name}': {said}.") from error


def _refusal(error: Any, name: str, token: str) -> str:
    """Return the message for an answer of the Hub that is an error."""
    status = error.response.status_code
    said = _said(getattr(error, "server_message", None) or "", token)
    hub_says = f" The Hub says: {said}." if said else ""
    match status:
        case 401:
            return f"The Hub does not accept the token (HTTP status 401).{hub_says} {_LOG_IN}"
        case 403:
            return (
                f"The token may not write to '{name}' (HTTP status 403).{hub_says} It needs write permission for "
                f"{name.partition('/')[0]!r}: choose another name, or another token with HF_TOKEN."
            )
        case 404:
            return f"The Hub has no model '{name}' that this token may see (HTTP status 404).{hub_says} Check the spelling."
        case 409:
            return (
                f"There is a '{name}' already that this token may not see, or it was just being made "
                f"(HTTP status 409).{hub_says} Choose another name, or push again."
            )
        case 412:
            return (
                f"'{name}' was changed while it was being pushed to (HTTP status 412). Nothing was pushed; push again."
            )
        case _:
            return f"The Hub refused the push to '{name}' (HTTP status {status}).{hub_says} Nothing was pushed; try again later."


def _mistakes_in_metadata(answer: str) -> str:
    """Return the mistakes that the Hub's check of a model card lists as JSON; any other answer as it is."""
    try:
        return "; ".join(str(mistake["message"]) for mistake in json.loads(answer)["errors"])
    except (ValueError, KeyError, TypeError):
        return answer


def _said(words: object, token: str) -> str:
    """Return what a library or the Hub says, safe to show and without the token."""
    text = str(words).replace(token, "[token]") if token else str(words)
    return reason_of(ValueError(text)) if text.strip() else ""

"""Access to the Hugging Face Hub: calls fail within seconds if it cannot be reached, with a message that says why."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

from emotune.system.errors import HubError
from emotune.system.internals.hub import offline_mode, transport_error

Kind = Literal["model", "dataset"]

PROBE_SECONDS = 8.0
"""Seconds without an answer after which the Hub counts as unreachable."""

_WAYS_ON = (
    "Without the network: give your own `--data FILE`, with `--model bundled:minilm`, which comes with emotune, or `--model FOLDER`;\n"
    "`emotune run --preset quickstart` uses the model and data that come with emotune."
)

_logger = logging.getLogger(__name__)


@contextmanager
def without_bars(library: Any) -> Iterator[None]:
    """Disable the progress bars of a library, which would mix with those of the job, inside the block.

    Args:
        library: The module with its switches: `huggingface_hub.utils` or `datasets.utils`.
    """
    if library.are_progress_bars_disabled():
        yield
        return
    library.disable_progress_bars()
    try:
        yield
    finally:
        library.enable_progress_bars()


@contextmanager
def translate_hub_errors(what: str, kind: Kind, hint: str = "", ways_on: str = _WAYS_ON) -> Iterator[None]:
    """Make calls that download from the Hub fail soon, and with a `HubError`.

    The Hub's libraries wait minutes for an unreachable Hub. So the Hub is probed first. If it does not answer, the
    libraries run in their offline mode: they use the local cache, and a warning is logged; what is not in the cache
    fails at once. Errors that are not about the Hub pass unchanged.

    Args:
        what: The repository's id, such as "bert-base-uncased" or "dair-ai/emotion".
        kind: Kind of the repository: "model" or "dataset".
        hint: A sentence with an alternative that the user may have meant.
        ways_on: What can be done without the network.

    Raises:
        HubError: The Hub could not be reached and the cache lacks the repository, or the Hub refused the request.
    """
    from huggingface_hub import constants

    unreachable = None if constants.HF_HUB_OFFLINE else why_unreachable()
    try:
        with nullcontext() if unreachable is None else offline_mode(datasets=kind == "dataset"):
            yield
    except Exception as error:
        message = _explain(error, what, kind, unreachable, hint, ways_on)
        if message is None:
            raise
        raise HubError(message) from error
    if unreachable is not None:
        _logger.warning(
            "The Hugging Face Hub could not be reached (%s): %s '%s' was taken from the local cache.",
            unreachable,
            kind,
            what,
        )


def why_unreachable() -> str | None:
    """Return the reason why the Hub did not answer within `PROBE_SECONDS`, in words, or None where it answered.

    A server error (HTTP status 500 and up) counts as no answer.

    The probe uses the Hub library's session, which knows about proxies and certificates. It runs in a thread because
    the session's timeout starts anew for each of a host's addresses, and does not cover name resolution.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    reasons: list[str | None] = []

    def ask() -> None:
        try:
            status = get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS).status_code
            reasons.append(f"HTTP status {status}" if status >= 500 else None)
        except (OSError, RuntimeError, ValueError, transport_error()) as error:
            reasons.append(_first_line(error))

    thread = threading.Thread(target=ask, name="emotune-hub-probe", daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return reasons[0] if reasons else f"no answer within {PROBE_SECONDS:g} seconds"


def _explain(error: Exception, what: str, kind: Kind, unreachable: str | None, hint: str, ways_on: str) -> str | None:
    """Return the message for an error of the Hub libraries, or None where the error is not about the Hub."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{what}"
    cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error

    here = _not_here(kind, hint)

    if isinstance(cause, GatedRepoError):
        return (
            f"The {kind} '{what}' is gated: its owners decide who may download it.\n"
            f"Ask for access on {page}, then log in with `hf auth login`."
        )
    if isinstance(cause, RepositoryNotFoundError):
        return (
            f"The Hub has no {kind} '{what}', or it is private: check the spelling, or log in with `hf auth login`.\n"
            f"If you meant something on this machine: {here}"
        )
    if isinstance(cause, RevisionNotFoundError):
        return f"The {kind} '{what}' has no such revision. Its branches, tags and commits are listed on {page}."
    if isinstance(cause, HFValidationError):
        return f"'{what}' cannot be the name of a {kind} on the Hub: {_first_line(cause)}"
    if isinstance(cause, EntryNotFoundError) and not isinstance(cause, LocalEntryNotFoundError):
        return f"The {kind} '{what}' on the Hub lacks a file that is needed: {_first_line(cause)}"
    if isinstance(cause, HfHubHTTPError):
        return (
            f"The Hub refused to provide the {kind} '{what}' (HTTP status {cause.response.status_code}).\n"
            "Try again later; if it persists, look at the status page of the Hub."
        )
    if isinstance(cause, (LocalEntryNotFoundError, ConnectionError, TimeoutError, transport_error())):
        if unreachable is None and constants.HF_HUB_OFFLINE:
            return (
                f"The {kind} '{what}' is not in the local cache, and HF_HUB_OFFLINE forbids downloading it: unset it. "
                f"If you meant something on this machine: {here}\n"
                f"{ways_on}"
            )
        return (
            f"The Hugging Face Hub ({constants.ENDPOINT}) could not be reached ({unreachable or _first_line(cause)}), "
            f"and the {kind} '{what}' is not in the local cache. If you meant something on this machine: {here}\n{ways_on}"
        )
    if kind == "dataset" and isinstance(cause, FileNotFoundError):
        # The datasets library drops the Hub's own error; its message says whether the data set is missing or gated.
        return (
            f"The Hub gave no data: {_first_line(cause)}\n"
            f"Check the name, the revision and whether {page} asks for a login (`hf auth login`)."
        )
    return None


def _not_here(kind: Kind, hint: str) -> str:
    """Return the sentence that nothing on this machine has the name, followed by the hint."""
    thing = "file or folder" if kind == "dataset" else "folder"
    return f"there is no {thing} of that name.{hint and f' {hint}'}"


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__

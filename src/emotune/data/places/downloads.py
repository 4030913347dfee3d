"""Data at URLs: files of web servers, of the Hugging Face Hub, and of the stores that fsspec knows.

A file is copied to this machine before it is read, with a limit of its size. What a server answers instead of a file,
such as a page that asks to log in, is refused with what was seen.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from emotune.data.formats.compression import format_suffix
from emotune.data.formats.copies import (
    LARGEST,
    Copy,
    InputFormat,
    TemporaryFolder,
    blocks_of,
    form_of,
    suffix_of,
    write_copy,
)
from emotune.data.formats.files import KNOWN_SUFFIXES
from emotune.system.errors import ConfigError, DataError, HubError
from emotune.system.extras import require_package
from emotune.system.hub import translate_hub_errors, without_bars
from emotune.system.names import is_hub_id
from emotune.system.text import printable, reason_of
from emotune.system.version import __version__
from emotune.system.wording import in_full, quoted

SECONDS = 20.0
"""Seconds without an answer after which a server counts as unreachable."""

_HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_HTML = ("text/html", "application/xhtml+xml")
_LOOKS_LIKE_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml[^>]*>\s*<!doctype html)", re.IGNORECASE)
_FORMS: dict[str, InputFormat] = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/json": "json",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/vnd.apache.parquet": "parquet",
}
# Packages that fsspec needs for the stores that are asked for most.
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
}


@dataclass(frozen=True)
class HubPlace:
    """A data set of the Hub, or a file in it, that a URL names.

    Attributes:
        id: The id of the data set.
        revision: The branch, tag or commit, if the URL has one.
        file: The path of a file in it; "" for the whole data set.
    """

    id: str
    revision: str | None
    file: str


def is_url(name: str) -> bool:
    """Return whether a name is a URL; "C://" is not."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and len(scheme) > 1 and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) is not None


def without_secrets(url: str) -> str:
    """Return a URL without a password, and without a query, which may be a signature."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def hub_place(url: str) -> HubPlace | None:
    """Return the data set of the Hub that a URL names, or None for a URL of something else.

    Args:
        url: "hf://datasets/owner/name", the address of a page or of a file on huggingface.co, or any other URL.

    Raises:
        DataError: It names something of the Hub that is not a data set.
    """
    from huggingface_hub import constants

    parts = urlsplit(url)
    if parts.scheme == "hf":
        steps = [step for step in unquote(f"{parts.netloc}{parts.path}").split("/") if step]
    elif parts.netloc in (*_HUB_HOSTS, urlsplit(constants.ENDPOINT).netloc):
        steps = [step for step in unquote(parts.path).split("/") if step]
    else:
        return None
    if steps[:1] != ["datasets"] or len(steps) < 3:
        raise DataError(
            f"{in_full(url)} names no data set of the Hugging Face Hub. Expected hf://datasets/owner/name, "
            "hf://datasets/owner/name/file.csv, or the id owner/name."
        )
    owner, name, *rest = steps[1:]
    name, _, revision = name.partition("@")
    if parts.scheme != "hf" and rest:
        kind, *rest = rest
        if kind in ("blob", "resolve", "raw", "tree") and rest:
            revision, *rest = rest
        else:  # the viewer, the list of discussions and such
            rest = []
        if kind == "tree" and rest:
            raise DataError(
                f"{in_full(url)} is a folder of a data set. Give the data set, {owner}/{name}, or one of its files."
            )
    if not is_hub_id(f"{owner}/{name}", with_owner=True):
        raise DataError(
            f"{in_full(url)} names no data set of the Hugging Face Hub: {quoted(f'{owner}/{name}')} is no id."
        )
    return HubPlace(f"{owner}/{name}", revision or None, "/".join(rest))


def fetch(url: str, form: InputFormat | None) -> Copy:
    """Copy the file at a URL to this machine.

    Args:
        url: A URL of a web server or of a store that fsspec knows; one of the Hub needs `fetch_from_hub`.
        form: The format of the file; None to find it out from its name, its type or its content.

    Raises:
        DataError: There is no such file, it is too large, or the server answered with something else.
        HubError: The server cannot be reached.
        ConfigError: The store needs a package that is not installed.
    """
    parts = urlsplit(url)
    held = TemporaryFolder()
    path = held.path / "rows"
    if parts.scheme in ("http", "https"):
        size, names, kind = _from_web(url, path)
    else:
        size, names, kind = _from_store(url, parts, path), [parts.path], None
    shown = printable(without_secrets(url))
    named = next((suffix for name in names if (suffix := _suffix(name))), None)
    notes = [f"Read from {shown}: {size:,} bytes."]
    if form is not None:
        named = suffix_of(form)
    elif named is None:
        found = kind or form_of(path)
        named = suffix_of(found)
        why = "the server's type" if kind else "its content"
        notes.append(f"It is read as {found.upper()}, going by {why}; --input-format names another.")
    return Copy(path.rename(path.with_name(f"rows{named}")), shown, tuple(notes), held)


def fetch_from_hub(place: HubPlace, url: str, revision: str | None) -> Copy:
    """Download a file of a data set of the Hub, or take it from the cache.

    Args:
        place: The file.
        url: The URL that names it.
        revision: The revision asked for; None for that of the URL, or the newest.

    Raises:
        HubError: The Hub cannot be reached, or does not have it.
    """
    from huggingface_hub import hf_hub_download, utils

    with translate_hub_errors(place.id, "dataset"), without_bars(utils):
        path = hf_hub_download(place.id, place.file, repo_type="dataset", revision=revision or place.revision)
    note = f"Read {place.file} of the data set {place.id} of the Hugging Face Hub: {Path(path).stat().st_size:,} bytes."
    return Copy(Path(path), printable(without_secrets(url)), (note,))


def _suffix(name: str) -> str | None:
    """Return the suffixes by which a file's name tells its format and compression."""
    path = PurePosixPath(unquote(name))
    if format_suffix(Path(path.name)) not in KNOWN_SUFFIXES:
        return None
    whole = "".join(path.suffixes[-2:]) if path.suffix.lower() != format_suffix(Path(path.name)) else path.suffix
    return whole.lower()


# --- web servers ------------------------------------------------------------------------------------------------------


def _from_web(url: str, path: Path) -> tuple[int, list[str], InputFormat | None]:
    """Download a file; return its size, the names that it may have, and its format by the server's word."""
    shown = in_full(without_secrets(url))
    request = urllib.request.Request(url, headers={"User-Agent": f"emotune/{__version__}", "Accept": "*/*"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            headers: Message = answer.headers
            moved = "" if answer.url == url else f", at {in_full(without_secrets(answer.url))}"
            if headers.get_content_type() in _HTML:
                raise _no_file(shown, moved, answer.read(_LOOKED_AT))
            length = headers.get("Content-Length", "")
            if length.isdigit() and int(length) > LARGEST:
                raise DataError(
                    f"{shown} has {int(length):,} bytes, and at most {LARGEST:,} are downloaded. "
                    "Download it yourself, and give the file."
                )
            size = write_copy(blocks_of(answer), path, shown)
    except urllib.error.HTTPError as error:
        with error:
            raise DataError(
                f"{shown}: the server answered {error.code} ({error.reason}).{_advice(error.code)}"
            ) from None
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise HubError(
            f"{shown} could not be reached ({reason_of(getattr(error, 'reason', None) or error)}). "
            "Check the address and the network; or download the file elsewhere, and give its path."
        ) from None
    except ValueError as error:
        raise DataError(f"{shown} is no URL that can be opened: {reason_of(error)}.") from None
    if length.isdigit() and size != int(length):
        raise HubError(f"{shown}: the connection broke after {size:,} of {int(length):,} bytes. Try again.")
    if not size:
        raise DataError(f"{shown} is empty (0 bytes).")
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    if _LOOKS_LIKE_HTML.match(start):
        raise _no_file(shown, moved, start)
    names = [headers.get_filename() or "", urlsplit(answer.url).path, urlsplit(url).path]
    return size, names, _FORMS.get(headers.get_content_type())


_LOOKED_AT = 4096


def _no_file(shown: str, moved: str, start: bytes) -> DataError:
    """Return the error of an address that answers with a page."""
    title = re.search(rb"<title[^>]*>(.*?)</title>", start, re.IGNORECASE | re.DOTALL)
    named = f", titled {quoted(' '.join(title[1].decode('utf-8', 'replace').split()))}" if title else ""
    return DataError(
        f"{shown} answered with a web page (HTML){moved}{named}, and no file of rows.\n"
        "Give the address of the file itself, often a link named raw or download. "
        "If the page asks to log in, download the file with a browser, and give its path."
    )


def _advice(code: int) -> str:
    if code in (401, 403):
        return " It asks for a login or refuses access: download the file with what has access, and give its path."
    return " Check the address." if code in (404, 410) else " Try again later."


# --- stores that fsspec knows -----------------------------------------------------------------------------------------


def _from_store(url: str, parts: SplitResult, path: Path) -> int:
    """Copy a file of a store, and return its size."""
    import fsspec

    shown = in_full(without_secrets(url))
    package = _PACKAGES.get(parts.scheme)
    if package is not None:
        require_package(package, f"{parts.scheme}://")
    if any(character in parts.path for character in "*?["):
        raise DataError(f"{shown} is a pattern, and patterns in URLs are not expanded. Give the URL of one file.")
    try:
        store, inner = fsspec.core.url_to_fs(url)
        if store.isdir(inner):
            raise DataError(f"{shown} is a folder. Give the URL of one file.")
        size = store.size(inner)
        if size is not None and size > LARGEST:
            raise DataError(f"{shown} has {size:,} bytes, and at most {LARGEST:,} are downloaded.")
        with store.open(inner, "rb") as stream:
            size = write_copy(blocks_of(stream), path, shown)
    except FileNotFoundError:
        raise DataError(f"{shown}: there is no such file. Check the address.") from None
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{shown} cannot be opened: {reason_of(error)}.") from None
    except DataError:
        raise
    except Exception as error:  # every store has its own errors: of its network, of access, of its protocol
        raise HubError(f"{shown} could not be read: {type(error).__name__}: {reason_of(error)}.") from None
    if not size:
        raise DataError(f"{shown} is empty (0 bytes).")
    return size

"""A Hub on this machine: serves folders over as much of the Hub's protocol as the Hugging Face libraries need.

    with serve_hub(models={"owner/name": folder}) as hub:
        subprocess.run([...], env=hub.environment(cache))

With accounts it also takes what is pushed: creating repositories and branches, and commits with large files (LFS).
The libraries read HF_ENDPOINT when they are imported, so whatever talks to this server runs in a process of its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub_store import ATTRIBUTES, Account, Repository, etag, from_folder

# Files of these formats go through the protocol for large files, as on the Hub; others stand in the commit itself.
LARGE = (".safetensors", ".parquet")
Validator = Callable[[str], list[str]]


@dataclass(frozen=True)
class Hub:
    """A running server.

    Attributes:
        endpoint: Its address, as HF_ENDPOINT wants it.
        commits: The first commit of each repository that was given, by its id.
        requests: The method and path of every request so far, such as "GET /api/models/owner/name".
        repositories: All repositories by kind and id; what is pushed is added.
        failures: Answers by the beginning of "METHOD /path" that are errors; may be changed while it runs.
    """

    endpoint: str
    commits: Mapping[str, str]
    requests: list[str] = field(default_factory=list)
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    failures: dict[str, HTTPStatus] = field(default_factory=dict)

    def model(self, id: str) -> Repository:
        """The repository of a model."""
        return self.repositories["models", id]

    def environment(self, cache: Path, **extra: str) -> dict[str, str]:
        """The environment for a process that is to take this server for the Hub.

        Args:
            cache: Folder of the process's own Hub cache.
            extra: Further variables; they come last.
        """
        return hub_environment(self.endpoint, cache, **extra)


def hub_environment(endpoint: str, cache: Path, **extra: str) -> dict[str, str]:
    """The environment for a process whose Hub is at `endpoint`, whether anything answers there or not."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("HF_", "HUGGINGFACE_", "TRANSFORMERS_")) and not key.lower().endswith("_proxy")
    }
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
    return {**inherited, **own, **extra}


@contextmanager
def serve_hub(
    models: Mapping[str, Path] | None = None,
    datasets: Mapping[str, Path] | None = None,
    *,
    gated: Collection[str] = (),
    private: Collection[str] = (),
    accounts: Mapping[str, Account] | None = None,
    validator: Validator | None = None,
    status: HTTPStatus | None = None,
) -> Iterator[Hub]:
    """Serve folders as repositories, each with one commit, until the block ends.

    Args:
        models: Folders by the id of the model they stand for.
        datasets: Folders by the id of the data set they stand for.
        gated: Ids of repositories that everybody may see and nobody may download.
        private: Ids of repositories that only their owner may see.
        accounts: Accounts by their token.
        validator: Returns the mistakes in a model card's text.
        status: Answer every request with this error instead.
    """
    repositories = {
        (kind, name): from_folder(name, kind, folder, gated=name in gated, private=name in private)
        for kind, folders in (("models", models or {}), ("datasets", datasets or {}))
        for name, folder in folders.items()
    }

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(
        endpoint=f"http://127.0.0.1:{server.server_address[1]}",
        commits={name: repository.commit for (_, name), repository in repositories.items()},
        repositories=repositories,
        failures={} if status is None else {"": status},
    )
    Handler.hub, Handler.accounts, Handler.large = hub, accounts or {}, {}
    Handler.validator = staticmethod(validator or (lambda card: []))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request; subclassed with what is to be served."""

    protocol_version = "HTTP/1.1"
    hub: Hub
    accounts: Mapping[str, Account]
    large: dict[str, bytes]
    validator: Callable[[str], list[str]]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        request = f"{self.command} {url.path}"
        self.hub.requests.append(request)
        failure = next((status for start, status in self.hub.failures.items() if request.startswith(start)), None)
        if failure is not None:
            return self._fail(failure)
        if self._token is not None and self._token not in self.accounts:
            return self._fail(HTTPStatus.UNAUTHORIZED, "", "Invalid credentials in Authorization header")
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if self.command == "PUT" and parts[0] == "large":
            return self._take_large(parts[1], body)
        if parts == ["api", "validate-yaml"]:
            return self._validate(json.loads(body)["content"])
        if parts == ["api", "repos", "create"]:
            return self._create(json.loads(body))
        if parts[0] == "api":
            found = self._find(parts[1], parts[2:])
            return self._fail_unknown() if found is None else self._answer_api(*found, parse_qs(url.query), body)
        if parts[-3:] == ["lfs", "objects", "batch"]:
            return self._offer_large(json.loads(body))
        kind, rest = ("datasets", parts[1:]) if parts[0] == "datasets" else ("models", parts)
        found = self._find(kind, rest)
        return self._fail_unknown() if found is None else self._answer_file(*found)

    @property
    def _token(self) -> str | None:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if kind == "Bearer" else None

    @property
    def _account(self) -> Account | None:
        return self.accounts.get(self._token or "")

    def _find(self, kind: str, parts: list[str]) -> tuple[Repository, list[str]] | None:
        """The repository that a path begins with, whose id has one part or two, and the path's other parts."""
        for length in (2, 1):
            repository = self.hub.repositories.get((kind, "/".join(parts[:length])))
            if repository is not None and (not repository.private or self._owns(repository.owner)):
                return repository, parts[length:]
        return None

    def _owns(self, owner: str) -> bool:
        return self._account is not None and self._account.name == owner

    def _may_write(self, owner: str) -> bool:
        return self._owns(owner) and self._account is not None and self._account.may_write

    def _answer_api(self, repository: Repository, rest: list[str], query: Mapping[str, list[str]], body: bytes) -> None:
        what, revision, *path = rest if len(rest) > 1 else ["revision", "main"]
        if what in ("branch", "preupload", "commit") and not self._may_write(repository.owner):
            return self._refuse_writing(repository.owner)
        if what == "branch":
            return self._branch(repository, revision, json.loads(body or b"{}"))
        commit = repository.resolved(revision)
        if commit is None:
            return self._fail(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
        if what == "revision":
            return self._send_json(repository.info(commit))
        if what == "tree":
            recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
            tree = repository.tree(commit, "/".join(path), recursive=recursive)
            return self._fail(HTTPStatus.NOT_FOUND, "EntryNotFound") if tree is None else self._send_json(tree)
        if what == "paths-info":
            return self._send_json(repository.paths_info(commit, _paths(body)))
        if what == "preupload":
            return self._modes(repository.files(commit), json.loads(body)["files"])
        if what == "commit":
            return self._commit(repository, revision, [json.loads(line) for line in body.splitlines()])
        return self._fail(HTTPStatus.NOT_FOUND)

    def _answer_file(self, repository: Repository, rest: list[str]) -> None:
        if len(rest) < 3 or rest[0] != "resolve":
            return self._fail(HTTPStatus.NOT_FOUND)
        if repository.gated:
            return self._fail(HTTPStatus.UNAUTHORIZED, "GatedRepo", "Access to this repository is restricted.")
        found = repository.resolved(rest[1])
        if found is None:
            return self._fail(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {rest[1]}")
        commit = {"X-Repo-Commit": found}
        content = repository.files(found).get("/".join(rest[2:]))
        if content is None:
            return self._fail(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found", **commit)
        headers = {**commit, "ETag": f'"{etag(content)}"', "Accept-Ranges": "bytes"}
        start, end = self._range(len(content))
        if (start, end) == (0, len(content)):
            return self._send(HTTPStatus.OK, content, "application/octet-stream", **headers)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return self._send(HTTPStatus.PARTIAL_CONTENT, content[start:end], "application/octet-stream", **headers)

    def _validate(self, card: str) -> None:
        mistakes = type(self).validator(card)
        content = {"errors": [{"message": mistake} for mistake in mistakes], "warnings": []}
        status = HTTPStatus.BAD_REQUEST if mistakes else HTTPStatus.OK
        self._send(status, json.dumps(content).encode(), "application/json")

    def _create(self, wanted: Mapping[str, Any]) -> None:
        owner = wanted["organization"] or (self._account.name if self._account else "")
        if not self._may_write(owner):
            return self._refuse_writing(owner)
        name = f"{owner}/{wanted['name']}"
        if ("models", name) in self.hub.repositories:
            return self._fail(HTTPStatus.CONFLICT, "", "You already created this model repo")
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        repository = Repository(name, "models", private=private)
        repository.add("main", {ATTRIBUTES: b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})
        self.hub.repositories["models", name] = repository
        return self._send_json({"url": f"{self.hub.endpoint}/{name}"})

    def _branch(self, repository: Repository, branch: str, wanted: Mapping[str, Any]) -> None:
        if branch in repository.branches:
            return self._fail(HTTPStatus.CONFLICT, "", "Reference already exists")
        repository.branches[branch] = repository.resolved(wanted.get("startingPoint", "main")) or repository.commit
        return self._send_json({})

    def _modes(self, files: Mapping[str, bytes], wanted: list[dict[str, Any]]) -> None:
        self._send_json(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                        "shouldIgnore": False,
                        "oid": _upload_id(file["path"], files[file["path"]]) if file["path"] in files else None,
                    }
                    for file in wanted
                ]
            }
        )

    def _offer_large(self, wanted: Mapping[str, Any]) -> None:
        objects = []
        for item in wanted["objects"]:
            href = f"{self.hub.endpoint}/large/{item['oid']}"
            action = {} if item["oid"] in self.large else {"actions": {"upload": {"href": href, "header": {}}}}
            objects.append({"oid": item["oid"], "size": item["size"], **action})
        self._send_json({"transfer": "basic", "objects": objects})

    def _take_large(self, oid: str, body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            return self._fail(HTTPStatus.BAD_REQUEST, "", "The content is not that of the checksum")
        self.large[oid] = body
        return self._send(HTTPStatus.OK, b"", "text/plain")

    def _commit(self, repository: Repository, branch: str, lines: list[dict[str, Any]]) -> None:
        header, *operations = lines
        head = repository.branches.get(branch)
        if head is None:
            return self._fail(HTTPStatus.BAD_REQUEST, "", "Commits go to branches")
        if header["value"].get("parentCommit", head) != head:
            return self._fail(HTTPStatus.PRECONDITION_FAILED, "", "A commit has happened since.")
        files = dict(repository.files(head))
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
            else:
                del files[value["path"]]
        repository.messages.append(header["value"]["summary"])
        commit = repository.add(branch, files)
        url = f"{self.hub.endpoint}/{repository.id}/commit/{commit}"
        return self._send_json({"success": True, "commitOid": commit, "commitUrl": url})

    def _range(self, size: int) -> tuple[int, int]:
        """The bytes asked for, the end not included: "bytes=0-99" and "bytes=100-" are what clients send."""
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        return int(first), min(int(last) + 1 if last else size, size)

    def _refuse_writing(self, owner: str) -> None:
        if self._account is None:
            return self._fail(HTTPStatus.UNAUTHORIZED, "", "Invalid username or password.")
        message = f"You don't have the rights to create a model under the namespace {owner}"
        return self._fail(HTTPStatus.FORBIDDEN, "", message)

    def _fail_unknown(self) -> None:
        # To somebody who is not logged in, a repository that does not exist and a private one look alike.
        status = HTTPStatus.UNAUTHORIZED if self._account is None else HTTPStatus.NOT_FOUND
        self._fail(status, "RepoNotFound", "Repository not found")

    def _fail(self, status: HTTPStatus, code: str = "", message: str = "", **headers: str) -> None:
        if code or message:
            headers |= {"X-Error-Message": message or code} | ({"X-Error-Code": code} if code else {})
        self._send(status, json.dumps({"error": message}).encode(), "application/json", **headers)

    def _send_json(self, content: Any) -> None:
        self._send(HTTPStatus.OK, json.dumps(content).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, content_type: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _upload_id(path: str, content: bytes) -> str:
    """The id by which the client finds a file unchanged: SHA-256 of large files, git's id of others."""
    return hashlib.sha256(content).hexdigest() if path.endswith(LARGE) else etag(content)


def _paths(body: bytes) -> list[str]:
    """The paths of a paths-info request, which comes as JSON or as a form."""
    try:
        paths = json.loads(body)["paths"]
    except ValueError:
        paths = parse_qs(body.decode())["paths"]
    return [paths] if isinstance(paths, str) else list(paths)

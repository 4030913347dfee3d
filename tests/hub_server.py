"""A Hub on this machine: serves folders over as much of the Hub's protocol as the Hugging Face libraries need.

    with serve_hub(models={"owner/name": folder}) as hub:
        subprocess.run([...], env=hub.environment(cache))

The libraries read HF_ENDPOINT when they are imported, so whatever talks to this server runs in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class _Repository:
    """One repository with one commit, whose files are those of a folder."""

    id: str
    kind: str
    folder: Path
    gated: bool

    @cached_property
    def files(self) -> dict[str, Path]:
        """Every file by its path inside the repository."""
        return {
            path.relative_to(self.folder).as_posix(): path for path in sorted(self.folder.rglob("*")) if path.is_file()
        }

    @cached_property
    def commit(self) -> str:
        """A commit id that depends on what the files hold."""
        return hashlib.sha1("".join(name + _etag(path) for name, path in self.files.items()).encode()).hexdigest()

    def info(self) -> dict[str, Any]:
        """What the Hub tells of a repository."""
        return {
            "_id": "0" * 24,
            "id": self.id,
            "sha": self.commit,
            "private": False,
            "gated": "manual" if self.gated else False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [{"rfilename": name} for name in self.files],
        }

    def tree(self, folder: str, *, recursive: bool) -> list[dict[str, Any]] | None:
        """The entries under a folder, or None where there is no such folder."""
        prefix = f"{folder}/" if folder else ""
        inside = [name for name in self.files if name.startswith(prefix)]
        entries = {name: self._entry(name) for name in inside if recursive or "/" not in name.removeprefix(prefix)}
        for name in inside:
            parents = [prefix + part for part in _parents(name.removeprefix(prefix))]
            for parent in parents if recursive else parents[:1]:
                entries.setdefault(parent, self._entry(parent))
        return list(entries.values()) if inside or not folder else None

    def paths_info(self, paths: Collection[str]) -> list[dict[str, Any]]:
        """The entries of those paths that exist."""
        folders = {parent for name in self.files for parent in _parents(name)}
        return [self._entry(path) for path in paths if path in self.files or path in folders]

    def _entry(self, path: str) -> dict[str, Any]:
        if path in self.files:
            file = self.files[path]
            return {"type": "file", "path": path, "size": file.stat().st_size, "oid": _etag(file)}
        return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}


@dataclass(frozen=True)
class Hub:
    """A running server.

    Attributes:
        endpoint: Its address, as HF_ENDPOINT wants it.
        commits: The commit of each repository, by its id.
        requests: The method and path of every request so far, such as "GET /api/models/owner/name".
    """

    endpoint: str
    commits: Mapping[str, str]
    requests: list[str] = field(default_factory=list)

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
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {**inherited, **own, **extra}


@contextmanager
def serve_hub(
    models: Mapping[str, Path] | None = None,
    datasets: Mapping[str, Path] | None = None,
    *,
    gated: Collection[str] = (),
    status: HTTPStatus | None = None,
) -> Iterator[Hub]:
    """Serve folders as repositories, each with one commit, until the block ends.

    Args:
        models: Folders by the id of the model they stand for.
        datasets: Folders by the id of the data set they stand for.
        gated: Ids of repositories that everybody may see and nobody may download.
        status: Answer every request with this error instead.
    """
    repositories = {
        (kind, name): _Repository(name, kind, folder, gated=name in gated)
        for kind, folders in (("models", models or {}), ("datasets", datasets or {}))
        for name, folder in folders.items()
    }
    requests: list[str] = []

    class Handler(_Handler):
        pass

    Handler.repositories, Handler.log, Handler.failure = repositories, requests, status
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Hub(
            endpoint=f"http://127.0.0.1:{server.server_address[1]}",
            commits={name: repository.commit for (_, name), repository in repositories.items()},
            requests=requests,
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request; subclassed with what is to be served."""

    protocol_version = "HTTP/1.1"
    repositories: Mapping[tuple[str, str], _Repository]
    log: list[str]
    failure: HTTPStatus | None

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.log.append(f"{self.command} {url.path}")
        if self.failure is not None:
            return self._fail(self.failure)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts[0] == "api":
            found = self._find(parts[1], parts[2:])
            return self._fail_unknown() if found is None else self._answer_api(*found, parse_qs(url.query), body)
        kind, rest = ("datasets", parts[1:]) if parts[0] == "datasets" else ("models", parts)
        found = self._find(kind, rest)
        return self._fail_unknown() if found is None else self._answer_file(*found)

    def _find(self, kind: str, parts: list[str]) -> tuple[_Repository, list[str]] | None:
        """The repository that a path begins with, whose id has one part or two, and the path's other parts."""
        for length in (2, 1):
            repository = self.repositories.get((kind, "/".join(parts[:length])))
            if repository is not None:
                return repository, parts[length:]
        return None

    def _answer_api(
        self, repository: _Repository, rest: list[str], query: Mapping[str, list[str]], body: bytes
    ) -> None:
        what, revision, *path = rest if len(rest) > 1 else ["revision", "main"]
        if not self._knows(repository, revision):
            return self._fail(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
        if what == "revision":
            return self._send_json(repository.info())
        if what == "tree":
            tree = repository.tree(
                "/".join(path), recursive=query.get("recursive", ["false"])[0].lower() in ("true", "1")
            )
            return self._fail(HTTPStatus.NOT_FOUND, "EntryNotFound") if tree is None else self._send_json(tree)
        if what == "paths-info":
            return self._send_json(repository.paths_info(_paths(body)))
        return self._fail(HTTPStatus.NOT_FOUND)

    def _answer_file(self, repository: _Repository, rest: list[str]) -> None:
        if len(rest) < 3 or rest[0] != "resolve":
            return self._fail(HTTPStatus.NOT_FOUND)
        if repository.gated:
            return self._fail(HTTPStatus.UNAUTHORIZED, "GatedRepo", "Access to this repository is restricted.")
        if not self._knows(repository, rest[1]):
            return self._fail(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {rest[1]}")
        commit = {"X-Repo-Commit": repository.commit}
        file = repository.files.get("/".join(rest[2:]))
        if file is None:
            return self._fail(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found", **commit)
        content = file.read_bytes()
        headers = {**commit, "ETag": f'"{_etag(file)}"', "Accept-Ranges": "bytes"}
        start, end = self._range(len(content))
        if (start, end) == (0, len(content)):
            return self._send(HTTPStatus.OK, content, "application/octet-stream", **headers)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return self._send(HTTPStatus.PARTIAL_CONTENT, content[start:end], "application/octet-stream", **headers)

    def _range(self, size: int) -> tuple[int, int]:
        """The bytes asked for, the end not included: "bytes=0-99" and "bytes=100-" are what clients send."""
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        return int(first), min(int(last) + 1 if last else size, size)

    @staticmethod
    def _knows(repository: _Repository, revision: str) -> bool:
        return revision in ("main", repository.commit)

    def _fail_unknown(self) -> None:
        # To somebody who is not logged in, a repository that does not exist and a private one look alike.
        self._fail(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Repository not found")

    def _fail(self, status: HTTPStatus, code: str = "", message: str = "", **headers: str) -> None:
        if code:
            headers |= {"X-Error-Code": code, "X-Error-Message": message or code}
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


def _etag(file: Path) -> str:
    """The git id of a file's content."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _parents(path: str) -> list[str]:
    """The folders above a path, from the outermost in."""
    return [parent.as_posix() for parent in reversed(Path(path).parents)][1:]


def _paths(body: bytes) -> list[str]:
    """The paths of a paths-info request, which comes as JSON or as a form."""
    try:
        paths = json.loads(body)["paths"]
    except ValueError:
        paths = parse_qs(body.decode())["paths"]
    return [paths] if isinstance(paths, str) else list(paths)

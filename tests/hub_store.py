"""What the Hub on this machine holds: repositories with branches and commits, and accounts with tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ATTRIBUTES = ".gitattributes"


@dataclass(frozen=True)
class Account:
    """The owner of a token.

    Attributes:
        name: The user's name, the owner of the repositories that begin with it.
        may_write: True if the token may write.
    """

    name: str
    may_write: bool = True


@dataclass
class Repository:
    """One repository. Its first commit holds the files it was made with.

    Attributes:
        id: Its id.
        kind: "models" or "datasets".
        gated: True if everybody sees it and nobody may download it.
        private: True if only its owner sees it.
        commits: Files by path, by commit.
        branches: Commits by branch.
        messages: Message of every commit that was pushed, in order.
    """

    id: str
    kind: str
    gated: bool = False
    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def commit(self) -> str:
        """The head of main."""
        return self.branches["main"]

    @property
    def owner(self) -> str:
        """The account that it belongs to."""
        return self.id.partition("/")[0]

    def add(self, branch: str, files: Mapping[str, bytes]) -> str:
        """Make a commit at the head of a branch, and return it. Its id depends on the files and the one before."""
        before = self.branches.get(branch, "")
        content = "".join(name + etag(files[name]) for name in sorted(files))
        commit = hashlib.sha1((before + content).encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.branches[branch] = commit
        return commit

    def resolved(self, revision: str) -> str | None:
        """The commit that a revision names, or None where there is none."""
        return self.branches.get(revision) or (revision if revision in self.commits else None)

    def files(self, commit: str) -> dict[str, bytes]:
        """Every file of a commit by its path."""
        return self.commits[commit]

    def info(self, commit: str) -> dict[str, Any]:
        """What the Hub tells of a repository."""
        return {
            "_id": "0" * 24,
            "id": self.id,
            "sha": commit,
            "private": self.private,
            "gated": "manual" if self.gated else False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [{"rfilename": name} for name in self.files(commit)],
        }

    def tree(self, commit: str, folder: str, *, recursive: bool) -> list[dict[str, Any]] | None:
        """The entries under a folder, or None where there is no such folder."""
        files = self.files(commit)
        prefix = f"{folder}/" if folder else ""
        inside = [name for name in files if name.startswith(prefix)]
        entries = {name: _entry(files, name) for name in inside if recursive or "/" not in name.removeprefix(prefix)}
        for name in inside:
            parents = [prefix + part for part in _parents(name.removeprefix(prefix))]
            for parent in parents if recursive else parents[:1]:
                entries.setdefault(parent, _entry(files, parent))
        return list(entries.values()) if inside or not folder else None

    def paths_info(self, commit: str, paths: Collection[str]) -> list[dict[str, Any]]:
        """The entries of those paths that exist."""
        files = self.files(commit)
        folders = {parent for name in files for parent in _parents(name)}
        return [_entry(files, path) for path in paths if path in files or path in folders]


def from_folder(id: str, kind: str, folder: Path, *, gated: bool, private: bool) -> Repository:
    """A repository whose only commit holds the files of a folder."""
    repository = Repository(id, kind, gated=gated, private=private)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    repository.add("main", dict(sorted(files.items())))
    return repository


def etag(content: bytes) -> str:
    """The git id of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(files: Mapping[str, bytes], path: str) -> dict[str, Any]:
    if path in files:
        return {"type": "file", "path": path, "size": len(files[path]), "oid": etag(files[path])}
    return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}


def _parents(path: str) -> list[str]:
    """The folders above a path, from the outermost in."""
    return [parent.as_posix() for parent in reversed(Path(path).parents)][1:]

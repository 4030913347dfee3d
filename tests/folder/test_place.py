"""Where a folder is: a path that exists wins, and only names of the form user/name are looked up on the Hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotune.folder import place
from emotune.folder.place import saved_folder
from emotune.system.errors import ArtifactError


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str | None]]:
    """What was looked up on the Hub, from an empty working folder."""
    asked: list[tuple[str, str | None]] = []

    def fetch(name: str, revision: str | None) -> Path:
        asked.append((name, revision))
        return Path("fetched")

    monkeypatch.setattr(place, "_fetched", fetch)
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.mark.parametrize(
    ("folder", "revision", "expected"),
    [
        ("user/emotions", None, ("user/emotions", None)),
        ("user/emotions@v2", None, ("user/emotions", "v2")),
        ("user/emotions@refs/pr/1", None, ("user/emotions", "refs/pr/1")),
        ("user/emotions", "v2", ("user/emotions", "v2")),
    ],
)
def test_names_are_looked_up(
    folder: str, revision: str | None, expected: tuple[str, str | None], fetched: list[tuple[str, str | None]]
) -> None:
    assert saved_folder(folder, revision) == Path("fetched")
    assert fetched == [expected]


@pytest.mark.parametrize(
    "folder",
    ["tuned", "./user/emotions", "../user/emotions", "/user/emotions", "a/b/c", "ada/", "ada\\emotions", "a b/c", ""],
)
def test_other_texts_are_paths(folder: str, fetched: list[tuple[str, str | None]]) -> None:
    assert saved_folder(folder) == Path(folder)
    assert fetched == []
    with pytest.raises(ArtifactError, match="has no revision 'v2'"):
        saved_folder(folder, "v2")


@pytest.mark.parametrize("name", ["user/emotions", "user/emotions@v2"])
def test_a_path_that_exists_wins(name: str, fetched: list[tuple[str, str | None]]) -> None:
    Path(name).mkdir(parents=True)
    assert saved_folder(name) == Path(name)
    assert fetched == []
    with pytest.raises(ArtifactError, match="Leave the revision out"):
        saved_folder(name, "v2")


def test_a_path_object_is_never_a_name(fetched: list[tuple[str, str | None]]) -> None:
    assert saved_folder(Path("user/emotions")) == Path("user/emotions")
    assert fetched == []


def test_an_empty_revision_is_refused(fetched: list[tuple[str, str | None]]) -> None:
    with pytest.raises(ArtifactError, match="ends with @"):
        saved_folder("user/emotions@")
    with pytest.raises(ArtifactError, match="one of the two"):
        saved_folder("user/emotions@v1", "v2")
    assert fetched == []

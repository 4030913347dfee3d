"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from emotune.system.atomic import whole

Write = Callable[[Path, str], None]


def write_file(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")


def write_folder(path: Path, content: str) -> None:
    path.mkdir()
    (path / "inside").write_text(content, encoding="utf-8")


def content_of(path: Path) -> str:
    return (path / "inside" if path.is_dir() else path).read_text(encoding="utf-8")


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def replaced(target: Path, write: Write) -> None:
    with whole(target) as partial:
        write(partial, "new")


def half_written(target: Path, write: Write, error: BaseException) -> None:
    with whole(target) as partial:
        write(partial, "half")
        raise error


@pytest.fixture(params=[write_file, write_folder], ids=["file", "folder"])
def write(request: pytest.FixtureRequest) -> Write:
    found: Write = request.param
    return found


def test_a_new_one_appears_at_the_end(tmp_path: Path, write: Write) -> None:
    target = tmp_path / "result"
    with whole(target) as partial:
        write(partial, "new")
        assert not target.exists()
        assert partial.parent == target.parent  # so that taking the place is one rename
    assert content_of(target) == "new"
    assert names_in(tmp_path) == ["result"]


def test_the_old_one_stays_until_the_end(tmp_path: Path, write: Write) -> None:
    target = tmp_path / "result"
    write(target, "old")
    with whole(target) as partial:
        write(partial, "new")
        assert content_of(target) == "old"
    assert content_of(target) == "new"
    assert names_in(tmp_path) == ["result"]


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_what_fails_leaves_nothing_and_the_old_one(tmp_path: Path, write: Write, error: BaseException) -> None:
    target = tmp_path / "result"
    write(target, "old")
    with pytest.raises(type(error)):
        half_written(target, write, error)
    assert content_of(target) == "old"
    assert names_in(tmp_path) == ["result"]


def test_a_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "result"
    write_folder(target, "old")
    real = Path.replace

    def replace(path: Path, to: Path) -> Path:
        if path.name.endswith(".partial"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, to)

    def write_and_fill_disk(path: Path, content: str) -> None:
        write_folder(path, content)
        monkeypatch.setattr(Path, "replace", replace)

    with pytest.raises(OSError, match="No space"):
        replaced(target, write_and_fill_disk)
    assert content_of(target) == "old"
    assert names_in(tmp_path) == ["result"]


def test_a_link_is_replaced_and_what_it_names_is_not_touched(tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.write_text("kept", encoding="utf-8")
    target = tmp_path / "result"
    target.symlink_to(named)
    with whole(target) as partial:
        write_file(partial, "new")
    assert content_of(target) == "new"
    assert not target.is_symlink()
    assert named.read_text(encoding="utf-8") == "kept"


def test_what_a_killed_process_of_the_same_number_left_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "result"
    write_folder(tmp_path / f".result.{os.getpid()}.partial", "left")
    with whole(target) as partial:
        assert not partial.exists()
        write_file(partial, "new")
    assert names_in(tmp_path) == ["result"]

"""Output folders: refused before any work where they could not be written, and written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from emotune.system.errors import OutputError
from emotune.system.output import NEEDED_BYTES, check_output, open_output, written_whole

Write = Callable[[Path, bool], None]


def check(folder: Path, overwrite: bool = False) -> None:
    check_output(folder, overwrite)


def write(folder: Path, overwrite: bool = False) -> None:
    with written_whole(folder, overwrite) as work:
        (work / "new.txt").write_text("new")


def write_and_fail(folder: Path, overwrite: bool, error: BaseException) -> None:
    with written_whole(folder, overwrite) as work:
        (work / "new.txt").write_text("new")
        raise error


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with a result in it."""
    folder = tmp_path / "place" / "result"
    (folder / "sub").mkdir(parents=True)
    (folder / "emotune.json").write_text("{}")
    (folder / "old.txt").write_text("old")
    (folder / "sub" / "deep.txt").write_text("deep")
    return folder


def tree(folder: Path) -> dict[str, str]:
    """Every file under a folder with its text."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


OLD = {"result/emotune.json": "{}", "result/old.txt": "old", "result/sub/deep.txt": "deep"}


class TestWritten:
    def test_a_new_folder_in_a_new_place(self, tmp_path: Path) -> None:
        write(tmp_path / "a" / "b" / "result")
        assert tree(tmp_path) == {"a/b/result/new.txt": "new"}

    def test_an_empty_folder_is_filled(self, tmp_path: Path) -> None:
        (tmp_path / "result").mkdir()
        write(tmp_path / "result")
        assert tree(tmp_path) == {"result/new.txt": "new"}

    def test_overwriting_replaces_the_folder_and_does_not_mix(self, old: Path) -> None:
        write(old, overwrite=True)
        assert tree(old.parent) == {"result/new.txt": "new"}
        assert [path.name for path in old.parent.iterdir()] == ["result"]

    def test_a_relative_folder_is_where_it_was_when_the_job_began(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path)
        with written_whole(Path("result"), overwrite=False) as work:
            (work / "new.txt").write_text("new")
            monkeypatch.chdir(tmp_path / "elsewhere")
        assert tree(tmp_path) == {"result/new.txt": "new"}

    def test_modes_are_those_of_any_new_folder(self, tmp_path: Path) -> None:
        (tmp_path / "plain").mkdir()
        (tmp_path / "plain" / "file").touch()
        with written_whole(tmp_path / "result", overwrite=False) as work:
            (work / "file").touch(mode=0o600)
        for one, other in (("result", "plain"), ("result/file", "plain/file")):
            modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (one, other)]
            assert modes[0] == modes[1], one


class TestNotWritten:
    @pytest.mark.parametrize("error", [ValueError("a mistake"), KeyboardInterrupt(), OutputError("refused")])
    def test_a_failure_inside_leaves_everything_as_it_was(self, old: Path, error: BaseException) -> None:
        with pytest.raises(type(error)):
            write_and_fail(old, True, error)
        assert tree(old.parent) == OLD
        assert [path.name for path in old.parent.iterdir()] == ["result"]

    def test_a_failure_inside_leaves_no_new_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="a mistake"):
            write_and_fail(tmp_path / "result", False, ValueError("a mistake"))
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_that_fills_up_is_a_message(self, old: Path) -> None:
        with pytest.raises(OutputError, match=r"No space left on device.*unchanged"):
            write_and_fail(old, True, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        assert tree(old.parent) == OLD

    @pytest.mark.parametrize("failing", [1, 2])
    def test_a_move_that_fails_puts_the_old_folder_back(
        self, old: Path, monkeypatch: pytest.MonkeyPatch, failing: int
    ) -> None:
        replace, moves = Path.replace, []

        def fails(path: Path, target: Path) -> Path:
            moves.append(path)
            if len(moves) == failing:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", fails)
        with pytest.raises(OutputError, match="unchanged"):
            write(old, overwrite=True)
        assert tree(old.parent) == OLD


@pytest.mark.parametrize("attempt", [check, write])
class TestRefused:
    def test_a_folder_that_is_not_empty(self, attempt: Write, old: Path) -> None:
        with pytest.raises(OutputError, match=r"exists and is not empty.*--output.*--overwrite"):
            attempt(old, False)
        assert tree(old.parent) == OLD

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_file_in_the_way(self, attempt: Write, tmp_path: Path, overwrite: bool) -> None:
        (tmp_path / "result").write_text("a file")
        with pytest.raises(OutputError, match="'result' exists and is a file"):
            attempt(tmp_path / "result", overwrite)
        assert tree(tmp_path) == {"result": "a file"}

    def test_a_file_where_a_parent_should_be(self, attempt: Write, tmp_path: Path) -> None:
        (tmp_path / "parent").write_text("a file")
        with pytest.raises(OutputError, match="cannot be written"):
            attempt(tmp_path / "parent" / "result", False)
        assert tree(tmp_path) == {"parent": "a file"}

    @pytest.mark.parametrize("inside", ["", "sub"])
    def test_the_folder_that_holds_the_one_we_work_in(
        self, attempt: Write, old: Path, monkeypatch: pytest.MonkeyPatch, inside: str
    ) -> None:
        monkeypatch.chdir(old / inside)
        with pytest.raises(OutputError, match="holds the folder you are working in"):
            attempt(old, True)
        assert tree(old.parent) == OLD

    @pytest.mark.parametrize("exists", [False, True])
    def test_a_place_that_cannot_be_written(
        self, attempt: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
    ) -> None:
        if exists:
            (tmp_path / "result").mkdir()

        def refuse(*_: Any, **__: Any) -> str:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(tempfile, "mkdtemp", refuse)  # what a test run as root could not provoke otherwise
        with pytest.raises(OutputError, match=r"cannot be written: Permission denied\. Choose another with --output"):
            attempt(tmp_path / "result", False)
        assert tree(tmp_path) == {}

    def test_a_disk_that_is_nearly_full(self, attempt: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Usage(NamedTuple):
            free: int

        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(NEEDED_BYTES - 1))
        with pytest.raises(OutputError, match="MB free; 200 MB are needed"):
            attempt(tmp_path / "result", False)
        assert list(tmp_path.iterdir()) == []
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(NEEDED_BYTES))
        attempt(tmp_path / "result", False)


def test_checking_leaves_nothing_behind(old: Path, tmp_path: Path) -> None:
    check(old, overwrite=True)
    check(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
    assert tree(old.parent) == OLD


class TestOverwriteLosesNothingElse:
    def test_a_folder_that_is_no_result_is_not_replaced(self, old: Path) -> None:
        (old / "emotune.json").unlink()
        with pytest.raises(OutputError, match=r"has no emotune\.json.*--overwrite does not replace it"):
            write(old, overwrite=True)
        assert (old / "old.txt").read_text() == "old"

    @pytest.mark.parametrize("inside", ["", "old.txt", "sub", "sub/deep.txt"])
    def test_a_folder_that_holds_what_the_run_reads(self, old: Path, inside: str) -> None:
        with pytest.raises(OutputError, match="which this run reads"):
            check_output(old, True, [old / inside])

    def test_what_the_run_reads_may_stand_beside_it(self, old: Path) -> None:
        check_output(old, True, [old.parent / "data.csv", old.parent])

    def test_a_link_is_followed(self, old: Path, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(old)
        write(link, overwrite=True)
        assert link.is_symlink()
        assert tree(old) == {"new.txt": "new"}

    def test_a_refused_folder_leaves_no_parents(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
        with pytest.raises(OutputError, match=r"0 MB free"):
            check(tmp_path / "a" / "b")
        assert list(tmp_path.iterdir()) == []


def test_a_name_too_long_for_the_file_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="300 bytes"):
        check_output(tmp_path / ("x" * 300), overwrite=False)
    with pytest.raises(OutputError, match="300 bytes"), open_output(tmp_path / ("x" * 300), overwrite=False):
        pass
    assert list(tmp_path.iterdir()) == []

"""An output made in parts: a job continues after its last complete part, and never beside another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotune.system.errors import OutputError
from emotune.system.parts import Parts

JOB = {"the model": "m", "the input": ("a", 1)}


class _Stopped(Exception):
    """Stands for a kill."""


def make(output: Path, numbers: range, *, fail: bool = False, **how: bool) -> list[str]:
    parts = Parts(output)
    with parts.begun(
        JOB, resume=how.get("resume", False), overwrite=how.get("overwrite", False), keep=how.get("keep", True)
    ):
        for number in numbers[len(parts.done) :]:
            with parts.next() as path:
                path.write_text(f"part {number}", encoding="utf-8")
            parts.add({"number": number})
        if fail:
            raise _Stopped
        return [part.path.read_text(encoding="utf-8") for part in parts.done]


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    with pytest.raises(_Stopped):
        make(tmp_path / "o.csv", range(2), fail=True)
    return tmp_path / "o.csv"


def test_nothing_is_left_after_success(tmp_path: Path) -> None:
    assert make(tmp_path / "o.csv", range(2)) == ["part 0", "part 1"]
    assert list(tmp_path.iterdir()) == []


def test_a_job_continues(interrupted: Path) -> None:
    assert make(interrupted, range(3), resume=True) == ["part 0", "part 1", "part 2"]
    assert list(interrupted.parent.iterdir()) == []


def test_an_unrecorded_part_is_made_again(interrupted: Path) -> None:
    folder = interrupted.with_name(".o.csv.parts")
    (folder / "000001.json").unlink()
    (folder / "000001").write_text("half of a pa", encoding="utf-8")
    assert make(interrupted, range(3), resume=True) == ["part 0", "part 1", "part 2"]


def test_is_not_started_anew_unasked(interrupted: Path) -> None:
    with pytest.raises(OutputError, match=r"left 2 parts .* --resume, or start anew with --overwrite"):
        make(interrupted, range(2))
    assert make(interrupted, range(1), overwrite=True) == ["part 0"]


def test_another_job_is_not_continued(interrupted: Path) -> None:
    with (
        pytest.raises(OutputError, match="differs in: the input"),
        Parts(interrupted).begun(JOB | {"the input": ("b", 1)}, resume=True, overwrite=False),
    ):
        pass
    assert make(interrupted, range(2), resume=True) == ["part 0", "part 1"]


def test_two_processes_do_not_write_one_output(tmp_path: Path) -> None:
    with Parts(tmp_path / "o").begun(JOB, resume=False, overwrite=False):
        with (
            pytest.raises(OutputError, match="Another process"),
            Parts(tmp_path / "o").begun(JOB, resume=False, overwrite=False),
        ):
            pass
        assert (tmp_path / ".o.parts").is_dir()


@pytest.mark.parametrize(("numbers", "keep"), [(range(0), True), (range(2), False)])
def test_what_cannot_be_continued_is_removed(tmp_path: Path, numbers: range, keep: bool) -> None:
    with pytest.raises(_Stopped):
        make(tmp_path / "o", numbers, fail=True, keep=keep)
    assert list(tmp_path.iterdir()) == []

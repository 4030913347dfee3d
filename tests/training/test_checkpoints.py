"""Checkpoints of an unfinished run: kept, continued by the same run alone, and never thrown away unasked."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotune.pipeline import checkpoints_of
from emotune.settings.run import RunConfig
from emotune.system.errors import OutputError
from emotune.training.checkpoints import Checkpoints

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset


class Interrupted(Exception):
    """What ended a run."""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "result"


def checkpoints(output: Path, **overrides: Any) -> Checkpoints:
    settings = {key.replace("__", "."): value for key, value in overrides.items()}
    return checkpoints_of(RunConfig.load(overrides={"output.folder": str(output), **settings}))


def interrupt(run: Checkpoints, data: TextDataset, *, trained: bool = True) -> None:
    """A run that ends before its time, after an epoch or before the first is over."""

    def train() -> None:
        with run.claimed(data) as folder:
            if trained:
                (folder / "checkpoint-8").mkdir()
            raise Interrupted

    run.check()
    with pytest.raises(Interrupted):
        train()


def test_an_unfinished_run_is_kept_and_continued(output: Path, tiny_data: TextDataset) -> None:
    interrupt(checkpoints(output), tiny_data)
    again = checkpoints(output, training__resume=True)
    again.check()
    with again.claimed(tiny_data) as folder:
        assert (folder / "checkpoint-8").is_dir()


def test_a_run_that_was_interrupted_twice_can_still_be_continued(output: Path, tiny_data: TextDataset) -> None:
    interrupt(checkpoints(output), tiny_data)
    resumed = checkpoints(output, training__resume=True)
    with pytest.raises(Interrupted), resumed.claimed(tiny_data):
        raise Interrupted
    checkpoints(output, training__resume=True).check()


def test_an_unfinished_run_is_not_thrown_away_unasked(output: Path, tiny_data: TextDataset) -> None:
    interrupt(checkpoints(output), tiny_data)
    run = checkpoints(output)
    with pytest.raises(OutputError, match=r"unfinished run left checkpoints.*--resume.*--overwrite"):
        run.check()
    assert any(run.folder.glob("checkpoint-*"))


def test_overwriting_throws_it_away(output: Path, tiny_data: TextDataset) -> None:
    interrupt(checkpoints(output), tiny_data)
    anew = checkpoints(output, output__overwrite=True)
    anew.check()
    with anew.claimed(tiny_data) as folder:
        assert not any(folder.glob("checkpoint-*"))


def test_checking_alone_throws_nothing_away(output: Path, tiny_data: TextDataset) -> None:
    interrupt(checkpoints(output), tiny_data)
    anew = checkpoints(output, output__overwrite=True)
    anew.check()
    assert any(anew.folder.glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("training__epochs", 9), ("training__seed", 1), ("method__r", 4), ("model__name", "other"), ("data__source", "x")],
)
def test_another_configuration_cannot_continue_it(output: Path, tiny_data: TextDataset, key: str, value: Any) -> None:
    interrupt(checkpoints(output), tiny_data)
    with pytest.raises(OutputError, match="had another configuration"):
        checkpoints(output, training__resume=True, **{key: value}).check()


def test_other_data_cannot_continue_it(output: Path, tiny_data: TextDataset) -> None:
    interrupt(checkpoints(output), tiny_data)
    again = checkpoints(output, training__resume=True)
    again.check()
    other = dataclasses.replace(tiny_data, train=tiny_data.train.take(range(60)))
    with pytest.raises(OutputError, match="data has changed"), again.claimed(other):
        pass
    assert any(again.folder.glob("checkpoint-*"))
    with again.claimed(tiny_data):
        pass


@pytest.mark.parametrize("text", [None, "", "{", "[]", '"text"', "\x00"])
def test_checkpoints_of_unknown_origin_are_not_continued(
    output: Path, tiny_data: TextDataset, text: str | None
) -> None:
    run = checkpoints(output)
    interrupt(run, tiny_data)
    (stamp,) = run.folder.glob("*.json")
    stamp.unlink() if text is None else stamp.write_text(text)
    with pytest.raises(OutputError, match="had another configuration"):
        checkpoints(output, training__resume=True).check()


def test_there_must_be_something_to_resume(output: Path, tiny_data: TextDataset) -> None:
    with pytest.raises(OutputError, match=r"no unfinished run to resume.*without --resume"):
        checkpoints(output, training__resume=True).check()
    interrupt(checkpoints(output), tiny_data, trained=False)
    with pytest.raises(OutputError, match="no unfinished run to resume"):
        checkpoints(output, training__resume=True).check()


def test_a_run_that_ends_before_its_first_checkpoint_leaves_nothing(output: Path, tiny_data: TextDataset) -> None:
    interrupt(checkpoints(output), tiny_data, trained=False)
    assert list(output.parent.iterdir()) == []
    checkpoints(output).check()


def test_a_finished_run_leaves_nothing(output: Path, tiny_data: TextDataset) -> None:
    run = checkpoints(output)
    with run.claimed(tiny_data) as folder:
        (folder / "checkpoint-8").mkdir()
    run.remove()
    assert list(output.parent.iterdir()) == []


def test_runs_with_different_outputs_do_not_meet(output: Path, tiny_data: TextDataset) -> None:
    interrupt(checkpoints(output), tiny_data)
    checkpoints(output.with_name("other")).check()

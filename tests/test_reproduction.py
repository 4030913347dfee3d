"""`reproduce`: the same figures come out again, bit for bit on one machine; and it says when they do not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emotune.cli.reproduce import in_words
from emotune.reproduction import Reproduction, reproduce
from emotune.system.errors import ArtifactError, DataError

if TYPE_CHECKING:
    from .conftest import Run


@pytest.fixture(scope="module")
def again(tiny_run: Run) -> Reproduction:
    return reproduce(
        tiny_run.result.folder, data=tiny_run.settings["data.source"], model=tiny_run.settings["model.name"]
    )


@pytest.mark.slow
def test_comes_out_bit_for_bit(again: Reproduction) -> None:
    assert again.identical
    assert again.agrees
    assert again.changed_labels == 0
    assert again.other_versions == {}
    assert in_words(again) == "Reproduced: the same probabilities on 36 test rows, bit for bit."


@pytest.mark.slow
def test_says_how_far_off_it_is(again: Reproduction) -> None:
    off = replace(
        again, identical=False, largest_difference=0.01, changed_labels=1, other_versions={"torch": ("1", "2")}
    )
    words = in_words(off)
    assert words.startswith(
        "Reproduced within what the test rows can show, not bit for bit: 1 label of 36 test rows changed"
    )
    assert words.endswith("Other versions: torch 1 is now 2.")
    assert in_words(replace(off, other_versions={})).endswith(
        "The versions are the same; the machine, its threads or its libraries may be others."
    )


def test_other_data_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    other = tmp_path / "data"
    shutil.copytree(tiny_run.settings["data.source"], other)
    train = next(other.glob("train.*"))
    header, rest = train.read_text(encoding="utf-8").split("\n", 1)
    train.write_text(f"{header}\nother {rest}", encoding="utf-8")
    with pytest.raises(DataError, match="its fingerprint is"):
        reproduce(tiny_run.result.folder, data=str(other), model=tiny_run.settings["model.name"])


def test_a_folder_without_its_configuration_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    copied = tmp_path / "tuned"
    shutil.copytree(tiny_run.result.folder, copied)
    description = json.loads((copied / "emotune.json").read_text(encoding="utf-8"))
    del description["configuration"]
    (copied / "emotune.json").write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(ArtifactError, match="does not say how it was made"):
        reproduce(copied, model="x")


def test_a_local_base_must_be_named(tiny_run: Run) -> None:
    with pytest.raises(ArtifactError, match=r"was a local folder\. Say where it is with --model"):
        reproduce(tiny_run.result.folder, data=tiny_run.settings["data.source"])


def test_local_data_must_be_named(tiny_run: Run) -> None:
    with pytest.raises(ArtifactError, match=r"was the file or folder .* Say where it is with --data"):
        reproduce(tiny_run.result.folder, model=tiny_run.settings["model.name"])


def test_a_damaged_configuration_is_said_of_the_file_that_holds_it(tiny_run: Run, tmp_path: Path) -> None:
    copied = tmp_path / "tuned"
    shutil.copytree(tiny_run.result.folder, copied)
    description = json.loads((copied / "emotune.json").read_text(encoding="utf-8"))
    description["configuration"]["training"]["epochs"] = "many"
    (copied / "emotune.json").write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(ArtifactError) as raised:
        reproduce(copied, data="x", model="x")
    assert str(raised.value).startswith(
        f"The configuration in '{copied / 'emotune.json'}' is not valid: training.epochs is"
    )
    assert "overrides" not in str(raised.value)

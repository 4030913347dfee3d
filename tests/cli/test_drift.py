"""`emotune drift`: what is compared with what, how the result is told, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emotune.folder.fingerprints import FINGERPRINTS
from emotune.folder.format import PREDICTIONS

from .conftest import Invoke

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset

    from ..conftest import Run

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a saved folder in the current one."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_run.result.folder, tmp_path / "tuned")
    return tmp_path / "tuned"


@pytest.fixture
def options(hub_named_bert: Path) -> list[str]:
    return ["--base", str(hub_named_bert), "--device", "cpu"]


@pytest.fixture
def same(tiny_data: TextDataset, tmp_path: Path) -> Path:
    """Texts of the same kind: those of validation, twice."""
    path = tmp_path / "same.txt"
    path.write_text("\n".join(tiny_data.validation.texts * 2), encoding="utf-8")
    return path


@pytest.fixture
def other(tiny_data: TextDataset, tmp_path: Path) -> Path:
    """Longer texts of one label, with words that training lacks."""
    path = tmp_path / "other.csv"
    texts = [text for text, label in zip(tiny_data.train.texts, tiny_data.train.label_ids, strict=True) if label == 1]
    lines = [f"{text} {text} unheard of" for text in texts * 2]
    path.write_text("\n".join(["message", *lines]), encoding="utf-8")
    return path


def test_texts_of_the_same_kind_need_no_look(invoke: Invoke, folder: Path, same: Path, options: list[str]) -> None:
    result = invoke("drift", folder, same, *options, "--fail")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "72 new texts against 36 saved test rows." in shown
    assert "No need to look" in shown
    assert "cannot be significant" in shown


def test_others_are_worth_a_look_and_fail_if_asked(
    invoke: Invoke, folder: Path, other: Path, options: list[str]
) -> None:
    result = invoke("drift", folder, other, *options, "--text-column", "message", "--fail")
    assert result.exit_code == 1, result.output
    shown = " ".join(result.stdout.split())
    assert "Look at the new texts: labels differ by" in shown
    assert "'unheard' (40), 'of' (40)" in shown
    again = invoke("drift", folder, other, *options, "--text-column", "message", "--json")
    assert again.exit_code == 0
    found = json.loads(again.stdout)
    assert found["look"] is True
    assert set(found["drifted"]) >= {"labels", "length", "unseen words"}
    assert (found["rows"], found["reference_rows"]) == (40, 36)
    assert found["verdict"].startswith("Look at the new texts")
    lengths = next(shift for shift in found["shifts"] if shift["name"] == "length")
    assert (lengths["reference"], lengths["new"], lengths["size"]) == (6.0, 14.0, 1.0)


def test_another_reference_and_a_sample(
    invoke: Invoke, folder: Path, same: Path, tiny_data: TextDataset, options: list[str]
) -> None:
    (folder / PREDICTIONS).unlink()
    (folder.parent / "earlier.txt").write_text("\n".join(tiny_data.test.texts), encoding="utf-8")
    refused = invoke("drift", folder, same, *options)
    assert refused.exit_code == 2
    assert "--reference FILE" in refused.stderr
    result = invoke("drift", folder, same, "--reference", "earlier.txt", "--sample", "20", *options)
    assert result.exit_code == 0, result.output
    assert "20 new texts against 20 reference texts." in result.stdout
    assert "20 texts of 72 were drawn at random." in result.stderr


def test_without_fingerprints_the_reason_is_told(invoke: Invoke, folder: Path, same: Path, options: list[str]) -> None:
    (folder / FINGERPRINTS).unlink()
    result = invoke("drift", folder, same, *options)
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "Unseen words were not compared: the folder has no fingerprints" in shown
    assert "saved folders hold no paths" in shown


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--level", "0"], "--level is '0'; expected a number between 0 and 1, such as 0.01."),
        (["--least-change", "1.5"], "--least-change is '1.5'; expected"),
        (["--sample", "0"], "--sample is '0'; expected a whole number of at least 1."),
    ],
)
def test_mistakes(invoke: Invoke, folder: Path, same: Path, given: list[str], said: str) -> None:
    result = invoke("drift", folder, same, *given)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_a_file_that_is_missing(invoke: Invoke, folder: Path) -> None:
    result = invoke("drift", folder, "nowhere.csv")
    assert result.exit_code == 2
    assert "nowhere.csv" in result.stderr

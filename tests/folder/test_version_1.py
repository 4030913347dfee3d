"""Folders that emotune 0.1.0 saved, of format 1, stay readable: two were kept as they were written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import emotune
from emotune.reproduction import reproduce

SAVED = Path(__file__).parents[1] / "fixtures" / "v0_1_0"
FOLDERS = ("lora", "full")


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_predicts_what_it_predicted(name: str) -> None:
    table = pq.read_table(SAVED / name / "predictions.parquet").to_pydict()
    tuned = emotune.load(SAVED / name)
    found = emotune.predict(tuned, table["text"], precision="fp32")
    saved = np.array([table[f"p_{label}"] for label in tuned.labels]).T
    np.testing.assert_allclose(found.probabilities, saved, atol=1e-4)
    assert list(found.labels) == table["prediction"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_is_verified(name: str) -> None:
    assert emotune.verify(SAVED / name).ok


@pytest.mark.parametrize("name", FOLDERS)
def test_is_compared_and_calibrated(name: str) -> None:
    tuned = emotune.load(SAVED / name)
    plain, scaled = (emotune.predict(tuned, ["so angry again"], calibrated=flag) for flag in (False, True))
    assert plain.labels == scaled.labels
    assert tuned.temperature is not None
    assert not np.allclose(plain.probabilities, scaled.probabilities)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_can_be_saved_again(name: str, tmp_path: Path) -> None:
    shutil.copytree(SAVED / name, tmp_path / "old")
    emotune.load(tmp_path / "old").save(tmp_path / "new")
    assert emotune.verify(tmp_path / "new", base=None).ok
    texts = ["they forgot my birthday", "ok"]
    before, after = (emotune.predict(emotune.load(tmp_path / part), texts, precision="fp32") for part in ("old", "new"))
    np.testing.assert_array_equal(before.probabilities, after.probabilities)


@pytest.mark.slow
def test_is_reproduced() -> None:
    again = reproduce(SAVED / "lora", data=str(SAVED / "data"))
    assert again.agrees
    assert again.largest_difference < 0.2  # another processor rounds otherwise; on one machine it is 0

"""Rows to check an export on, and training texts to calibrate int8 on."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from emotune.data.dataset import TextDataset
from emotune.data.kept import CALIBRATION_TEXTS
from emotune.data.places.sources import SAMPLE_FOLDER
from emotune.exports.rows import calibration_texts, rows_to_check
from emotune.folder.format import Description, read_description
from emotune.system.errors import ArtifactError, ConfigError, DataError

SAVED = Path(__file__).parents[1] / "fixtures" / "v0_1_0"
LORA = SAVED / "lora"


@pytest.fixture
def described() -> Description:
    return read_description(LORA)


def test_the_folder_s_own_test_rows(described: Description) -> None:
    rows = rows_to_check(LORA, described, None)
    assert len(rows) == 36
    assert rows.labels == described.labels


def test_given_rows_take_their_place(described: Description) -> None:
    rows = rows_to_check(LORA, described, SAVED / "data" / "validation.csv")
    assert set(rows.texts).isdisjoint(rows_to_check(LORA, described, None).texts)


def test_a_folder_without_predictions(described: Description, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"keeps no test rows.*--data FILE"):
        rows_to_check(tmp_path, described, None)


def test_a_file_to_calibrate_on(described: Description) -> None:
    found = calibration_texts(LORA, described, SAVED / "data" / "train.csv", ())
    assert len(found.texts) == len(set(found.texts))
    assert "train.csv" in found.note
    assert "training texts" in found.note


def test_a_folder_or_a_data_set_to_calibrate_on_gives_its_training_split(described: Description) -> None:
    found = calibration_texts(LORA, described, str(SAMPLE_FOLDER), ())
    training = (SAMPLE_FOLDER / "train.csv").read_text(encoding="utf-8")
    assert len(found.texts) == CALIBRATION_TEXTS
    assert all(text.replace('"', '""') in training for text in found.texts)
    assert calibration_texts(LORA, described, str(SAMPLE_FOLDER), ()) == found


def test_no_checked_row_is_calibrated_on(described: Description) -> None:
    whole = calibration_texts(LORA, described, SAVED / "data" / "train.csv", ())
    checked = set(whole.texts[:5])
    rest = calibration_texts(LORA, described, SAVED / "data" / "train.csv", checked)
    assert checked.isdisjoint(rest.texts)
    with pytest.raises(DataError, match=r"0 different texts.*--calibration FILE"):
        calibration_texts(LORA, described, SAVED / "data" / "test.csv", set(rows_to_check(LORA, described, None).texts))


def test_a_folder_gives_the_training_texts_that_it_keeps(tiny_saved: Path, tiny_data: TextDataset) -> None:
    checked = set(tiny_data.train.texts[:20])
    found = calibration_texts(tiny_saved, read_description(tiny_saved), None, checked)
    assert set(found.texts) == set(tiny_data.train.texts) - checked
    assert "training texts of" in found.note


def test_a_folder_that_keeps_none_needs_them(described: Description) -> None:
    with pytest.raises(ConfigError, match=r"keeps none: it was pushed without texts.*--calibration FILE"):
        calibration_texts(LORA, described, None, ())


def test_a_folder_without_a_training_split(described: Description, tmp_path: Path) -> None:
    shutil.copy(SAMPLE_FOLDER / "test.csv", tmp_path / "test.csv")
    with pytest.raises(DataError, match="no train split"):
        calibration_texts(LORA, described, tmp_path, ())


def test_given_rows_are_read_as_the_options_say(tmp_path: Path, described: Description) -> None:
    lines = (SAVED / "data" / "validation.csv").read_text(encoding="utf-8").splitlines()[1:]
    (tmp_path / "rows.csv").write_text("\n".join([*lines, "café,joy"]), encoding="windows-1252")
    reading = {"encoding": "windows-1252", "columns": ("text", "label")}
    expected = [row[0] for row in csv.reader(lines)] + ["café"]
    assert list(rows_to_check(LORA, described, tmp_path / "rows.csv", reading).texts) == expected
    texts = calibration_texts(LORA, described, tmp_path / "rows.csv", (), {**reading, "label_column": "label"}).texts
    assert set(texts) <= set(expected)

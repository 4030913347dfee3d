"""Predictions read back from a saved folder, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotune.evaluation.saved import read_evaluation
from emotune.folder.format import PREDICTIONS, sha256
from emotune.system.errors import ArtifactError

from ..facts import facts

if TYPE_CHECKING:
    from ..conftest import Run


@pytest.fixture
def folder(tiny_run: Run, tmp_path: Path) -> Path:
    """A copy of a saved folder, to be changed."""
    copied = tmp_path / "tuned"
    shutil.copytree(tiny_run.result.folder, copied)
    return copied


def replace_column(folder: Path, column: str, values: Sequence[object], *, sign: bool = True) -> None:
    """Change a column of the predictions; signed, the folder's checksum follows."""
    path = folder / PREDICTIONS
    table = pq.read_table(path)
    table = table.set_column(table.column_names.index(column), column, pa.array(values))
    pq.write_table(table, path)
    if sign:
        sign_again(folder)


def sign_again(folder: Path) -> None:
    description = json.loads((folder / "emotune.json").read_text(encoding="utf-8"))
    description["files"][PREDICTIONS] = sha256(folder / PREDICTIONS)
    (folder / "emotune.json").write_text(json.dumps(description), encoding="utf-8")


def test_is_the_evaluation_that_was_saved(tiny_run: Run) -> None:
    found = read_evaluation(tiny_run.result.folder)
    after = tiny_run.result.comparison.after
    assert found.name == tiny_run.result.folder.name
    assert found.split.fingerprint == after.split.fingerprint
    assert found.metrics == after.metrics
    np.testing.assert_array_equal(found.predictions, after.predictions)
    np.testing.assert_array_equal(found.probabilities, after.probabilities)


def test_missing_predictions(folder: Path) -> None:
    (folder / PREDICTIONS).unlink()
    with pytest.raises(ArtifactError, match="nothing to compare"):
        read_evaluation(folder)


def test_edited_predictions(folder: Path) -> None:
    rows = pq.read_table(folder / PREDICTIONS).num_rows
    replace_column(folder, "prediction", ["joy"] * rows, sign=False)
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        read_evaluation(folder)


def test_no_distribution(folder: Path) -> None:
    rows = pq.read_table(folder / PREDICTIONS).num_rows
    replace_column(folder, "p_joy", [float("nan")] * rows)
    with pytest.raises(ArtifactError, match=facts("row 1", "probabilities", "nan", "add up to 1")):
        read_evaluation(folder)


def test_unknown_label(folder: Path) -> None:
    rows = pq.read_table(folder / PREDICTIONS).num_rows
    replace_column(folder, "label", ["joy"] * (rows - 1) + ["disgust"])
    with pytest.raises(ArtifactError, match=facts(f"row {rows}", "'disgust'", "labels")):
        read_evaluation(folder)


def test_missing_column(folder: Path) -> None:
    path = folder / PREDICTIONS
    pq.write_table(pq.read_table(path).drop_columns(["p_joy"]), path)
    sign_again(folder)
    with pytest.raises(ArtifactError, match="no column 'p_joy'"):
        read_evaluation(folder)


def test_no_rows(folder: Path) -> None:
    path = folder / PREDICTIONS
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    sign_again(folder)
    with pytest.raises(ArtifactError, match="has no rows"):
        read_evaluation(folder)


def test_damaged(folder: Path) -> None:
    (folder / PREDICTIONS).write_bytes(b"PAR1 not really")
    sign_again(folder)
    with pytest.raises(ArtifactError, match="is damaged"):
        read_evaluation(folder)


@pytest.mark.parametrize("column", ["text", "label", "prediction", "p_joy"])
@pytest.mark.parametrize("value", [["joy"], {"a": 1}, None, b"joy", 7, True, "0.5"])
def test_a_column_of_another_type(folder: Path, column: str, value: object) -> None:
    if column == "text" and isinstance(value, str):
        return
    rows = pq.read_table(folder / PREDICTIONS).num_rows
    replace_column(folder, column, [value] * rows)
    with pytest.raises(ArtifactError, match="Restore the file"):
        read_evaluation(folder)


def test_a_column_that_is_there_twice(folder: Path) -> None:
    path = folder / PREDICTIONS
    table = pq.read_table(path)
    pq.write_table(table.append_column("p_joy", table.column("p_joy")), path)
    sign_again(folder)
    with pytest.raises(ArtifactError, match="is damaged"):
        read_evaluation(folder)


def test_predictions_that_are_not_what_the_probabilities_say(folder: Path) -> None:
    table = pq.read_table(folder / PREDICTIONS)
    predictions = table.column("prediction").to_pylist()
    said = predictions[4]
    predictions[4] = "joy" if said != "joy" else "fear"
    replace_column(folder, "prediction", predictions)
    with pytest.raises(ArtifactError) as raised:
        read_evaluation(folder)
    expected = f"row 5: the prediction is '{predictions[4]}', and its probabilities say '{said}' (1 such row). Restore"
    assert expected in str(raised.value)


def test_of_equally_likely_labels_any_may_be_predicted(folder: Path) -> None:
    """A tie: what logits tell apart, probabilities may not."""
    table = pq.read_table(folder / PREDICTIONS)
    columns = [name for name in table.column_names if name.startswith("p_")]
    rows = table.num_rows
    for name in columns:
        replace_column(folder, name, [0.5 if name in ("p_joy", "p_love") else 0.0] * rows)
    replace_column(folder, "prediction", ["love"] * rows)
    assert (read_evaluation(folder).predictions == 2).all()

"""`emotune evaluate --output`: predictions that `emotune compare` reads, and rows that the model was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emotune.evaluation.foreign import foreign_evaluation, read_foreign

from .conftest import Invoke

if TYPE_CHECKING:
    from ..conftest import Run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_saved_predictions_are_those_of_the_run(
    invoke: Invoke, tiny_run: Run, tiny_files: Path, hub_named_bert: Path, tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"again{suffix}"
    command = [
        "evaluate", tiny_run.result.folder, "--data", tiny_files, "--base", hub_named_bert, "--output", output
    ]  # fmt: skip
    result = invoke(*command)
    assert result.exit_code == 0, result.output
    after = tiny_run.result.comparison.after
    found = foreign_evaluation(read_foreign(output), after.split.labels, "again")
    assert found.split.fingerprint == after.split.fingerprint
    np.testing.assert_array_equal(found.predictions, after.predictions)
    assert found.probabilities is not None
    assert after.probabilities is not None
    np.testing.assert_allclose(found.probabilities, after.probabilities, rtol=0, atol=1e-6)
    again = invoke(*command)
    assert again.exit_code == 2
    assert "exists. Add --overwrite" in again.stderr
    assert invoke(*command, "--overwrite").exit_code == 0
    page = tmp_path / "page.html"
    compared = invoke("compare", tiny_run.result.folder, output, "--output", page)
    assert compared.exit_code == 0, compared.output
    assert "predict the same label on every row (36 rows)." in compared.stdout


def test_rows_of_training_are_counted(invoke: Invoke, tiny_run: Run, tiny_files: Path, hub_named_bert: Path) -> None:
    command = ["evaluate", tiny_run.result.folder, "--data", tiny_files, "--base", hub_named_bert]
    result = invoke(*command, "--split", "train", "--json")
    assert json.loads(result.stdout)["trained_on"] == 120
    assert "The model was trained on 120 rows of these 120" in " ".join(result.stderr.split())
    result = invoke(*command, "--json")
    assert json.loads(result.stdout)["trained_on"] == 0
    assert "was trained on" not in result.stderr


def test_nothing_is_left_of_a_failed_evaluation(
    invoke: Invoke, tiny_run: Run, tiny_files: Path, tmp_path: Path
) -> None:
    result = invoke(
        "evaluate", tiny_run.result.folder, "--data", tiny_files, "--output", tmp_path / "p.csv"
    )  # the base model was local, and is not named
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []

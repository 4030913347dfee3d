"""The parts of the page on training and on calibration."""

from __future__ import annotations

from emotune.report.parts import calibration_part, training_part
from emotune.tasks.calibration import assess

from .conftest import make_comparison, make_record


def test_a_row_per_epoch_of_which_one_was_kept() -> None:
    part = training_part(make_record(4))
    assert [row[0] for row in part["rows"]] == ["1", "2", "3 (kept)", "4"]
    assert all(len(row) == len(part["headings"]) for row in part["rows"])
    assert [chart["svg"].count("<svg") for chart in part["charts"]] == [1, 1]


def test_each_threshold_is_shown_once() -> None:
    """All rows are equally sure, so every coverage comes to the same threshold."""
    comparison = make_comparison()
    probabilities = comparison.after.probabilities
    assert probabilities is not None
    assert len(set(probabilities.max(axis=1))) == 1
    found = calibration_part(assess(comparison.after.split.label_ids, probabilities))
    assert [row["coverage"] for row in found["abstain"]] == ["100.0 %"]
    thresholds = [row["threshold"] for row in found["abstain"]]
    assert len(set(thresholds)) == len(thresholds)

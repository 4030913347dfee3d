"""Pictures with lines: what they show is what was measured, and their axes have round numbers."""

from __future__ import annotations

import numpy as np
import pytest

from emotune.folder.record import TrainingRecord
from emotune.report.curves import LEAST_IN_BIN, draw_reliability, draw_risk, draw_training_curve, nice_ticks
from emotune.tasks.calibration import assess

from .conftest import make_evaluation, make_record, make_split


def test_training_curve_draws_the_record(record: TrainingRecord) -> None:
    losses, quality = draw_training_curve(record).axes
    for axes, expected in (
        (losses, {"training, with dropout": "train_loss", "validation": "validation_loss"}),
        (quality, {"accuracy": "validation_accuracy", "macro-F1": "validation_macro_f1"}),
    ):
        lines = {line.get_label(): line for line in axes.lines}
        np.testing.assert_array_equal(lines["best epoch"].get_xdata(), record.best_epoch)
        for name, attribute in expected.items():
            np.testing.assert_array_equal(lines[name].get_xdata(), [epoch.number for epoch in record.epochs])
            np.testing.assert_array_equal(
                lines[name].get_ydata(), [getattr(epoch, attribute) for epoch in record.epochs]
            )
    assert "cross-entropy" in losses.texts[0].get_text()


@pytest.mark.parametrize("epochs", [1, 4, 40])
def test_the_best_epoch_lies_inside_and_few_epochs_are_named(epochs: int) -> None:
    for axes in draw_training_curve(make_record(epochs)).axes:
        low, high = axes.get_xlim()
        assert low < 1 <= epochs < high
        assert 1 <= len(axes.get_xticks()) <= 12
        assert set(axes.get_xticks()) <= set(range(1, epochs + 1))


@pytest.mark.parametrize("temperature", [None, 1.3])
def test_reliability_has_the_bins_with_enough_rows(temperature: float | None) -> None:
    evaluation = make_evaluation(make_split(rows=500), right=0.8)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(6) / 2, 500)
    trust = assess(evaluation.split.label_ids, probabilities, temperature)
    (axes,) = draw_reliability(trust).axes
    lines = {str(line.get_label()): line for line in axes.lines}
    expected = {"unscaled": trust.plain} | ({} if trust.scaled is None else {"scaled": trust.scaled})
    assert lines.keys() == {"perfect", *expected}
    for name, calibration in expected.items():
        bins = [part for part in calibration.bins if part.rows >= LEAST_IN_BIN]
        assert len(bins) < len(calibration.bins) or name == "scaled" or temperature is None
        np.testing.assert_array_equal(lines[name].get_xdata(), [part.confidence for part in bins])
        np.testing.assert_array_equal(lines[name].get_ydata(), [part.accuracy for part in bins])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]


def test_risk_is_thinned_and_keeps_its_ends() -> None:
    split = make_split(rows=3000)
    curve = assess(split.label_ids, np.random.default_rng(0).dirichlet(np.ones(6), 3000)).curve
    (line,) = draw_risk(curve).axes[0].lines
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert len(x) <= 200 < len(curve.risk)
    assert (x[0], y[0], x[-1], y[-1]) == (curve.coverage[0], curve.risk[0], curve.coverage[-1], curve.risk[-1])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.13, 0.87), (0, 0), (0.9, 0.94), (0, 1234)])
def test_ticks_are_round_and_span_the_range(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 8
    assert ticks == sorted(ticks)


@pytest.mark.parametrize("value", [0.0, 0.001, 0.6664, 2 / 3, 0.95, 0.9999, 1.0])
def test_a_flat_line_has_a_few_short_ticks_around_it(value: float) -> None:
    ticks = nice_ticks(value, value, most=1.0)
    assert 0 <= ticks[0] <= value <= ticks[-1] <= 1
    assert 4 <= len(ticks) <= 8
    assert ticks[-1] - ticks[0] >= 0.01
    assert max(len(f"{tick:g}") for tick in ticks) <= 5  # what fits between the axis and its title

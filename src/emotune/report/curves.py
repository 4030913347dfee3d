"""The parts of the report that are drawn as curves: training by epoch, and how far the probabilities can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emotune.report import charts
from emotune.report.formats import duration, interval_bounds, nats, points_number, share
from emotune.report.probabilities import probabilities_sentence
from emotune.report.tables import costs

if TYPE_CHECKING:
    from emotune.evaluation.calibration import Calibration, Trust
    from emotune.training.record import TrainingRecord

# Bins of fewer rows say nothing about how often the model is right, and stay out of the diagram.
LEAST_IN_BIN = 5
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


def training_part(record: TrainingRecord) -> dict[str, Any]:
    """What the template prints of a training run: two charts, a row an epoch, and what it cost."""
    epochs = record.epochs
    numbers = [epoch.number for epoch in epochs]
    x_range = (0.5, len(epochs) + 0.5)
    losses = [loss for epoch in epochs for loss in (epoch.train_loss, epoch.validation_loss)]
    f1 = [value for epoch in epochs for value in (epoch.validation_accuracy, epoch.validation_macro_f1)]
    loss_ticks, score_ticks = charts.nice_ticks(0, max(losses)), charts.nice_ticks(min(f1), max(f1), most=1.0)
    return {
        "charts": [
            {
                "svg": _drawn(
                    [
                        charts.Line("training", [(e.number, e.train_loss) for e in epochs], "first"),
                        charts.Line("validation", [(e.number, e.validation_loss) for e in epochs], "second"),
                    ],
                    title="Loss by epoch",
                    description=f"Validation loss goes from {epochs[0].validation_loss:.3f} to {epochs[-1].validation_loss:.3f}.",
                    x_label="epoch",
                    y_label="cross-entropy",
                    x_range=x_range,
                    y_range=(loss_ticks[0], loss_ticks[-1]),
                    x_ticks=numbers,
                    y_ticks=loss_ticks,
                ),
                "caption": "Loss: in training with dropout, on validation without.",
            },
            {
                "svg": _drawn(
                    [
                        charts.Line("accuracy", [(e.number, e.validation_accuracy) for e in epochs], "first"),
                        charts.Line("macro-F1", [(e.number, e.validation_macro_f1) for e in epochs], "second"),
                    ],
                    title="Scores on validation by epoch",
                    description=f"Macro-F1 of the kept epoch, number {record.best_epoch}: {record.best.validation_macro_f1:.4f}.",
                    x_label="epoch",
                    y_label="score",
                    x_range=x_range,
                    y_range=(score_ticks[0], score_ticks[-1]),
                    x_ticks=numbers,
                    y_ticks=score_ticks,
                ),
                "caption": f"Scores on validation; the weights of epoch {record.best_epoch} were kept, whose validation loss is least once "
                "a temperature scales the logits.",
            },
        ],
        "headings": ["epoch", "training loss", "validation loss", "the same, scaled", "accuracy", "macro-F1", "time"],
        "rows": [
            [
                f"{e.number} (kept)" if e.number == record.best_epoch else f"{e.number}",
                nats(e.train_loss),
                nats(e.validation_loss),
                nats(e.validation_scaled_loss),
                share(e.validation_accuracy),
                share(e.validation_macro_f1),
                duration(e.seconds),
            ]
            for e in epochs
        ],
        "costs": costs(record),
    }


def calibration_part(found: Trust) -> dict[str, Any]:
    """What the template prints of calibration: how sure and how right, scaled too, and what abstaining would bring."""
    rows = [("as they come", found.plain)]
    lines = [
        charts.Line("perfect", [(0, 0), (1, 1)], "faint", dots=False),
        charts.Line("as they come", _reliability(found.plain), "first"),
    ]
    sentence = probabilities_sentence(found)
    if found.scaled is not None and found.temperature is not None:
        rows.append((f"scaled, temperature {found.temperature:.2f}", found.scaled))
        lines.append(charts.Line("scaled", _reliability(found.scaled), "second"))
    curve = found.curve
    tenths = [tick / 5 for tick in range(6)]
    risks = charts.nice_ticks(0, float(curve.risk.max()) or 0.01, 4)
    keep = np.unique(np.linspace(0, len(curve.risk) - 1, 200).astype(int))
    abstain: dict[str, dict[str, str]] = {}
    for coverage in COVERAGES:
        place = min(int(np.searchsorted(curve.coverage, coverage - 1e-12)), len(curve.coverage) - 1)
        threshold = f"{np.floor(1000 * curve.thresholds[place]) / 1000:.3f}"
        # Where many rows are equally sure, several coverages come to the same threshold; the first answers the most rows.
        abstain.setdefault(
            threshold,
            {
                "threshold": threshold,
                "coverage": f"{100 * curve.coverage[place]:.1f} %",
                "risk": f"{100 * curve.risk[place]:.2f} %",
            },
        )
    return {
        "sentence": sentence,
        "charts": [
            {
                "svg": _drawn(
                    lines,
                    title="Reliability diagram",
                    description="Where a line lies below the diagonal, the model is surer than it is right. "
                    + sentence,
                    x_label="confidence",
                    y_label="right",
                    x_range=(0, 1),
                    y_range=(0, 1),
                    x_ticks=tenths,
                    y_ticks=tenths,
                    percent=True,
                ),
                "caption": f"Reliability, in bins of at least {LEAST_IN_BIN} rows: on the diagonal, 80 % sure means 80 % right.",
            },
            {
                "svg": _drawn(
                    [charts.Line("", [(curve.coverage[i], curve.risk[i]) for i in keep], "second", dots=False)],
                    title="Risk by coverage",
                    description=f"Answering all rows, {100 * curve.risk[-1]:.1f} % of the answers are wrong.",
                    x_label="answered",
                    y_label="wrong among the answered",
                    x_range=(0, 1),
                    y_range=(0, risks[-1]),
                    x_ticks=tenths,
                    y_ticks=risks,
                    percent=True,
                ),
                "caption": "Risk and coverage: what answering only when sure enough brings.",
            },
        ],
        "rows": [
            {
                "name": name,
                "loss": nats(part.loss),
                "brier": f"{part.brier:.4f}",
                "ece": f"{part.ece:.4f}",
                "chance": f"{part.expected_ece:.4f} ({part.expected_ece_range[0]:.4f} to {part.expected_ece_range[1]:.4f})",
                "gap": f"{points_number(part.gap.estimate)} ({interval_bounds(part.gap)})",
            }
            for name, part in rows
        ],
        "abstain": list(abstain.values()),
        "thresholds_of": "scaled probabilities" if found.scaled is not None else "probabilities as they come",
    }


def _reliability(calibration: Calibration) -> list[tuple[float, float]]:
    """Confidence and share of right ones, of the bins that hold enough rows."""
    return [(part.confidence, part.accuracy) for part in calibration.bins if part.rows >= LEAST_IN_BIN]


def _drawn(*lines: Any, **options: Any) -> Any:
    """A chart, marked as HTML: `charts` has escaped what is in it."""
    from markupsafe import Markup

    return Markup(charts.line_chart(*lines, **options))

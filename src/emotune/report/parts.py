"""Two parts of the report with pictures: the training by epoch, and the calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotune.evaluation.words.formats import duration, interval_bounds, nats, points_number, share
from emotune.folder.record import TrainingRecord
from emotune.report.curves import LEAST_IN_BIN, draw_losses, draw_reliability, draw_risk, draw_scores
from emotune.report.drawing import CHART, inline_svg, new_figure
from emotune.report.probabilities import probabilities_sentence
from emotune.report.tables import costs
from emotune.tasks.calibration import RiskCoverage, Trust

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


def training_part(record: TrainingRecord) -> dict[str, Any]:
    """Return the template's variables for a training run: two charts, a row per epoch, and the cost."""
    epochs = record.epochs
    if not record.is_validated:
        return _unvalidated_training(record)
    losses, scores = new_figure(*CHART), new_figure(*CHART)
    draw_losses(losses, record)
    draw_scores(scores, record)
    return {
        "charts": [
            {
                "svg": inline_svg(
                    losses,
                    title="Loss by epoch",
                    description=f"Validation loss goes from {epochs[0].validation_loss:.3f} to {epochs[-1].validation_loss:.3f}.",
                ),
                "caption": "Loss: in training with dropout, on validation without.",
            },
            {
                "svg": inline_svg(
                    scores,
                    title="Scores on validation by epoch",
                    description=f"Macro-F1 of the kept epoch, number {record.best_epoch}: {record.best.validation_macro_f1:.4f}.",
                ),
                "caption": f"Scores on validation; the weights of epoch {record.best_epoch} were kept, whose validation loss is lowest "
                "after scaling the logits by a temperature.",
            },
        ],
        "headings": [
            "epoch",
            "training loss",
            "validation loss",
            "validation loss, scaled",
            "accuracy",
            "macro-F1",
            "time",
        ],
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


def _unvalidated_training(record: TrainingRecord) -> dict[str, Any]:
    """Return the template's variables for a training on all rows, whose epoch cross-validation chose."""
    losses = new_figure(*CHART)
    draw_losses(losses, record)
    first, last = record.epochs[0].train_loss, record.epochs[-1].train_loss
    return {
        "charts": [
            {
                "svg": inline_svg(
                    losses,
                    title="Loss by epoch",
                    description=f"Training loss goes from {first:.3f} to {last:.3f}.",
                ),
                "caption": "Loss in training on all rows, with dropout. No rows are left for validation.",
            }
        ],
        "headings": ["epoch", "training loss", "time"],
        "rows": [[f"{epoch.number}", nats(epoch.train_loss), duration(epoch.seconds)] for epoch in record.epochs],
        "costs": costs(record),
    }


def calibration_part(found: Trust) -> dict[str, Any]:
    """Return the template's variables for calibration: confidence and accuracy, also scaled, and risk by coverage."""
    rows = [("unscaled", found.plain)]
    if found.scaled is not None and found.temperature is not None:
        rows.append((f"scaled, temperature {found.temperature:.2f}", found.scaled))
    sentence = probabilities_sentence(found)
    return {
        "sentence": sentence,
        "charts": [
            {
                "svg": inline_svg(
                    draw_reliability(found),
                    title="Reliability diagram",
                    description="Where a line lies below the diagonal, confidence exceeds accuracy. " + sentence,
                ),
                "caption": f"Reliability, in bins of at least {LEAST_IN_BIN} rows: on the diagonal, confidence equals accuracy.",
            },
            {
                "svg": inline_svg(
                    draw_risk(found.curve),
                    title="Risk by coverage",
                    description=f"Answering all rows, {100 * found.curve.risk[-1]:.1f} % of the answers are wrong.",
                ),
                "caption": "Risk and coverage: share of wrong answers if only confident predictions are answered.",
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
        "abstain": _abstain(found.curve),
        "thresholds_of": "scaled probabilities" if found.scaled is not None else "unscaled probabilities",
    }


def _abstain(curve: RiskCoverage) -> list[dict[str, str]]:
    """Return the least probability that is answered, the share answered, and the share of wrong ones, by coverage.

    If many rows have the same confidence, several coverages have the same threshold; the first answers the most rows.
    """
    found: dict[str, dict[str, str]] = {}
    for coverage in COVERAGES:
        place = min(int(np.searchsorted(curve.coverage, coverage - 1e-12)), len(curve.coverage) - 1)
        threshold = f"{np.floor(1000 * curve.thresholds[place]) / 1000:.3f}"
        found.setdefault(
            threshold,
            {
                "threshold": threshold,
                "coverage": f"{100 * curve.coverage[place]:.1f} %",
                "risk": f"{100 * curve.risk[place]:.2f} %",
            },
        )
    return list(found.values())

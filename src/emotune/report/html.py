"""`report.html`: everything a run or a comparison found, in one file that needs no network.

The page's text stands in `report.html.jinja`, every number comes from the objects. Whatever is printed is escaped for HTML, and its control
characters are shown instead of obeyed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotune.evaluation.attribution import Words
from emotune.evaluation.scores import absent_classes, score_without
from emotune.report import charts
from emotune.report.formats import duration, magnitude, nats, nats_difference, points, quantity, scores, share
from emotune.report.tables import costs
from emotune.report.verdict import interval_in_points, p_value, seeds_line, signed_points, verdict
from emotune.text import printable

if TYPE_CHECKING:
    from emotune.data.audit import Audit
    from emotune.evaluation.calibration import Calibration, Trust
    from emotune.evaluation.comparison import Comparison
    from emotune.evaluation.paired import Interval
    from emotune.evaluation.scores import Evaluation
    from emotune.evaluation.seeds import SeedSummary
    from emotune.training.record import TrainingRecord

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_STYLE = Path(__file__).with_name("style.css")
# What tells a report of ours from any other page.
MARK = '<meta name="generator" content="emotune">'
EXAMPLES = 8
# How opaque the strongest word's mark is: darker, and the word in it could not be read.
STRONGEST_MARK = 0.55
# Bins of fewer rows say nothing about how often the model is right, and stay out of the diagram.
LEAST_IN_BIN = 5
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


@dataclass(frozen=True, eq=False)
class Report:
    """What the page shows.

    Attributes:
        title: Its heading.
        subtitle: When and with what it was made.
        comparison: The two models, and baselines.
        verdict: The verdict, where it is not the comparison's own.
        training: How the second model was trained.
        seeds: Its scores over several seeds, by name.
        trust: How far its probabilities can be trusted.
        audit: What was found in the data.
        leaked: Test rows whose text stands in training, by row number from 0.
        attributions: Words that drove predictions, by row number of the test split.
        commands: What makes the figures again.
        versions: By package.
    """

    title: str
    subtitle: str
    comparison: Comparison
    verdict: str = ""
    training: TrainingRecord | None = None
    seeds: Mapping[str, SeedSummary] = field(default_factory=dict)
    trust: Trust | None = None
    audit: Audit | None = None
    leaked: Sequence[int] = ()
    attributions: Mapping[int, Words] = field(default_factory=dict)
    commands: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def render_report(*reports: Report) -> str:
    """The page as text: one article a report.

    Args:
        reports: At least one.
    """
    return render_page(
        _TEMPLATE,
        title=reports[0].title if len(reports) == 1 else f"{len(reports)} comparisons",
        articles=[_article(report) for report in reports],
    )


def render_page(template: Path, **content: Any) -> str:
    """A page of ours from its template: everything in it is escaped but what is marked as HTML.

    Args:
        template: A Jinja template, which gets the stylesheet as `style` and the generator's mark as `mark`.
        content: What it prints.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        mark=Markup(MARK), style=Markup(_STYLE.read_text(encoding="utf-8")), **content
    )


def _article(report: Report) -> dict[str, Any]:
    """What the template prints of one report."""
    comparison = report.comparison
    return {
        "title": report.title,
        "subtitle": report.subtitle,
        "verdict": report.verdict or verdict(comparison),
        "seeds": [f"{name}: {seeds_line(summary)}" for name, summary in report.seeds.items()],
        "rows": f"{quantity(len(comparison.after.split), 'row')} of {comparison.after.split.name}",
        "before_name": comparison.before.name,
        "after_name": comparison.after.name,
        "scores": _scores(comparison),
        "baselines": _baselines(comparison),
        "notes": [
            *filter(None, [absent_classes(comparison.after.metrics)]),
            *(
                f"{found.name}: {found.note}"
                for found in (comparison.before, comparison.after, *comparison.baselines)
                if found.note
            ),
        ],
        "leaks": _leaks(comparison.after, report.leaked),
        "classes": _classes(comparison),
        "labels": comparison.after.split.labels,
        "matrices": [
            _matrix(comparison.after, f"After: {comparison.after.name}"),
            _matrix(comparison.before, f"Before: {comparison.before.name}"),
        ],
        "training": _training(report.training) if report.training else None,
        "calibration": _calibration(report.trust) if report.trust else None,
        "examples": _examples(comparison, report.attributions),
        "audit": _audit(report.audit) if report.audit else None,
        "commands": list(report.commands),
        "versions": ", ".join(f"{name} {version}" for name, version in report.versions.items()),
    }


def _drawn(*lines: Any, **options: Any) -> Any:
    """A chart, marked as HTML: `charts` has escaped what is in it."""
    from markupsafe import Markup

    return Markup(charts.line_chart(*lines, **options))


def _direction(difference: float) -> str:
    return "" if difference == 0 else "better" if difference > 0 else "worse"


def _scores(comparison: Comparison) -> list[dict[str, str]]:
    before, after = comparison.before.metrics, comparison.after.metrics
    old, new = scores(before), scores(after)
    found = comparison.statistics
    intervals: dict[str, Interval | None] = {"accuracy": found.accuracy, "macro-F1": found.macro_f1}
    rows = [
        {
            "name": name,
            "before": share(old[name]),
            "after": share(new[name]),
            "difference": points(old[name], new[name]).removesuffix(" points"),
            "direction": _direction(new[name] - old[name]),
            "interval": _interval(intervals[name]) if name in intervals else "",
        }
        for name in old
    ]
    worse = 0.0 if before.loss is None or after.loss is None else before.loss - after.loss
    rows.append(
        {
            "name": "loss (cross-entropy), lower is better",
            "before": nats(before.loss),
            "after": nats(after.loss),
            "difference": nats_difference(before.loss, after.loss),
            "direction": _direction(worse),
            "interval": "",
        }
    )
    return rows


def _interval(interval: Interval | None) -> str:
    return "too few rows changed" if interval is None else interval_in_points(interval).partition("interval ")[2]


def _baselines(comparison: Comparison) -> list[dict[str, str]]:
    rows = []
    for baseline in comparison.baselines:
        lead = comparison.against(baseline)
        rows.append(
            {
                "name": baseline.name,
                "accuracy": share(baseline.metrics.accuracy),
                "macro_f1": share(baseline.metrics.macro_f1),
                "lead": signed_points(lead.accuracy.estimate).removesuffix(" points"),
                "direction": _direction(lead.accuracy.estimate),
                "interval": _interval(lead.accuracy),
                "time": duration(baseline.seconds),
                "parameters": magnitude(baseline.parameters),
            }
        )
    return rows


def _leaks(after: Evaluation, leaked: Sequence[int]) -> dict[str, Any] | None:
    """The scores with and without the rows that training had seen."""
    without = score_without(after, leaked)
    if not leaked or without is None:
        return None
    absent = absent_classes(without)
    return {
        "caption": f"{quantity(len(leaked), 'test row')} whose text stands in training too: the scores with and without",
        "rows": [
            {"name": name, "accuracy": share(metrics.accuracy), "macro_f1": share(metrics.macro_f1)}
            for name, metrics in (
                (f"all {len(after.split):,}", after.metrics),
                (f"the other {len(after.split) - len(leaked):,}", without),
            )
        ],
        "note": absent if absent != absent_classes(after.metrics) else "",
    }


def _classes(comparison: Comparison) -> list[dict[str, Any]]:
    rows = []
    for label, change in comparison.statistics.per_class.items():
        old, new = comparison.before.metrics.per_class[label], comparison.after.metrics.per_class[label]
        rows.append(
            {
                "name": label,
                "support": f"{change.support:,}",
                "before": share(old.f1),
                "after": share(new.f1),
                "before_width": f"{100 * old.f1:.1f}",
                "after_width": f"{100 * new.f1:.1f}",
                "fixed": f"{change.fixed:,}",
                "broken": f"{change.broken:,}",
                "recall": signed_points(change.recall_difference).removesuffix(" points"),
                "direction": _direction(change.recall_difference),
                "p": p_value(change.adjusted_p).removeprefix("p = ").removeprefix("p "),
            }
        )
    return rows


def _matrix(evaluation: Evaluation, caption: str) -> dict[str, Any]:
    from emotune.report.figures import confusion_counts

    counts = confusion_counts(evaluation)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return {
        "caption": caption,
        "rows": [
            {
                "label": label,
                "cells": [
                    {
                        "count": f"{counts[i, j]:,}" if counts[i, j] else "",
                        # The square root, since the interesting cells are the mistakes.
                        "weight": f"{shares[i, j] ** 0.5:.2f}",
                        "classes": " ".join(
                            name for name, on in (("strong", shares[i, j] > 0.4), ("diagonal", i == j)) if on
                        ),
                    }
                    for j in range(len(counts))
                ],
            }
            for i, label in enumerate(evaluation.split.labels)
        ],
    }


def _training(record: TrainingRecord) -> dict[str, Any]:
    epochs = record.epochs
    numbers = [epoch.number for epoch in epochs]
    x_range = (0.5, len(epochs) + 0.5)
    losses = [loss for epoch in epochs for loss in (epoch.train_loss, epoch.validation_loss)]
    f1 = [value for epoch in epochs for value in (epoch.validation_accuracy, epoch.validation_macro_f1)]
    loss_ticks, score_ticks = charts.nice_ticks(0, max(losses)), charts.nice_ticks(min(f1), max(f1))
    best = next(epoch for epoch in epochs if epoch.number == record.best_epoch)
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
                    description=f"Macro-F1 is best after epoch {best.number}, at {best.validation_macro_f1:.4f}.",
                    x_label="epoch",
                    y_label="score",
                    x_range=x_range,
                    y_range=(score_ticks[0], score_ticks[-1]),
                    x_ticks=numbers,
                    y_ticks=score_ticks,
                ),
                "caption": f"Scores on validation; the weights of epoch {record.best_epoch} were kept.",
            },
        ],
        "headings": ["epoch", "training loss", "validation loss", "accuracy", "macro-F1", "time"],
        "rows": [
            [
                f"{e.number} (kept)" if e.number == record.best_epoch else f"{e.number}",
                nats(e.train_loss),
                nats(e.validation_loss),
                share(e.validation_accuracy),
                share(e.validation_macro_f1),
                duration(e.seconds),
            ]
            for e in epochs
        ],
        "costs": costs(record),
    }


def _calibration(found: Trust) -> dict[str, Any]:
    rows = [("as they come", found.plain)]
    lines = [
        charts.Line("perfect", [(0, 0), (1, 1)], "faint", dots=False),
        charts.Line("as they come", _reliability(found.plain), "first"),
    ]
    sentence = f"On average the confidence is {100 * found.plain.ece:.1f} points from the share that is right."
    if found.scaled is not None and found.temperature is not None:
        rows.append((f"scaled, temperature {found.temperature:.2f}", found.scaled))
        lines.append(charts.Line("scaled", _reliability(found.scaled), "second"))
        kind = "too sure" if found.temperature > 1 else "not sure enough"
        sentence += (
            f" The model is {kind} of itself: dividing its logits by {found.temperature:.2f}, which validation chose, "
            f"makes that {100 * found.scaled.ece:.1f} points. No label changes."
        )
    curve = found.curve
    tenths = [tick / 5 for tick in range(6)]
    risks = charts.nice_ticks(0, float(curve.risk.max()) or 0.01, 4)
    keep = np.unique(np.linspace(0, len(curve.risk) - 1, 200).astype(int))
    abstain = []
    for coverage in COVERAGES:
        place = min(int(np.searchsorted(curve.coverage, coverage - 1e-12)), len(curve.coverage) - 1)
        abstain.append(
            {
                "threshold": f"{np.floor(1000 * curve.thresholds[place]) / 1000:.3f}",
                "coverage": f"{100 * curve.coverage[place]:.1f} %",
                "risk": f"{100 * curve.risk[place]:.2f} %",
            }
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
            {"name": name, "loss": nats(part.loss), "brier": f"{part.brier:.4f}", "ece": f"{part.ece:.4f}"}
            for name, part in rows
        ],
        "abstain": abstain,
        "thresholds_of": "calibrated probabilities" if found.scaled is not None else "probabilities as they come",
    }


def _reliability(calibration: Calibration) -> list[tuple[float, float]]:
    """Confidence and share of right ones, of the bins that hold enough rows."""
    return [(part.confidence, part.accuracy) for part in calibration.bins if part.rows >= LEAST_IN_BIN]


def most_telling(comparison: Comparison, count: int = EXAMPLES) -> tuple[list[int], list[int]]:
    """The most confident mistakes of the second model, and the fixed rows of which the first was most sure.

    Args:
        comparison: Both models.
        count: At most so many of each.

    Returns:
        Row numbers of the mistakes, and of the fixes.
    """
    after, before = comparison.after, comparison.before
    wrong = np.flatnonzero(~after.correct)
    fixed = comparison.fixed
    if after.probabilities is not None:
        wrong = wrong[np.argsort(-after.probabilities[wrong].max(axis=1), kind="stable")]
    if before.probabilities is not None:
        fixed = fixed[np.argsort(-before.probabilities[fixed].max(axis=1), kind="stable")]
    return wrong[:count].tolist(), fixed[:count].tolist()


def _examples(comparison: Comparison, attributions: Mapping[int, Words]) -> list[dict[str, Any]]:
    wrong, fixed = most_telling(comparison)
    after, before = comparison.after, comparison.before
    labels = after.split.labels
    marked = (
        " The darker a word, the more it spoke for what the tuned model said (integrated gradients)."
        if attributions
        else ""
    )

    def confidence(evaluation: Evaluation, row: int) -> str:
        said = labels[int(evaluation.predictions[row])]
        if evaluation.probabilities is None:
            return said
        return f"{said} ({100 * evaluation.probabilities[row].max():.1f} %)"

    def example(row: int, caption: str) -> dict[str, Any]:
        words = attributions.get(row, Words((after.split.texts[row],), (0.0,)))
        pieces = [
            {"text": piece, "weight": f"{STRONGEST_MARK * weight:.2f}" if weight >= 0.05 else ""}
            for piece, weight in zip(words.pieces, words.weights, strict=True)
        ]
        return {"words": pieces, "caption": caption}

    sections = []
    if wrong:
        sections.append(
            {
                "id": "mistakes",
                "title": "Most confident mistakes",
                "explanation": f"Wrong, and sure of it: often the label is at fault.{marked}",
                "rows": [
                    example(row, f"label: {labels[int(after.split.label_ids[row])]} · said: {confidence(after, row)}")
                    for row in wrong
                ],
            }
        )
    if fixed:
        sections.append(
            {
                "id": "fixes",
                "title": "Most surprising fixes",
                "explanation": f"Right now, where the first model was wrong and most sure of it.{marked}",
                "rows": [
                    example(row, f"before: {confidence(before, row)} · now, and right: {confidence(after, row)}")
                    for row in fixed
                ],
            }
        )
    return sections


def _audit(audit: Audit) -> dict[str, Any]:
    from emotune.report.audit_tables import audit_lines

    splits = list(audit.counts)
    rows = [("rows", [f"{sum(counts.values()):,}" for counts in audit.counts.values()])]
    labels = dict.fromkeys(label for counts in audit.counts.values() for label in counts)
    rows += [(label, [f"{counts.get(label, 0):,}" for counts in audit.counts.values()]) for label in labels]
    rows.append(("words a text, median", [f"{found.median:.0f}" for found in audit.lengths.values()]))
    rows.append(("words, 99 of 100 at most", [f"{found.ninety_ninth:.0f}" for found in audit.lengths.values()]))
    for kind, words in (
        ("exact", "the same text"),
        ("trivial", "the same but for case and punctuation"),
        ("near", "nearly the same"),
    ):
        rows.append(
            (f"repeats an earlier row: {words}", [f"{len(audit.repeated(split, (kind,))):,}" for split in splits])
        )
        rows.append(
            (
                f"stands in training too: {words}",
                ["" if split == "train" else f"{len(audit.leaked(split, (kind,))):,}" for split in splits],
            )
        )
    rows.append(
        (
            "texts under different labels",
            [f"{len(audit.contradictions):,}" if split == "train" else "" for split in splits],
        )
    )
    return {
        "splits": splits,
        "rows": [{"name": name, "cells": cells} for name, cells in rows],
        "lines": list(audit_lines(audit)),
    }

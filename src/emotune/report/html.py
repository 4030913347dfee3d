"""`report.html`: all results of a run or a comparison, in one file that needs no network.

The page's text is in `report.html.jinja`; every number comes from the objects. Everything printed is escaped for HTML,
and its control characters are shown literally.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emotune.data.auditing.audit import Audit
from emotune.evaluation.attribution import Words
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.leaks import Leaks
from emotune.evaluation.rivals import rivals, yardstick
from emotune.evaluation.scores import Evaluation, absent_classes
from emotune.evaluation.seeds import SeedSummary
from emotune.evaluation.words.folds import by_fold, folds_sentences, folds_table
from emotune.evaluation.words.formats import (
    duration,
    interval_bounds,
    magnitude,
    nats,
    nats_difference,
    p_number,
    points_number,
    share,
)
from emotune.evaluation.words.leaks import kinds_in_words
from emotune.evaluation.words.margin import margin_lines
from emotune.evaluation.words.ordered import ordered_scores, ordered_sentence
from emotune.evaluation.words.verdict import seeds_line, sentences
from emotune.folder.record import TrainingRecord
from emotune.report.audit_tables import audit_lines, finding_counts, length_rows
from emotune.report.confusion import ConfusionMatrix
from emotune.report.parts import calibration_part, training_part
from emotune.statistics.paired import Interval
from emotune.system.text import printable
from emotune.system.wording import counted
from emotune.tasks.calibration import Trust

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_STYLE = Path(__file__).with_name("style.css")
# Marks a page as a report of emotune.
MARK = '<meta name="generator" content="emotune">'
EXAMPLES = 8
# Least confidence of mistakes that are called confident.
SURE = 0.8
# Opacity of the mark of the word with the largest weight; on a darker mark the word would be unreadable.
STRONGEST_MARK = 0.55


@dataclass(frozen=True, eq=False)
class Report:
    """Content of the page.

    Attributes:
        title: Its heading.
        subtitle: The date, and the versions that made it.
        comparison: The two models, and baselines.
        verdict: The sentences of the verdict, if it is not the comparison's own.
        margin: The sentences on the margin, if they are not the comparison's own.
        training: The record of the second model's training.
        seeds: Its scores over several seeds, by name.
        trust: Calibration of its probabilities.
        audit: The audit of the data.
        data_notes: Notes on reading and splitting the data, one sentence each.
        leaks: The comparison without the test rows that repeat a training row.
        attributions: Weights of words in predictions, by row number of the test split.
        commands: Commands that reproduce the results.
        versions: By package.
    """

    title: str
    subtitle: str
    comparison: Comparison
    verdict: Sequence[str] = ()
    margin: Sequence[str] | None = None
    training: TrainingRecord | None = None
    seeds: Mapping[str, SeedSummary] = field(default_factory=dict)
    trust: Trust | None = None
    audit: Audit | None = None
    data_notes: Sequence[str] = ()
    leaks: Leaks | None = None
    attributions: Mapping[int, Words] = field(default_factory=dict)
    commands: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def render_report(*reports: Report) -> str:
    """Return the page as text, with one article per report.

    Args:
        reports: At least one.
    """
    return render_page(
        _TEMPLATE,
        title=reports[0].title if len(reports) == 1 else f"{len(reports)} comparisons",
        articles=[_article(report) for report in reports],
    )


def render_page(template: Path, **content: Any) -> str:
    """Return a page from a template; everything is escaped except text marked as HTML.

    Args:
        template: A Jinja template, which gets the stylesheet as `style` and the generator's mark as `mark`.
        content: Variables of the template.
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
    """Return the template's variables for one report."""
    comparison = report.comparison
    return {
        "title": report.title,
        "subtitle": report.subtitle,
        "verdict": report.verdict or sentences(comparison, leaks=report.leaks),
        "margin": margin_lines(comparison) if report.margin is None else list(report.margin),
        "seeds": [f"{name}: {seeds_line(summary)}" for name, summary in report.seeds.items()],
        "rows": f"{counted(len(comparison.after.split), 'row')} of {comparison.after.split.name}",
        "folds": _folds(comparison),
        "before_name": comparison.before.name,
        "before_is_chance": comparison.before.is_chance,
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
        "order": _order(comparison),
        "leaks": _leaks(report.leaks) if report.leaks else None,
        "classes": _classes(comparison),
        "yardstick": yardstick(comparison).name,
        "labels": comparison.after.split.labels,
        "matrices": [
            _matrix(comparison.after, f"After: {comparison.after.name}"),
            _matrix(
                yardstick(comparison),
                f"{'Before' if yardstick(comparison) is comparison.before else 'Baseline'}: {yardstick(comparison).name}",
            ),
        ],
        "training": training_part(report.training) if report.training else None,
        "calibration": calibration_part(report.trust) if report.trust else None,
        "examples": _examples(comparison, report.attributions),
        "audit": _audit(report, comparison.after.split.labels) if report.audit else None,
        "commands": list(report.commands),
        "versions": ", ".join(f"{name} {version}" for name, version in report.versions.items()),
    }


def _folds(comparison: Comparison) -> dict[str, Any] | None:
    """Return the tables of a cross-validation; None for other comparisons."""
    if comparison.folds is None:
        return None
    return {
        "about": folds_sentences(comparison),
        "tables": [
            {"caption": table.title, "headings": table.headings, "rows": table.rows, "note": table.note}
            for table in (folds_table(comparison), by_fold(comparison))
        ],
        "repeats": comparison.folds.repeats,
    }


def _order(comparison: Comparison) -> dict[str, Any] | None:
    """Return the table of the scores that count steps, of all models; None if the labels have no order."""
    models = [comparison.after, *comparison.baselines, comparison.before]
    found = [ordered_scores(model) for model in models]
    if not all(found):
        return None
    repeat = comparison.folds is not None and comparison.folds.repeats > 1
    of_first = " In the first repeat." if repeat else ""
    return {
        "caption": f"Steps of the order between the predicted and the true label.{of_first}",
        "models": [model.name for model in models],
        "rows": [{"name": name, "cells": [scores[name] for scores in found]} for name in found[0]],
        "note": ordered_sentence(comparison),
    }


def _direction(difference: float) -> str:
    return "" if difference == 0 else "better" if difference > 0 else "worse"


def _scores(comparison: Comparison) -> list[dict[str, str]]:
    before, after, before_is_chance = comparison.before.metrics, comparison.after.metrics, comparison.before.is_chance
    old, new = before.named(), after.named()
    intervals: dict[str, str] = {}
    if not before_is_chance:  # a test against random numbers says nothing
        found = comparison.statistics
        intervals = {
            "accuracy": _interval(found.accuracy),
            "macro-F1": _interval(found.macro_f1, found.macro_f1_withheld),
        }
    rows = [
        {
            "name": name,
            "before": share(old[name]),
            "after": share(new[name]),
            "difference": points_number(new[name] - old[name]),
            "direction": _direction(new[name] - old[name]),
            "interval": intervals.get(name, ""),
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


def _interval(interval: Interval | None, withheld: str = "") -> str:
    return f"none: {withheld}" if interval is None else interval_bounds(interval)


def _baselines(comparison: Comparison) -> list[dict[str, str]]:
    rows = []
    roles = {id(rival.evaluation): rival.role for rival in rivals(comparison)}
    for baseline in comparison.baselines:
        lead = comparison.against(baseline)
        validated, role = baseline.validation_macro_f1, roles.get(id(baseline), "")
        rows.append(
            {
                "name": baseline.name,
                "role": role if role.startswith("best") else "",
                "validation": "" if validated is None else share(validated),
                "accuracy": share(baseline.metrics.accuracy),
                "macro_f1": share(baseline.metrics.macro_f1),
                **_lead("accuracy", lead.accuracy),
                **_lead("macro_f1", lead.macro_f1, lead.macro_f1_withheld),
                "time": duration(baseline.seconds),
                "parameters": magnitude(baseline.parameters),
            }
        )
    return rows


def _lead(score: str, interval: Interval | None, withheld: str = "") -> dict[str, str]:
    """Return the second model's lead over a baseline in one score; with a direction if the interval excludes 0."""
    estimate = None if interval is None else interval.estimate
    shows = interval is not None and (interval.low > 0 or interval.high < 0)
    return {
        f"{score}_lead": "" if estimate is None else points_number(estimate),
        f"{score}_direction": _direction(estimate or 0.0) if shows else "",
        f"{score}_interval": _interval(interval, withheld),
    }


def _leaks(leaks: Leaks) -> dict[str, Any]:
    """Return the scores with and without the rows seen in training, of the tuned model and of the baselines."""
    repeat = "repeats" if leaks.count == 1 else "repeat"
    found = f"{counted(leaks.count, 'test row')} {repeat} a training row: {kinds_in_words(leaks.kinds)}"
    if leaks.without is None:
        return {"caption": "", "rows": [], "note": f"{found}. No other row is left to score."}
    whole, rest = leaks.comparison, leaks.without
    absent = absent_classes(rest.after.metrics)
    return {
        "caption": f"{found}. The scores with them and without",
        "all": f"{len(whole.after.split):,}",
        "others": f"{leaks.others:,}",
        "rows": [
            {
                "name": left.name,
                "accuracy": [share(all_of.metrics.accuracy), share(left.metrics.accuracy)],
                "macro_f1": [share(all_of.metrics.macro_f1), share(left.metrics.macro_f1)],
                "lead": ""
                if left is rest.after
                else points_number(rest.after.metrics.accuracy - left.metrics.accuracy),
            }
            for all_of, left in zip((whole.after, *whole.baselines), (rest.after, *rest.baselines), strict=True)
        ],
        "note": f"The other rows: {absent}" if absent and absent != absent_classes(whole.after.metrics) else "",
    }


def _classes(comparison: Comparison) -> list[dict[str, Any]]:
    rows = []
    first = yardstick(comparison)
    for label, change in comparison.against(first).per_class.items():
        old, new = first.metrics.per_class[label], comparison.after.metrics.per_class[label]
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
                "recall": points_number(change.recall_difference),
                "direction": _direction(change.recall_difference),
                "p": "" if first.is_chance else p_number(change.adjusted_p),
            }
        )
    return rows


def _matrix(evaluation: Evaluation, caption: str) -> dict[str, Any]:
    matrix = ConfusionMatrix.of(evaluation)
    counts, tints, is_dark = matrix.counts, matrix.tints, matrix.is_dark
    return {
        "caption": caption,
        "rows": [
            {
                "label": label,
                "cells": [
                    {
                        "count": f"{counts[i, j]:,}" if counts[i, j] else "",
                        "weight": f"{tints[i, j]:.2f}",
                        "classes": " ".join(
                            name for name, on in (("strong", is_dark[i, j]), ("diagonal", i == j)) if on
                        ),
                    }
                    for j in range(len(counts))
                ],
            }
            for i, label in enumerate(evaluation.split.labels)
        ],
    }


def most_telling(comparison: Comparison, count: int = EXAMPLES) -> tuple[list[int], list[int]]:
    """Return the most confident mistakes, and the fixed rows on which the yardstick was most confident.

    Args:
        comparison: Both models.
        count: At most this many of each.

    Returns:
        Row numbers of the mistakes, and of the fixes.
    """
    after, before = comparison.after, yardstick(comparison)
    wrong = np.flatnonzero(~after.correct)
    fixed = np.flatnonzero(~before.correct & after.correct)
    if after.probabilities is not None:
        wrong = wrong[np.argsort(-after.probabilities[wrong].max(axis=1), kind="stable")]
    if before.probabilities is not None:
        fixed = fixed[np.argsort(-before.probabilities[fixed].max(axis=1), kind="stable")]
    return wrong[:count].tolist(), fixed[:count].tolist()


def _examples(comparison: Comparison, attributions: Mapping[int, Words]) -> list[dict[str, Any]]:
    wrong, fixed = most_telling(comparison)
    after, before = comparison.after, yardstick(comparison)
    labels = after.split.labels
    marked = (
        " The darker a word, the more it contributed to the tuned model's prediction (integrated gradients). "
        "Words that counted against it have weight 0 and no mark."
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
            {"text": piece, "weight": f"{STRONGEST_MARK * weight:.2f}" if weight >= 0.05 else "", "gap": gap}
            for piece, weight, gap in zip(
                words.pieces, words.weights, words.gaps or ("", *" " * (len(words.pieces) - 1)), strict=True
            )
        ]
        return {"words": pieces, "caption": caption}

    sections = []
    if wrong:
        sections.append(
            {
                "id": "mistakes",
                "title": "Most confident mistakes",
                "explanation": f"{_about_mistakes(after, wrong)}{marked}",
                "rows": [
                    example(
                        row, f"label: {labels[int(after.split.label_ids[row])]} · predicted: {confidence(after, row)}"
                    )
                    for row in wrong
                ],
            }
        )
    if fixed:
        sections.append(
            {
                "id": "fixes",
                "title": "Most surprising fixes",
                "explanation": f"Now right, but wrong in '{before.name}' with the highest confidence of the fixed rows.{marked}",
                "rows": [
                    example(row, f"{before.name}: {confidence(before, row)} · now, and right: {confidence(after, row)}")
                    for row in fixed
                ],
            }
        )
    return sections


def _about_mistakes(evaluation: Evaluation, rows: Sequence[int]) -> str:
    """Return what the mistakes shown have in common; they are called confident only if all of them are."""
    if evaluation.probabilities is None:
        return "The first mistakes by row: this model gives no probabilities."
    confidences = evaluation.probabilities[rows].max(axis=1)
    if confidences.min() >= SURE:
        return "Wrong with high confidence: worth a look, since the label may be wrong."
    low, high = f"{100 * confidences.min():.0f}", f"{100 * confidences.max():.0f}"
    return f"The mistakes with the highest confidence, {low if low == high else f'{low} to {high}'} %."


def _audit(report: Report, order: Sequence[str]) -> dict[str, Any]:
    """Return the template's variables for the data; `order` is the order of the labels everywhere on the page."""
    audit = report.audit
    if audit is None:
        raise ValueError("the report has no audit")
    splits = list(audit.counts)
    rows = [("rows", [f"{len(texts):,}" for texts in audit.texts().values()])]
    found = dict.fromkeys(label for counts in audit.counts.values() for label in counts)
    labels = [*(label for label in order if label in found), *(label for label in found if label not in order)]
    rows += [(label, [f"{counts.get(label, 0):,}" for counts in audit.counts.values()]) for label in labels]
    rows += length_rows(audit)
    rows += [
        (name, [f"{counts[split]:,}" if split in counts else "" for split in splits])
        for name, counts in finding_counts(audit)
    ]
    return {
        "splits": splits,
        "rows": [{"name": name, "cells": cells} for name, cells in rows],
        "lines": [*report.data_notes, *audit_lines(audit)],
    }

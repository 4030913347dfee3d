"""A comparison of models of several labels per row in words and tables."""

from __future__ import annotations

from emotune.evaluation.scores import Evaluation
from emotune.evaluation.several import SeveralComparison, metrics_of
from emotune.evaluation.words.formats import (
    LONGEST_NAME,
    duration,
    interval_bounds,
    interval_in_points,
    magnitude,
    nats,
    p_number,
    points_number,
    share,
    signed_points,
)
from emotune.evaluation.words.texts import Change, TextTable
from emotune.statistics.paired import LEVEL, Interval
from emotune.system.text import printable
from emotune.system.wording import counted, listed
from emotune.tasks.scores import absent_classes

LOSS = "binary cross-entropy"


def scores_line(evaluation: Evaluation) -> str:
    """Return the headline scores of one model in one line."""
    found = metrics_of(evaluation)
    figures = [f"macro-F1 {share(found.macro_f1)}", f"micro-F1 {share(found.micro_f1)}", f"loss {nats(found.loss)}"]
    line = f"{', '.join(figures)} on {counted(len(evaluation.split), 'row')} of {printable(evaluation.split.name)}"
    return f"{line}. {printable(evaluation.note)}" if evaluation.note else line


def verdict(comparison: SeveralComparison) -> list[str]:
    """Return the sentences of the verdict, the most important first."""
    after, best = comparison.after, comparison.yardstick
    found = comparison.statistics[best.name]
    lead = metrics_of(after).macro_f1 - metrics_of(best).macro_f1
    name = printable(best.name, LONGEST_NAME)
    chosen = ", the best of the simpler models on validation" if comparison.baselines else ""
    if found.macro_f1 is None:
        first = (
            f"Macro-F1 is {signed_points(lead)} against '{name}'{chosen}; there is no interval, "
            f"since {found.macro_f1_withheld}."
        )
        micro = found.micro_f1
        first += f" Micro-F1 is {signed_points(found.micro_f1_difference)}"
        first += "." if micro is None else f" ({interval_in_points(micro)}): {_judged(micro)}."
    else:
        first = (
            f"Macro-F1 is {signed_points(lead)} ({interval_in_points(found.macro_f1)}) against '{name}'{chosen}: "
            f"{_judged(found.macro_f1)}."
        )
    scores = metrics_of(after)
    sentences = [
        first,
        f"The tuned model has macro-F1 {share(scores.macro_f1)}, micro-F1 {share(scores.micro_f1)}, and exactly the right labels in "
        f"{share(scores.subset_accuracy)} of the rows (subset accuracy).",
    ]
    changed = {label: change for label, change in found.per_class.items() if change.adjusted_p < 1 - LEVEL}
    for kind, better in (("fewer", True), ("more", False)):
        labels = [label for label, change in changed.items() if (change.fixed > change.broken) is better]
        if labels:
            sentences.append(f"It makes significantly {kind} mistakes than '{name}' about {listed(labels)}.")
    return sentences


def _judged(interval: Interval) -> str:
    if interval.low > 0:
        return "the tuned model is better"
    return "the tuned model is worse" if interval.high < 0 else "no difference is shown"


def several_tables(comparison: SeveralComparison) -> list[TextTable]:
    """Return the scores of all models, the leads of the tuned one, the scores of every label, and their changes."""
    models = (comparison.after, *comparison.baselines, comparison.before)
    names = [printable(model.name, LONGEST_NAME) + (", chance" if model.is_chance else "") for model in models]
    values = [metrics_of(model).named() for model in models]
    rows: list[tuple[str | Change, ...]] = [
        (name, *(share(found[name]) if name in found else "none" for found in values)) for name in values[0]
    ]
    rows.append((LOSS, *(nats(metrics_of(model).loss) for model in models)))
    best = comparison.yardstick
    new, old = metrics_of(comparison.after), metrics_of(best)
    return [
        TextTable("Scores", ["score", *names], rows),
        TextTable(
            "Leads of the tuned model, in points",
            ["over", "macro-F1", "95 % interval", "micro-F1", "95 % interval", "time", "size"],
            [_lead(comparison, model) for model in (*comparison.baselines, comparison.before)],
            "Intervals are from 2,000 bootstrap draws of the test rows.",
        ),
        TextTable(
            "By label, of the tuned model",
            ["label", "rows", "precision", "recall", "F1", "average precision"],
            [
                (
                    printable(label, LONGEST_NAME),
                    f"{found.support:,}",
                    share(found.precision),
                    share(found.recall),
                    share(found.f1),
                    _or_none(new.average_precisions.get(label)),
                )
                for label, found in new.per_class.items()
            ],
        ),
        TextTable(
            f"Decisions about each label, against '{printable(best.name, LONGEST_NAME)}'",
            ["label", "fixed", "broken", "F1 before", "F1 after", "p"],
            [
                (
                    printable(label, LONGEST_NAME),
                    f"{change.fixed:,}",
                    f"{change.broken:,}",
                    share(old.per_class[label].f1),
                    share(new.per_class[label].f1),
                    p_number(change.adjusted_p),
                )
                for label, change in comparison.statistics[best.name].per_class.items()
            ],
            "p: McNemar's mid-p on all rows, corrected for the number of labels (Holm).",
        ),
    ]


def _lead(comparison: SeveralComparison, model: Evaluation) -> tuple[str, ...]:
    found = comparison.statistics[model.name]
    lead = metrics_of(comparison.after).macro_f1 - metrics_of(model).macro_f1
    return (
        printable(model.name, LONGEST_NAME),
        points_number(lead),
        "none" if found.macro_f1 is None else interval_bounds(found.macro_f1),
        points_number(found.micro_f1_difference),
        "none" if found.micro_f1 is None else interval_bounds(found.micro_f1),
        duration(model.seconds),
        magnitude(model.parameters),
    )


def _or_none(value: float | None) -> str:
    return "none" if value is None else share(value)


def notes(comparison: SeveralComparison) -> list[str]:
    """Return the notes of the models, and on labels without rows."""
    models = (comparison.after, *comparison.baselines, comparison.before)
    found = [f"{model.name}: {model.note}" for model in models if model.note]
    for name, statistics in comparison.statistics.items():
        if statistics.macro_f1_withheld:
            found.append(
                f"There is no interval of the lead in macro-F1 over {name}, since {statistics.macro_f1_withheld}."
            )
    return [*found, *filter(None, [absent_classes(comparison.after.metrics)])]


def thresholds_sentence(thresholds: tuple[float, ...] | None, labels: tuple[str, ...]) -> str:
    """Say from which probability on labels are predicted."""
    if thresholds is None:
        return "A label is predicted if its probability is at least 0.5."
    if len(set(thresholds)) == 1:
        return f"A label is predicted if its probability is at least {thresholds[0]:g}, the threshold with the best macro-F1 on validation."
    own = ", ".join(f"{printable(label)} {value:g}" for label, value in zip(labels, thresholds, strict=True))
    return f"A label is predicted if its probability is at least its threshold, chosen on validation: {own}."

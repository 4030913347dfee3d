"""A comparison of models of several labels per row in words and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from emotune.evaluation.leaks import SeveralLeaks
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.several import SeveralComparison, metrics_of
from emotune.evaluation.words.cut import cut_sentences
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
from emotune.evaluation.words.leaks import kinds_in_words
from emotune.evaluation.words.texts import Change, TextTable
from emotune.statistics.paired import LEVEL, Interval
from emotune.system.text import printable
from emotune.system.wording import counted, listed
from emotune.tasks.base import Task
from emotune.tasks.calibration import Calibration
from emotune.tasks.multi_calibration import LabelCalibration
from emotune.tasks.scores import absent_classes

NO_TEMPERATURES = "No temperatures were fitted: the validation rows determine none, as where no decision is wrong."
LOSS = "binary cross-entropy"


def scores_line(evaluation: Evaluation) -> str:
    """Return the headline scores of one model in one line."""
    found = metrics_of(evaluation)
    figures = [f"macro-F1 {share(found.macro_f1)}", f"micro-F1 {share(found.micro_f1)}", f"loss {nats(found.loss)}"]
    line = f"{', '.join(figures)} on {counted(len(evaluation.split), 'row')} of {printable(evaluation.split.name)}"
    return f"{line}. {printable(evaluation.note)}" if evaluation.note else line


def verdict(comparison: SeveralComparison, *, leaks: SeveralLeaks | None = None) -> list[str]:
    """Return the sentences of the verdict, the most important first.

    Args:
        comparison: The models.
        leaks: The comparison without the test rows that repeat a training row; None if there are none.
    """
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
        first += "." if micro is None else f" ({interval_in_points(micro)}): {_judged(micro, after)}."
    else:
        first = (
            f"Macro-F1 is {signed_points(lead)} ({interval_in_points(found.macro_f1)}) against '{name}'{chosen}: "
            f"{_judged(found.macro_f1, after)}."
        )
    scores, subject = metrics_of(after), called(after)
    sentences = [
        first,
        f"{subject[0].upper()}{subject[1:]} has macro-F1 {share(scores.macro_f1)}, micro-F1 {share(scores.micro_f1)}, "
        f"and exactly the right labels in {share(scores.subset_accuracy)} of the rows (subset accuracy).",
    ]
    changed = {label: change for label, change in found.per_class.items() if change.adjusted_p < 1 - LEVEL}
    for kind, better in (("fewer", True), ("more", False)):
        labels = [label for label, change in changed.items() if (change.fixed > change.broken) is better]
        if labels:
            sentences.append(f"It makes significantly {kind} mistakes than '{name}' about {listed(labels)}.")
    if leaks is not None:
        sentences.append(leaks_sentence(leaks))
    return [*sentences, *cut_sentences(after)]


def called(model: Evaluation) -> str:
    """Return what a sentence calls a model: "the tuned model" in a run, its name in quotes elsewhere."""
    return "the tuned model" if model.name == "tuned" else f"'{printable(model.name, LONGEST_NAME)}'"


def _judged(interval: Interval, model: Evaluation) -> str:
    if interval.low > 0:
        return f"{called(model)} is better"
    return f"{called(model)} is worse" if interval.high < 0 else "no difference is shown"


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
            f"Leads of {called(comparison.after)}, in points",
            ["over", "macro-F1", "95 % interval", "micro-F1", "95 % interval", "time", "size"],
            [_lead(comparison, model) for model in (*comparison.baselines, comparison.before)],
            "Intervals are from 2,000 bootstrap draws of the test rows.",
        ),
        TextTable(
            f"By label, of {called(comparison.after)}",
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


def thresholds_sentence(task: Task, labels: tuple[str, ...]) -> str:
    """Say from which probability on labels are predicted."""
    thresholds = task.thresholds
    rule = " A text whose labels all stay below that gets its likeliest one." if task.at_least_one else ""
    if thresholds is None:
        return f"A label is predicted if its probability is at least 0.5.{rule}"
    if len(set(thresholds)) == 1:
        return (
            f"A label is predicted if its probability is at least {thresholds[0]:g}, the threshold with the best macro-F1 on "
            f"validation.{rule}"
        )
    own = ", ".join(f"{printable(label)} {value:g}" for label, value in zip(labels, thresholds, strict=True))
    return f"A label is predicted if its probability is at least its threshold, chosen on validation: {own}.{rule}"


def leaks_sentence(leaks: SeveralLeaks) -> str:
    """Return a sentence with the scores of all rows and without leaked ones, and those of the best baseline."""
    repeat = f"{counted(leaks.count, 'test row')} {'repeats' if leaks.count == 1 else 'repeat'} a training row"
    if leaks.without is None:
        return f"Every test row repeats a training row ({kinds_in_words(leaks.kinds)}): none is left to score."
    whole, rest, best = metrics_of(leaks.comparison.after), metrics_of(leaks.without.after), leaks.without.yardstick
    of_best = metrics_of(best)
    return (
        f"{repeat} ({kinds_in_words(leaks.kinds)}). Without them, on {counted(leaks.others, 'row')}: "
        f"macro-F1 {share(rest.macro_f1)} instead of {share(whole.macro_f1)}, "
        f"micro-F1 {share(rest.micro_f1)} instead of {share(whole.micro_f1)}; "
        f"'{printable(best.name, LONGEST_NAME)}' has {share(of_best.macro_f1)} and {share(of_best.micro_f1)}."
    )


def calibration_table(found: Mapping[str, LabelCalibration]) -> TextTable:
    """Return the calibration of every label's probabilities, before and after scaling."""
    return TextTable(
        "Calibration of the tuned model's probabilities, by label",
        ["label", "temperature", "ECE, points", "scaled", "Brier score", "scaled"],
        [
            (
                printable(label, LONGEST_NAME),
                "none" if own.temperature is None else f"{own.temperature:.2f}",
                f"{100 * own.plain.ece:.1f}",
                "none" if own.scaled is None else f"{100 * own.scaled.ece:.1f}",
                f"{own.plain.brier:.4f}",
                "none" if own.scaled is None else f"{own.scaled.brier:.4f}",
            )
            for label, own in found.items()
        ],
        "ECE: the mean distance of a label's probability from its share of the rows, over 15 bins. Brier score: the mean "
        "squared distance from 0 or 1.",
    )


def calibration_sentence(found: Mapping[str, LabelCalibration]) -> str:
    """Return a sentence on calibration as a mean over labels, and on what scaling changes."""
    plain = [own.plain for own in found.values()]
    scaled = [own.scaled for own in found.values() if own.scaled is not None]
    due = sum(own.is_as_expected for own in plain)
    sentence = (
        f"The expected calibration error (ECE) is {_mean_ece(plain)} points, as a mean over labels; chance explains that of "
        f"{due} of {counted(len(plain), 'label')} on these rows."
    )
    if not scaled:
        return f"{sentence} {NO_TEMPERATURES}"
    return (
        f"{sentence} Dividing each label's logits by its temperature, fitted on validation, changes the mean from "
        f"{_mean_ece(plain)} to {_mean_ece(scaled)} points, and the mean Brier score from {_mean_brier(plain)} to "
        f"{_mean_brier(scaled)}. No label changes; emotune predict --calibrated gives the scaled probabilities."
    )


def _mean_ece(found: Sequence[Calibration]) -> str:
    return f"{100 * fmean(own.ece for own in found):.1f}"


def _mean_brier(found: Sequence[Calibration]) -> str:
    return f"{fmean(own.brier for own in found):.4f}"

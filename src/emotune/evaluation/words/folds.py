"""A cross-validation in words and tables: what was trained and scored, the scores of all models, and those by fold."""

from __future__ import annotations

from emotune.evaluation.comparison import Comparison
from emotune.evaluation.folds import FoldStudy, unbounded
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.words.formats import (
    LONGEST_NAME,
    duration,
    interval_bounds,
    p_number,
    points_number,
    share,
)
from emotune.evaluation.words.texts import TextTable
from emotune.statistics.paired import Interval
from emotune.statistics.resampled import Resampled
from emotune.system.text import printable
from emotune.system.wording import counted

INTERVAL = "corrected resampled t (Nadeau and Bengio, Machine Learning 52, 2003)"


def trainings(study: FoldStudy) -> str:
    """Return the number of trainings: "5 folds", "15 folds (5, three times over)"."""
    times = "" if study.repeats == 1 else f" ({study.folds} of each of {study.repeats} repeats)"
    return f"{study.folds * study.repeats} folds{times}"


def folds_sentences(comparison: Comparison) -> list[str]:
    """Return what the scores of a cross-validation are; none for other comparisons."""
    study = comparison.folds
    if study is None:
        return []
    rows = counted(len(comparison.after.split), "row")
    repeats = "" if study.repeats == 1 else f" in each of {study.repeats} repeats"
    return [
        f"Cross-validated: each of the {rows} is scored once{repeats}, by the model of the fold that left it out. Scores are means over "
        f"{trainings(study)}; intervals and p are those of the {INTERVAL}.",
        f"The saved model was trained on all rows, to epoch {study.kept_epoch}, the median of those that the folds kept. No row is left "
        "to score it on: the scores are those of models trained in the same way on fewer rows.",
    ]


def folds_table(comparison: Comparison) -> TextTable:
    """Return the scores of all models over all folds, the second model first, and its leads with intervals and p.

    Each model has a line per score, since a line with both does not fit a narrow terminal.

    Raises:
        ValueError: The comparison has no folds.
    """
    study = _study(comparison)
    models = (comparison.after, *comparison.baselines, comparison.before)
    return TextTable(
        f"Means over {trainings(study)}",
        ["model", "score", "mean", "lead (95 % interval)", "p"],
        [line for model in models for line in _lines(comparison, study, model)],
        f"Leads are those of {printable(comparison.after.name, LONGEST_NAME)}, in points"
        + (f"; of {' and '.join(study.further)} in their own units." if study.further else "."),
    )


def by_fold(comparison: Comparison) -> TextTable:
    """Return a row per fold: its rows, its epochs, and the accuracy of every model that is not chance.

    Raises:
        ValueError: The comparison has no folds.
    """
    study = _study(comparison)
    models = [model for model in (comparison.after, *comparison.baselines) if not model.is_chance]
    rows = [
        (
            f"{record.repeat}.{record.fold}",
            f"{record.trained:,}",
            f"{record.validated:,}",
            f"{record.scored:,}",
            f"{record.kept} of {record.epochs}",
            *(share(study.accuracy[model.name][record.repeat - 1, record.fold - 1]) for model in models),
            share(study.macro_f1[comparison.after.name][record.repeat - 1, record.fold - 1]),
            duration(record.seconds),
        )
        for record in study.records
    ]
    after = printable(comparison.after.name, LONGEST_NAME)
    return TextTable(
        "By fold: repeat and number of the fold, its rows, the epoch kept, accuracy, and time of training",
        [
            "fold",
            "training rows",
            "validation",
            "scored",
            "epoch",
            *(printable(model.name, LONGEST_NAME) for model in models),
            f"macro-F1 of {after}",
            "time",
        ],
        rows,
    )


def score_interval(comparison: Comparison) -> Interval:
    """Return the mean accuracy of the second model with its interval.

    Raises:
        ValueError: The comparison has no folds.
    """
    return _study(comparison).scores(comparison.after.name)[0].interval(0.0, 1.0)


def _study(comparison: Comparison) -> FoldStudy:
    if comparison.folds is None:
        raise ValueError("this comparison has no folds")
    return comparison.folds


def _lines(comparison: Comparison, study: FoldStudy, model: Evaluation) -> list[tuple[str, ...]]:
    """Return the lines of one model: accuracy, macro-F1, and the further scores of the task."""
    name = printable(model.name, LONGEST_NAME) + (", chance" if model.is_chance else "")
    accuracy, macro_f1 = study.scores(model.name)
    leads = [("", ""), ("", "")]
    if model is not comparison.after and not model.is_chance:
        found = comparison.over_folds(model)
        leads = [
            (f"{points_number(interval.estimate)} ({interval_bounds(interval)})", p_number(p))
            for interval, p in ((found.accuracy, found.p_value), (found.macro_f1, found.macro_f1_p))
        ]
    further = []
    for score, of in study.further_scores(model.name).items():
        lead = ("", "")
        if model is not comparison.after and not model.is_chance:
            found = comparison.over_folds(model)
            lead = (
                (_in_units(found.further[score]), p_number(found.p_of(found.further[score])))
                if score in found.further
                else lead
            )
        further.append(("", score, share(of.mean), *lead))
    return [
        (name, "accuracy", share(accuracy.mean), *leads[0]),
        ("", "macro-F1", share(macro_f1.mean), *leads[1]),
        *further,
    ]


def _in_units(found: Resampled) -> str:
    """Return the difference of a score that is no share, with its interval."""
    interval = unbounded(found)
    return f"{interval.estimate:+z.3f} ({interval.low:+z.3f} to {interval.high:+z.3f})"

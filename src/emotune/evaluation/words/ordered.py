"""Scores of labels that have an order, in rows of tables and in a sentence of the verdict."""

from __future__ import annotations

import numpy as np

from emotune.evaluation.comparison import Comparison
from emotune.evaluation.folds import FoldStudy, unbounded
from emotune.evaluation.rivals import rivals
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.words.formats import LONGEST_NAME, share
from emotune.evaluation.words.texts import TextTable
from emotune.statistics.paired import Interval
from emotune.system.text import printable
from emotune.system.wording import counted
from emotune.tasks.ordered import KAPPA, MEAN_ABSOLUTE_ERROR, OrderedMetrics, OrderedStatistics


def ordered_scores(evaluation: Evaluation) -> dict[str, str]:
    """Return the scores that count steps of the order, by their name in tables; none if the labels have no order.

    Of the rows off by a number of steps, the share is shown.
    """
    found = evaluation.metrics
    if not isinstance(found, OrderedMetrics):
        return {}
    kappa = found.quadratic_weighted_kappa
    return {
        "mean absolute error, lower is better": f"{found.mean_absolute_error:.4f}",
        "quadratic weighted kappa": "none" if kappa is None else share(kappa),
        **{f"off by {counted(steps, 'step')}": share(part) for steps, part in enumerate(found.off_by) if steps},
    }


def ordered_sentence(comparison: Comparison) -> str:
    """Return a sentence on the scores that count steps, against the most informative other model; "" without an order."""
    after = comparison.after
    others = [
        rival.evaluation
        for rival in rivals(comparison)
        if not np.array_equal(rival.evaluation.predictions, after.predictions)
    ]
    if not isinstance(after.metrics, OrderedMetrics) or not others:
        return ""
    other = others[0]
    if comparison.folds is not None:
        return _over_folds(comparison, comparison.folds, other)
    statistics = comparison.against(other)
    if not isinstance(statistics, OrderedStatistics) or not isinstance(other.metrics, OrderedMetrics):
        return ""
    found = statistics.ordered
    name, second = printable(other.name, LONGEST_NAME), printable(after.name, LONGEST_NAME)
    told = (
        f"'{second}' is off by {after.metrics.mean_absolute_error:.2f} steps of the order on average, '{name}' by "
        f"{other.metrics.mean_absolute_error:.2f}"
    )
    if found.mean_absolute_error is None:
        return f"{told}; there is no interval of the difference: {found.withheld}."
    told += f": a difference in mean absolute error of {_interval(found.mean_absolute_error)}"
    kappa = found.quadratic_weighted_kappa
    return f"{told}." if kappa is None else f"{told}, and in quadratic weighted kappa of {_interval(kappa)}."


def _over_folds(comparison: Comparison, study: FoldStudy, other: Evaluation) -> str:
    """Return the sentence for a cross-validation: means over all folds, with their intervals."""
    name, second = printable(other.name, LONGEST_NAME), printable(comparison.after.name, LONGEST_NAME)
    off = [study.further_scores(model.name)[MEAN_ABSOLUTE_ERROR].mean for model in (comparison.after, other)]
    found = comparison.over_folds(other).further
    parts = [
        f"in {score} of {_interval(unbounded(found[score]))}"
        for score in (MEAN_ABSOLUTE_ERROR, KAPPA)
        if score in found
    ]
    return (
        f"'{second}' is off by {off[0]:.2f} steps of the order on average, '{name}' by {off[1]:.2f} (means of "
        f"{study.folds * study.repeats} folds): a difference {', and '.join(parts)}."
    )


def order_table(comparison: Comparison, before_heading: str, after_heading: str) -> TextTable | None:
    """Return the scores that count steps before and after; None if the labels have no order.

    Args:
        comparison: Both models.
        before_heading: Heading of the scores of the first.
        after_heading: Heading of those of the second.
    """
    old, new = ordered_scores(comparison.before), ordered_scores(comparison.after)
    rows = [(name, old[name], new[name]) for name in new if name in old]
    title = "Steps of the order"
    if comparison.folds is not None and comparison.folds.repeats > 1:
        title += ", in the first repeat"
    return TextTable(title, ["score", before_heading, after_heading], rows) if rows else None


def _interval(found: Interval) -> str:
    return f"{found.estimate:+z.3f} ({100 * found.level:.0f} % interval {found.low:+.3f} to {found.high:+.3f})"

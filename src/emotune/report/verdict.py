"""What a comparison comes to, in a sentence: more accurate, less accurate, or no evidence of a difference; and how sure that is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from emotune.report.formats import bound, quantity
from emotune.text import printable

if TYPE_CHECKING:
    from emotune.evaluation.comparison import Comparison
    from emotune.evaluation.paired import Interval, PairedStatistics
    from emotune.evaluation.scores import Evaluation
    from emotune.evaluation.seeds import SeedSummary

_LONGEST_NAME = 60


def verdict(comparison: Comparison, corrected_p: float | None = None) -> str:
    """The second model against the first, in one to three sentences, and against the best of the baselines.

    The best baseline is the one with the most accuracy, and of several the one with the most macro-F1.

    Args:
        comparison: The models.
        corrected_p: The p-value corrected for the number of comparisons, where this is one of several.
    """
    before, after = comparison.before, comparison.after
    if comparison.same_labels:
        sentence = f"'{_name(before)}' and '{_name(after)}' predict the same label on every row ({quantity(len(after.split), 'row')})."
        it, it_is = "They", "They are"
    else:
        statistics = (
            comparison.statistics if corrected_p is None else replace(comparison.statistics, p_value=corrected_p)
        )
        sentence = _describe(statistics, _name(before), _name(after))
        it, it_is = "It", "It is"
    best = max(comparison.baselines, key=lambda found: (found.metrics.accuracy, found.metrics.macro_f1), default=None)
    alike = [found for found in comparison.baselines if np.array_equal(found.predictions, after.predictions)]
    is_best = any(found is best for found in alike)
    same = best if is_best else alike[0] if alike else None
    if len(np.unique(after.predictions)) == 1:
        label = printable(after.split.labels[int(after.predictions[0])], _LONGEST_NAME)
        role = "the best baseline, " if is_best else ""
        likewise = "" if same is None else f", as {role}'{_name(same)}'{',' if is_best else ''} does"
        sentence += f" '{_name(after)}' says '{label}' for every row{likewise}."
    elif is_best and same is not None:
        verb = "predict" if comparison.same_labels else "predicts"
        sentence += f" {it} {verb} the same label on every row as the best baseline, '{_name(same)}'."
    if best is None or is_best:
        return sentence
    lead = comparison.against(best)
    evidence = f"{signed_points(lead.accuracy.estimate)}, {interval_in_points(lead.accuracy)}, {p_value(lead.p_value)}"
    if not lead.is_significant:
        relation = f"{it} cannot be told from"
    elif lead.accuracy.estimate > 0:
        relation = f"{it_is} better than"
    else:
        relation = f"{it_is} worse than"
    return f"{sentence} {relation} the best baseline, '{_name(best)}' ({evidence})."


def _name(evaluation: Evaluation) -> str:
    return printable(evaluation.name, _LONGEST_NAME)


def _describe(found: PairedStatistics, first: str, second: str) -> str:
    evidence = f"{interval_in_points(found.accuracy)}, {p_value(found.p_value)}"
    macro = (
        ""
        if found.macro_f1 is None
        else f" Macro-F1 differs by {signed_points(found.macro_f1.estimate)} ({interval_in_points(found.macro_f1)})."
    )
    if not found.is_significant:
        return (
            f"No evidence of a difference at this test size: the accuracy of '{second}' differs from that of '{first}' by "
            f"{signed_points(found.accuracy.estimate)} ({evidence}).{macro} {limits(found)}"
        )
    direction = "More accurate" if found.accuracy.estimate > 0 else "Less accurate"
    share = f"{abs(100 * found.accuracy.estimate):.1f} points {'above' if found.accuracy.estimate > 0 else 'below'}"
    return f"{direction}: the accuracy of '{second}' is {share} that of '{first}' ({evidence}).{macro}"


def limits(statistics: PairedStatistics) -> str:
    """What this many test rows can show at all."""
    return (
        f"On {statistics.rows:,} test rows a true difference of {100 * statistics.detectable:.1f} points would be found four times out of "
        "five, a smaller one less often."
    )


def signed_points(value: float) -> str:
    """A difference in percentage points: "+79.3 points"."""
    return f"{100 * value:+z.1f} points"


def interval_in_points(interval: Interval) -> str:
    """An interval in percentage points: "95 % interval +77.4 to +81.1"."""
    return f"{100 * interval.level:.0f} % interval {bound(interval.low)} to {bound(interval.high)}"


def p_value(value: float) -> str:
    """A p-value: "p = 0.034", "p < 0.001"."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def seeds_line(summary: SeedSummary) -> str:
    """A score over seeds: "0.9307 ± 0.0056 over 5 seeds (95 % interval 0.9191 to 0.9423, seeds and rows counted)"."""
    interval = summary.interval
    return (
        f"{summary.mean:.4f} ± {summary.standard_deviation:.4f} over {len(summary.values)} seeds "
        f"({100 * interval.level:.0f} % interval {interval.low:.4f} to {interval.high:.4f}, seeds and rows counted)"
    )

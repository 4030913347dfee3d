"""The verdict of a comparison in a few sentences: better, worse or no evidence of a difference, and the evidence.

Each sentence has a function of its own. `emotune.evaluation.rivals` decides what is compared, in which order, and what
counts as a difference; this module puts it into words.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emotune.evaluation.comparison import Comparison, SeenRows
from emotune.evaluation.leaks import Leaks, without_rows
from emotune.evaluation.rivals import (
    Rival,
    ScoreDifference,
    difference_from,
    is_unbalanced,
    rivals,
    score_differences,
)
from emotune.evaluation.scores import Evaluation, absent_classes
from emotune.evaluation.seeds import SeedSummary
from emotune.evaluation.words.cut import cut_sentences
from emotune.evaluation.words.formats import (
    LONGEST_NAME,
    interval_in_points,
    p_value,
    share,
    signed_points,
)
from emotune.evaluation.words.leaks import leaks_sentence
from emotune.evaluation.words.ordered import ordered_sentence
from emotune.system.text import printable
from emotune.system.wording import counted

_BETTER = {"accuracy": "is more accurate", "macro-F1": "has a higher macro-F1"}
_WORSE = {"accuracy": "is less accurate", "macro-F1": "has a lower macro-F1"}


def verdict(
    comparison: Comparison, corrected_p: Mapping[str, float] | None = None, *, leaks: Leaks | None = None
) -> str:
    """Return all of `sentences` as one text."""
    return " ".join(sentences(comparison, corrected_p, leaks=leaks))


def sentences(
    comparison: Comparison, corrected_p: Mapping[str, float] | None = None, *, leaks: Leaks | None = None
) -> list[str]:
    """Return the verdict of a comparison, the most important sentence first.

    The second model is compared with its rivals in turn: the first model unless that is chance, the baseline that is
    best on validation, and the frozen encoder. Then follow what these rows can show, the scores on rows that repeat no
    training row, and the untrained head, which is chance and is not tested.

    Args:
        comparison: The models.
        corrected_p: P-values of the second model against the first by score, "accuracy" and "macro-F1", corrected for
            the number of comparisons, if this is one of several.
        leaks: The comparison without the test rows that repeat a training row; None if there are none.
    """
    before, after = comparison.before, comparison.after
    if after.is_chance:
        return [chance(found) for found in (after, before) if found.is_chance]
    found = []
    undecided = None
    for rival in rivals(comparison):
        corrected = corrected_p if rival.evaluation is before else None
        found.append(against(comparison, rival, corrected))
        if undecided is None and _is_undecided(comparison, rival.evaluation, corrected):
            undecided = rival.evaluation
    if not found:
        found.append(alone(comparison))
    same = one_label(comparison)
    if same:
        found.insert(1, same)
    found += filter(None, [ordered_sentence(comparison)])
    if undecided is not None:
        found.append(limits(comparison, undecided, corrected=undecided is before and bool(corrected_p)))
    if leaks is not None:
        found.append(without_leaks(leaks))
    if comparison.seen is not None:
        # Rows that the first model has seen cast doubt on the first sentence, so they come right after it.
        place = 1 if len(comparison.seen.rows) else len(found)
        found.insert(place, seen_before(comparison, comparison.seen))
    if before.is_chance:
        found.append(chance(before))
    return [*found, *cut_sentences(after)]


def against(comparison: Comparison, rival: Rival, corrected_p: Mapping[str, float] | None = None) -> str:
    """Return the result of the second model against one rival: the differences in both scores, and their evidence."""
    after, other = comparison.after, rival.evaluation
    if _same_labels(comparison, other):
        rows = counted(len(after.split), "row")
        return f"{_capital(named(rival))} and '{_name(after)}' predict the same label on every row ({rows})."
    found = score_differences(comparison, other, corrected_p)
    seeds = seeds_behind(comparison, other)
    evidence = [figures(found[0], seeds), *(figures(difference) for difference in found[1:])]
    headline = relation(found, f"'{_name(after)}'", named(rival))
    parts = [f"{headline}: {', '.join(evidence)}."]
    if len(found) == 1:
        parts.append(untested(comparison, other))
    parts += [
        contradiction(difference) for difference in found if difference.excludes_zero != difference.is_significant
    ]
    if seeds == "one seed each" and any(difference.direction for difference in found):
        parts.append("This compares two trained models: p does not count that another seed gives another model.")
    return " ".join(parts)


def relation(found: tuple[ScoreDifference, ...], name: str, other: str) -> str:
    """Say in which scores a model is better or worse than another, and in which there is no evidence of a difference.

    Args:
        found: The difference in one score or in two, the leading one first.
        name: The model, quoted.
        other: Name of the other model in the sentence.
    """
    first, *rest = found
    directions = {difference.direction for difference in found}
    if directions == {0}:
        score = "" if rest else f" in {first.score}"
        return f"No evidence of a difference{score} between {name} and {other} at this test size"
    if rest and len(directions) == 1:
        return f"{name} is {'better' if first.direction > 0 else 'worse'} than {other}"
    if not first.direction:
        return f"No evidence of a difference in {first.score} between {name} and {other}, but {name} {_claim(rest[0])}"
    sentence = f"{name} {_claim(first)} than {other}"
    if not rest:
        return sentence
    second = rest[0]
    if not second.direction:
        return f"{sentence}, with no evidence of a difference in {second.score}"
    return f"{sentence}, but {_claim(second)}"


def figures(difference: ScoreDifference, seeds: str = "") -> str:
    """Format a difference: "accuracy +8.0 points (one seed, 95 % interval +1.9 to +14.1, p = 0.010)"."""
    evidence = [seeds] if seeds else []
    evidence += [interval_in_points(difference.interval), p_value(difference.p_value)]
    return f"{difference.score} {signed_points(difference.interval.estimate)} ({', '.join(evidence)})"


def seeds_behind(comparison: Comparison, other: Evaluation) -> str:
    """Return the number of seeds of both sides: "one seed", "one seed each", "mean of 5 seeds"; "" without any."""
    if comparison.folds is not None:
        return f"mean of {comparison.folds.folds * comparison.folds.repeats} folds"
    if comparison.seeds:
        return f"mean of {len(comparison.seeds)} seeds{' against one' if other.has_seed else ''}"
    if comparison.after.has_seed and other.has_seed:
        return "one seed each"
    return "one seed" if comparison.after.has_seed or other.has_seed else ""


def untested(comparison: Comparison, other: Evaluation) -> str:
    """Return a sentence with the reason why macro-F1 is not compared."""
    why = difference_from(comparison, other).macro_f1_withheld
    if is_unbalanced(comparison.after.split):
        return f"Classes are unbalanced, so macro-F1 would say more, but it is not compared: {why}."
    return f"Macro-F1 is not compared: {why}."


def contradiction(difference: ScoreDifference) -> str:
    """Return a sentence on a test and an interval that disagree, with the reason."""
    if difference.corrected and difference.excludes_zero:
        return f"In {difference.score} the interval excludes 0, but unlike p it is not corrected for the number of comparisons."
    side = (
        "excludes 0 and the test finds no difference"
        if difference.excludes_zero
        else "contains 0 and the test finds a difference"
    )
    return f"In {difference.score} the interval {side}: a borderline case."


def one_label(comparison: Comparison) -> str:
    """Say that the second model, with every seed, predicts one label for every row, and who else does; else ""."""
    after = comparison.after
    models = comparison.seeds or (after,)
    if len(np.unique([model.predictions for model in models])) != 1:
        return ""
    label = printable(after.split.labels[int(after.predictions[0])], LONGEST_NAME)
    alike = next(
        (found for found in comparison.baselines if np.array_equal(found.predictions, after.predictions)), None
    )
    likewise = "" if alike is None else f", as '{_name(alike)}' does"
    return f"'{_name(after)}' predicts '{label}' for every row{likewise}."


def without_leaks(leaks: Leaks) -> str:
    """Return the verdict on the test rows that repeat no training row, beside that on all rows."""
    rest, parts = leaks.without, [leaks_sentence(leaks)]
    if rest is None:
        return parts[0]
    rival = next(iter(rivals(rest)), None)
    if rival is not None:
        found = against(rest, rival)
        parts.append(f"On the remaining rows {found[0].lower()}{found[1:]}")
    absent = absent_classes(rest.after.metrics)
    if absent and absent != absent_classes(leaks.comparison.after.metrics):
        parts.append(absent)
    return " ".join(parts)


def seen_before(comparison: Comparison, seen: SeenRows) -> str:
    """Say which rows the first model was trained or chosen on, with the verdict on the others."""
    name = f"'{_name(comparison.before)}'"
    if seen.unknown:
        return f"Whether {name} was trained on rows of this test is not known: {printable(seen.unknown)}."
    if not len(seen.rows):
        return (
            f"{name} was neither trained nor chosen on any of these test rows (compared without case and punctuation)."
        )
    trained, chosen = len(seen.trained), len(seen.chosen)
    parts = [f"was trained on {counted(trained, 'row')}"] if trained else []
    parts += [f"was chosen on {counted(chosen, 'row')}"] if chosen else []
    found = f"{name} {' and '.join(parts)} of this test (equal but for case and punctuation), so its scores may be too good."
    rest = without_rows(comparison, seen.rows)
    if rest is None:
        return f"{found} These are all rows: none is left for a fair comparison."
    fair = against(rest, Rival(rest.before, ""))
    return f"{found} On the other {counted(len(rest.after.split), 'row')}: {fair[0].lower()}{fair[1:]}"


def of_seeds(comparison: Comparison) -> str:
    """Return the mean scores of several seeds, and say that other figures are those of one seed; "" for one seed."""
    if not comparison.seeds:
        return ""
    accuracy, macro_f1 = comparison.mean_scores
    return (
        f"The mean of {len(comparison.seeds)} seeds has an accuracy of {share(accuracy)} and a macro-F1 of {share(macro_f1)}. "
        "The tables show only the saved model, whose seed is best on validation."
    )


def alone(comparison: Comparison) -> str:
    """Return the scores of a model without rivals."""
    after = comparison.after
    seeds = f"mean of {len(comparison.seeds)} seeds" if comparison.seeds else "one seed" if after.has_seed else ""
    if comparison.folds is not None:
        seeds = seeds_behind(comparison, after)
    accuracy, macro_f1 = comparison.mean_scores
    return (
        f"'{_name(after)}' has an accuracy of {share(accuracy)} and a macro-F1 of {share(macro_f1)} on "
        f"{counted(len(after.split), 'test row')}{f' ({seeds})' if seeds else ''}. No baseline was scored beside it, so nothing says "
        "what the tuning has brought."
    )


def chance(evaluation: Evaluation) -> str:
    """Return a sentence on the scores of an untrained head."""
    metrics = evaluation.metrics
    return (
        f"'{_name(evaluation)}' has a head of random numbers: its accuracy of {share(metrics.accuracy)} and macro-F1 of "
        f"{share(metrics.macro_f1)} are chance, and no measure of what tuning has brought."
    )


def limits(comparison: Comparison, other: Evaluation, *, corrected: bool = False) -> str:
    """Return a sentence on the difference that this number of test rows, and seeds, can show.

    Args:
        comparison: The comparison.
        other: The model from which the second one does not differ significantly.
        corrected: True if p-values are corrected for a number of comparisons, which requires a larger difference.
    """
    if comparison.folds is not None:
        study = comparison.folds
        found = comparison.over_folds(other).of_accuracy.detectable()
        return (
            f"With {study.folds * study.repeats} folds of {counted(len(comparison.after.split), 'row')} a true difference in accuracy of "
            f"{100 * min(found, 1.0):.1f} points would be found four times out of five, a smaller one less often."
        )
    paired = comparison.against(other)
    rows = counted(paired.rows, "test row")
    if paired.detectable is None:
        return f"On {rows} no difference can be significant, however large it is."
    detectable, seeds = paired.detectable, ""
    if comparison.seeds:
        detectable = comparison.over_seeds(other).of_accuracy.detectable()
        seeds = f" and with {counted(len(comparison.seeds), 'seed')}"
    if detectable >= 1:
        return (
            f"On {rows}{seeds} no difference would be found four times out of five, however large it is. Train more seeds, or "
            "score more rows."
        )
    alone = " if this were the only comparison" if corrected else ""
    return (
        f"On {rows}{seeds} a true difference in accuracy of {100 * detectable:.1f} points would be found four times out of "
        f"five{alone}, a smaller one less often."
    )


def named(rival: Rival) -> str:
    """Return the name of a rival in a sentence: "'first'", "the best baseline on validation ('TF-IDF')"."""
    name = _name(rival.evaluation)
    if not rival.role:
        return f"'{name}'"
    return f"the {rival.role}" if rival.role == name else f"the {rival.role} ('{name}')"


def _is_undecided(comparison: Comparison, other: Evaluation, corrected_p: Mapping[str, float] | None) -> bool:
    """Return whether there is no evidence about a rival, and the reason is the number of rows."""
    if _same_labels(comparison, other):
        return False
    return not any(difference.direction for difference in score_differences(comparison, other, corrected_p))


def _same_labels(comparison: Comparison, other: Evaluation) -> bool:
    models = comparison.seeds or (comparison.after,)
    return all(np.array_equal(found.predictions, other.predictions) for found in models)


def _claim(difference: ScoreDifference) -> str:
    return (_BETTER if difference.direction > 0 else _WORSE)[difference.score]


def _name(evaluation: Evaluation) -> str:
    return printable(evaluation.name, LONGEST_NAME)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def seeds_line(summary: SeedSummary) -> str:
    """Format a score: "0.9307 ± 0.0056 over 5 seeds (95 % interval 0.9191 to 0.9423, seeds and rows counted)"."""
    interval = summary.interval
    return (
        f"{summary.mean:.4f} ± {summary.standard_deviation:.4f} over {len(summary.values)} seeds "
        f"({100 * interval.level:.0f} % interval {interval.low:.4f} to {interval.high:.4f}, seeds and rows counted)"
    )

"""Sentences on the tests of a margin: not worse, equivalent, worse, or not shown."""

from __future__ import annotations

from emotune.evaluation.comparison import Comparison
from emotune.evaluation.margin import MarginTest
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.words.formats import LONGEST_NAME, interval_in_points, p_value, signed_points
from emotune.evaluation.words.verdict import seeds_behind
from emotune.system.text import printable
from emotune.system.wording import counted


def margin_lines(comparison: Comparison) -> list[str]:
    """Return a sentence per model that the second is tested against, the best baseline first; none without a margin."""
    if comparison.margin is None:
        return []
    tests = comparison.margin_tests
    if not tests:
        which, remedy = (
            ("the second model has", "Give a trained model as the second.")
            if comparison.after.is_chance
            else ("the first model has", "Give two trained models, or a baseline.")
        )
        return [
            f"The margin of {in_points(comparison.margin)} is not applied: {which} a head of random numbers. {remedy}"
        ]
    best = comparison.best_baseline
    uncorrected = 1 if tests[0][0] is best else 0
    several = len(tests) - uncorrected > 1
    lines = [
        margin_sentence(
            test,
            comparison.after,
            other,
            is_best=other is best,
            seeds=seeds_behind(comparison, other),
            corrected=several and other is not best,
        )
        for other, test in tests
    ]
    if several:
        which = "All p-values except that of the best baseline are" if uncorrected else "The p-values are"
        lines.append(f"{which} corrected for {len(tests) - uncorrected} comparisons (Holm).")
    return lines


def margin_sentence(
    test: MarginTest,
    model: Evaluation,
    against: Evaluation,
    *,
    is_best: bool = False,
    seeds: str = "",
    corrected: bool = False,
) -> str:
    """Return the result of one test in a sentence.

    Args:
        test: The test.
        model: The model claimed to be not worse.
        against: The other model.
        is_best: True if the other model is the best baseline.
        seeds: Number of seeds of the two in words: "one seed", "mean of 3 seeds"; "" if there are none.
        corrected: True if the p-values are corrected for a number of comparisons, which requires a larger margin.
    """
    name, other = (printable(found.name, LONGEST_NAME) for found in (model, against))
    other = f"the best baseline ('{other}')" if is_best else f"'{other}'"
    points = in_points(100 * test.margin)
    said = f"{f'{seeds}, ' if seeds else ''}{interval_in_points(test.difference)}"
    evidence = (
        f"{model.split.task.right} {signed_points(test.difference.estimate)} ({said}), "
        f"{counted(test.fixed, 'row')} fixed and {test.broken:,} broken of {test.rows:,}."
    )
    not_worse, equivalent = p_value(test.not_worse_p), p_value(test.equivalent_p)
    if test.is_equivalent:
        return (
            f"'{name}' is not worse than {other} by more than {points} ({not_worse}), and equivalent within {points} "
            f"({equivalent}): {evidence}"
        )
    if test.is_not_worse:
        return (
            f"'{name}' is not worse than {other} by more than {points} ({not_worse}); that they are equivalent within {points} is not "
            f"shown ({equivalent}): {evidence}"
        )
    if test.is_worse:
        return f"'{name}' is worse than {other} by more than {points} ({p_value(test.worse_p)}): {evidence}"
    alike = "accurate" if model.split.task.right == "accuracy" else "right"
    alone = " and this were the only comparison" if corrected else ""
    return (
        f"Not shown: that '{name}' is not worse than {other} by more than {points} ({not_worse}), and that they are equivalent within "
        f"{points} ({equivalent}): {evidence} With {counted(test.fixed + test.broken, 'changed row')} of {test.rows:,}, a margin of "
        f"{100 * test.provable:.1f} points is the smallest that would be shown four times out of five if both were equally {alike}{alone}."
    )


def in_points(margin: float) -> str:
    """Format a margin in words: "1 point", "0.5 points"."""
    return f"{margin:g} {'point' if margin == 1 else 'points'}"

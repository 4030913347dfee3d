"""Verdict of a leaderboard in sentences: the best, those that differ from it, and caveats about the scores."""

from __future__ import annotations

import numpy as np

from emotune.evaluation.words.formats import LONGEST_NAME
from emotune.statistics.paired import LEVEL
from emotune.sweep.leaderboard import Leaderboard, LeaderboardRow
from emotune.sweep.tables import mean_and_deviation
from emotune.system.text import printable
from emotune.system.wording import counted

_BETTER, _WORSE, _MIXED, _BEFORE_CORRECTION, _ALIKE = "better", "worse", "mixed", "before correction", "alike"

# From benchmarks/seed_tests.py; its results are in benchmarks/results/seed_tests.json.
ONE_SEED = (
    "In a simulation of 16 equal configurations on 2,000 test rows, with a standard deviation of 0.5 points between "
    "seeds, about half of the leaderboards named at least one as worse."
)


def leaderboard_verdict(board: Leaderboard) -> str:
    """Return the verdict: the best on validation, and those that differ from it on the test rows, with the score."""
    first, others = board.rows[0], board.rows[1:]
    name = printable(first.label, LONGEST_NAME)
    sentence = (
        f"Best on validation: '{name}', macro-F1 {mean_and_deviation(first.validation_macro_f1)}; on the test split {board.right} "
        f"{mean_and_deviation(first.test_right)}, macro-F1 {mean_and_deviation(first.test_macro_f1)}."
    )
    compared = [row for row in others if row.against_best is not None]
    if not compared:
        return sentence
    seeds, rows = counted(len(first.seeds), "seed"), counted(board.test_rows, "test row")
    comparisons = counted(len(compared), "comparison")
    groups: dict[str, list[LeaderboardRow]] = {}
    for row in compared:
        groups.setdefault(_relation(row), []).append(row)
    said = {
        _BETTER: f"Better than '{name}' on the test rows, though validation, which decides, put it first",
        _WORSE: f"Worse than '{name}'",
        _MIXED: f"Better than '{name}' in one score and worse in the other",
        _BEFORE_CORRECTION: f"Different from '{name}' before the correction for {comparisons}, not after it",
        _ALIKE: f"No evidence of a difference from '{name}' in either score, with {seeds} and {rows}",
    }
    parts = [f"{said[one]}: {', '.join(map(_with_scores, groups[one]))}." for one in said if one in groups]
    return " ".join([sentence, *parts])


def notes(board: Leaderboard) -> list[str]:
    """Return caveats about the scores: selection bias of the best, limits of a single seed, power of the tests."""
    if len(board.rows) < 2:
        return []
    lines = []
    if board.one_seed:
        lines.append(
            f"One seed each: another seed gives another model, and no p-value here counts that. {ONE_SEED} "
            "Train at least three seeds each, the default."
        )
    if board.spread is not None and board.power is not None:
        power, seeds = board.power, counted(len(board.rows[0].seeds), "seed")
        also = (
            f", and one of {100 * power.corrected:.1f} points once corrected for {power.comparisons} comparisons"
            if power.comparisons > 1 and power.corrected < 1
            else ""
        )
        rows = counted(board.test_rows, "test row")
        lines.append(
            f"With {seeds} and {rows} a difference in {board.right} of {100 * power.alone:.1f} points from the best "
            f"would be found about four times out of five{also}; a smaller one less often."
            if power.alone < 1
            else f"With {seeds} and {rows} no difference from the best would be found four times out of five, however large it is: "
            "train more seeds, or score more rows."
        )
    lines.append(_excess_line(board))
    return lines


def warning_lines(board: Leaderboard) -> list[str]:
    """Return the warnings of the trainings: "LoRA: the learning rate ..."."""
    return [f"{label}: {warning}" for label, found in board.warnings.items() for warning in found]


def _excess_line(board: Leaderboard) -> str:
    """Return the sentence on the selection bias of the best configuration's validation score."""
    name = printable(board.rows[0].label, LONGEST_NAME)
    chosen = f"'{name}' was chosen by its validation score"
    test = "Nothing was chosen by the test scores, but the luck of a seed can raise both."
    excess = board.excess
    if excess is None:
        return f"{chosen}, which is therefore too high. {test}"
    if excess.alike < 2:
        return f"{chosen}; no other comes near, so that score is hardly too high. {test}"
    without_seeds = "" if excess.counts_seeds else ", other seeds not counted"
    return (
        f"{chosen}, which is therefore too high: by about {100 * excess.excess:.1f} points of macro-F1 if the {excess.alike} "
        f"configurations that validation cannot tell apart are equally good, by less if they are not{without_seeds}. {test}"
    )


def _relation(row: LeaderboardRow) -> str:
    """Return the relation of a configuration to the best, by both scores."""
    directions = {direction for _, direction in _directions(row) if direction}
    if len(directions) == 2:
        return _MIXED
    if directions:
        return _BETTER if 1 in directions else _WORSE
    return _BEFORE_CORRECTION if any(direction for _, direction in _directions(row, corrected=False)) else _ALIKE


def _directions(row: LeaderboardRow, *, corrected: bool = True) -> list[tuple[str, int]]:
    """Return a sign for the share of right rows and for macro-F1: 1 if significantly better than the best, -1 if worse, else 0."""
    found = row.against_best
    if found is None:
        return []
    scores = [(row.right, found.accuracy, found.adjusted_p if corrected else found.p_value)]
    if found.macro_f1 is not None and found.macro_f1_p is not None and found.macro_f1_adjusted_p is not None:
        scores.append(("macro-F1", found.macro_f1, found.macro_f1_adjusted_p if corrected else found.macro_f1_p))
    return [(score, int(np.sign(interval.estimate)) if p < 1 - LEVEL else 0) for score, interval, p in scores]


def _with_scores(row: LeaderboardRow) -> str:
    """Return the quoted name, with the score that differs if only one of two does: "'IA3' (macro-F1)"."""
    name = f"'{printable(row.label, LONGEST_NAME)}'"
    found = _directions(row) if _relation(row) != _BEFORE_CORRECTION else _directions(row, corrected=False)
    differing = [score for score, direction in found if direction]
    return f"{name} ({differing[0]})" if len(differing) == 1 < len(found) else name

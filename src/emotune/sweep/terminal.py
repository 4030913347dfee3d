"""The leaderboard as shown in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from emotune.evaluation.words.formats import LONGEST_NAME, points_number
from emotune.report.tables import new_table, stacked
from emotune.statistics.paired import Interval
from emotune.sweep.leaderboard import Leaderboard
from emotune.sweep.margins import leaderboard_margins, margin_table
from emotune.sweep.tables import cost_cells, p_cell, score_cells
from emotune.sweep.verdict import leaderboard_verdict, notes, warning_lines
from emotune.system.text import printable

if TYPE_CHECKING:
    from rich.console import Group, RenderableType


def leaderboard_table(board: Leaderboard) -> Group:
    """Return the leaderboard for the terminal."""
    scores = new_table(
        ("configuration", "macro-F1 (val.)", f"test {board.right}", "against 1 (p)", "test macro-F1", "against 1 (p)"),
        title="Scores, the best on validation first",
    )
    costs = new_table(
        ("configuration", "trained", "of all", "training", "peak memory", "on disk"),
        title="Costs: parameters, time, memory",
    )
    for row in board.rows:
        name = Text(f"{row.rank}. {printable(row.label, LONGEST_NAME)}")
        _, _, validation, accuracy, macro_f1, *_ = score_cells(row)
        found = row.against_best
        against = (
            ("", "")
            if found is None
            else (
                _against(found.accuracy, found.adjusted_p),
                _against(found.macro_f1, found.macro_f1_adjusted_p),
            )
        )
        scores.add_row(name, validation, accuracy, against[0], macro_f1, against[1])
        costs.add_row(name, *cost_cells(row)[1:])
    parts: list[RenderableType] = [
        scores,
        Text(
            "Against 1: the difference on the test rows, in points; p is corrected for the number of comparisons (Holm)."
        ),
        *(Text(note) for note in notes(board)),
    ]
    beside = margin_table(board)
    if beside.rows:
        claims = new_table(("configuration", *beside.headings[1:]), title=beside.title)
        for first, *rest in beside.rows:
            claims.add_row(Text(printable(first, LONGEST_NAME)), *rest)
        parts += [claims, Text(beside.note)]
    parts.append(costs)
    parts += [Text(f"Failed: {printable(name)}: {printable(reason)}") for name, reason in board.failures.items()]
    parts += [Text(f"Warning: {printable(line)}") for line in warning_lines(board)]
    return stacked([*parts, *map(Text, leaderboard_margins(board)), Text(leaderboard_verdict(board), style="bold")])


def _against(interval: Interval | None, p: float | None) -> str:
    return "" if interval is None else f"{points_number(interval.estimate)} ({p_cell(p)})"

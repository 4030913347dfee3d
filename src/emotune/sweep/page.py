"""The page `leaderboard.html`: scores of a sweep and their costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emotune.evaluation.words.formats import magnitude, share
from emotune.folder.format import versions
from emotune.report.drawing import inline_svg
from emotune.report.html import render_page
from emotune.report.scatter import Point, draw_scatter, far_below
from emotune.settings.portable import command
from emotune.sweep.leaderboard import Leaderboard, LeaderboardRow, pareto_front
from emotune.sweep.margins import leaderboard_margins, margin_table
from emotune.sweep.plan import Plan
from emotune.sweep.protocol import Setting, protocol
from emotune.sweep.tables import COSTS, cost_cells, full_table, score_cells, score_headings
from emotune.sweep.verdict import leaderboard_verdict, notes, warning_lines
from emotune.system.wording import counted

_TEMPLATE = Path(__file__).with_name("leaderboard.html.jinja")


def render_leaderboard(plan: Plan, board: Leaderboard, setting: Setting) -> str:
    """Return the page `leaderboard.html`."""
    numbered = [f"{row.rank}. {row.label}" for row in board.rows]
    return render_page(
        _TEMPLATE,
        title=f"{counted(len(board.rows), 'configuration')} on {setting.data}",
        subtitle=f"Made with emotune on {setting.created}.",
        verdict=leaderboard_verdict(board),
        margins=leaderboard_margins(board),
        notes=notes(board),
        tables=[table for table in (margin_table(board), full_table(board)) if table.rows],
        scores={
            "headings": score_headings(board),
            "rows": [(name, *score_cells(row)[1:]) for name, row in zip(numbered, board.rows, strict=True)],
        },
        costs={
            "headings": COSTS,
            "rows": [(name, *cost_cells(row)[1:]) for name, row in zip(numbered, board.rows, strict=True)],
        },
        charts=_charts(board.rows),
        failures=list(board.failures.items()),
        warnings=warning_lines(board),
        protocol=protocol(plan, board, setting),
        command=command(),
        versions=", ".join(f"{name} {version}" for name, version in versions().items()),
    )


def _charts(rows: Sequence[LeaderboardRow]) -> list[dict[str, Any]]:
    """Return charts of macro-F1 on validation against costs."""
    return [
        _chart(rows, [row.seconds.median for row in rows], "training time", "seconds", lambda value: f"{value:g}"),
        _chart(
            rows,
            [float(row.trainable) for row in rows],
            "trained parameters",
            "parameters",
            lambda value: magnitude(round(value)),
        ),
    ]


def _chart(rows: Sequence[LeaderboardRow], costs: Sequence[float], what: str, unit: str, number: Any) -> dict[str, Any]:
    scores = [row.validation_macro_f1.mean for row in rows]
    front = pareto_front(list(zip(costs, scores, strict=True)))
    points = [
        Point(max(cost, 1e-3), score, f"{row.rank}", f"{row.label}: macro-F1 {share(score)}, {number(cost)} {unit}")
        for row, cost, score in zip(rows, costs, scores, strict=True)
    ]
    unbeaten = "; ".join(points[i].name for i in front)
    below = [f"{rows[i].rank} ({share(scores[i])})" for i in far_below(scores)]
    note = f" Far below the others, at the edge: {', '.join(below)}." if below else ""
    return {
        "svg": inline_svg(
            draw_scatter(
                points,
                front,
                x_label=f"{what}, {unit}" if unit not in what else what,
                y_label="macro-F1 on validation",
                x_number=number,
            ),
            title=f"Macro-F1 on validation by {what}",
            description=f"Pareto-optimal in score and {what}: {unbeaten}.",
        ),
        "caption": f"Macro-F1 on validation by {what}, on a logarithmic axis.{note}",
    }

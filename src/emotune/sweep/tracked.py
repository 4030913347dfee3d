"""Final records of trials and of a whole sweep, for trackers."""

from __future__ import annotations

from emotune.evaluation.words.texts import TextTable
from emotune.sweep.documents import leaderboard_markdown
from emotune.sweep.folder import LEADERBOARDS
from emotune.sweep.leaderboard import Leaderboard
from emotune.sweep.plan import Plan
from emotune.sweep.protocol import Setting
from emotune.sweep.tables import score_cells, score_headings
from emotune.sweep.verdict import leaderboard_verdict
from emotune.tracking.tracker import Results

# Columns of a leaderboard up to the differences, whose headings repeat.
_COLUMNS = 6


def sweep_results(plan: Plan, board: Leaderboard, setting: Setting) -> Results:
    """Return the final record of a sweep: the leaderboard, and the scores of its first row as means over seeds."""
    first = board.rows[0]
    return Results(
        figures={
            "validation/macro_f1": first.validation_macro_f1.mean,
            f"test/{board.right.replace(' ', '_')}": first.test_right.mean,
            "test/macro_f1": first.test_macro_f1.mean,
            "cost/seconds": board.wall_seconds,
        },
        facts={
            "data.name": setting.data,
            **{f"data.rows.{split}": str(rows) for split, rows in setting.rows.items()},
            "best.configuration": first.label,
            "best.trial": board.best.trial.key,
        },
        verdict=leaderboard_verdict(board),
        table=TextTable(
            "Leaderboard", score_headings(board)[:_COLUMNS], [score_cells(row)[:_COLUMNS] for row in board.rows]
        ),
        page=leaderboard_markdown(plan, board, setting),
        files=tuple(plan.folder / name for name in LEADERBOARDS),
    )

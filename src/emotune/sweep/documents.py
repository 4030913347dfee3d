"""A leaderboard as text: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from emotune.folder.format import versions
from emotune.settings import portable
from emotune.sweep.leaderboard import Leaderboard, LeaderboardRow, SeedValues
from emotune.sweep.margins import leaderboard_margins, margin_table
from emotune.sweep.plan import Plan
from emotune.sweep.protocol import Setting, protocol
from emotune.sweep.tables import COSTS, ExtraTable, cost_cells, full_table, score_cells, score_headings
from emotune.sweep.verdict import leaderboard_verdict, notes, warning_lines
from emotune.system.text import printable


def leaderboard_markdown(plan: Plan, board: Leaderboard, setting: Setting) -> str:
    """Return the leaderboard as Markdown: scores, verdict, costs, failures, and the protocol."""
    lines = [
        *_markdown_table(("#", *score_headings(board)), [(f"{row.rank}", *score_cells(row)) for row in board.rows]),
        "",
        *(f"{_markdown(line)}\n" for line in (leaderboard_verdict(board), *leaderboard_margins(board), *notes(board))),
        *(line for table in (margin_table(board), full_table(board)) if table.rows for line in _markdown_part(table)),
        *_markdown_table(("#", *COSTS), [(f"{row.rank}", *cost_cells(row)) for row in board.rows]),
        "",
        *(f"- Failed: {_markdown(name)}: {_markdown(reason)}" for name, reason in board.failures.items()),
        *(f"- Warning: {_markdown(line)}" for line in warning_lines(board)),
        *([""] if board.failures or board.warnings else []),
        "Protocol:",
        "",
        *(f"- {_markdown(line)}" for line in protocol(plan, board, setting)),
    ]
    return "\n".join(lines) + "\n"


def _markdown_part(table: ExtraTable) -> list[str]:
    """Return the lines of an optional table, with its heading and note."""
    return [f"{table.title}:", "", *_markdown_table(table.headings, table.rows), "", _markdown(table.note), ""]


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    return [
        f"| {' | '.join(headings)} |",
        f"|{'---|' * len(headings)}",
        *(f"| {' | '.join(map(_markdown, cells))} |" for cells in rows),
    ]


def _markdown(text: str) -> str:
    """Return text escaped for Markdown."""
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#" else character for character in printable(text))


def leaderboard_json(plan: Plan, board: Leaderboard, setting: Setting) -> str:
    """Return the complete leaderboard as JSON."""
    content = {
        "data": asdict(setting),
        "places": list(board.places),
        "arithmetic": list(board.arithmetic),
        "command": portable.command(),
        "seeds": list(plan.seeds),
        "searched": plan.searched,
        "best": {"trial": board.best.trial.key, "configuration": portable.configuration(board.best.trial.config)},
        "rows": [
            {
                **_row(row),
                "config": portable.configuration(row.config),
                "validation_macro_f1": _figures(row.validation_macro_f1),
                "test_macro_f1": _figures(row.test_macro_f1),
                "seconds": _figures(row.seconds),
                "trainable_share": row.trainable_share,
            }
            for row in board.rows
        ],
        "failures": dict(board.failures),
        "warnings": {label: list(found) for label, found in board.warnings.items()},
        "margin": board.margin,
        "seed_spread": None if board.spread is None else asdict(board.spread),
        "power": None if board.power is None else asdict(board.power),
        "winners_excess": None if board.excess is None else asdict(board.excess),
        "verdict": leaderboard_verdict(board),
        "margins": leaderboard_margins(board),
        "notes": notes(board),
        "protocol": protocol(plan, board, setting),
        "versions": versions(),
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _row(row: LeaderboardRow) -> dict[str, Any]:
    """Return a row, with the share of rows that are right under its own name."""
    content, name = asdict(row), row.right.replace(" ", "_")
    del content["test_right"], content["right"]
    for other in filter(None, (content["against_best"], content["against_full"])):
        other[name] = other.pop("accuracy")
    return {**content, f"test_{name}": _figures(row.test_right)}


def _figures(found: SeedValues) -> dict[str, Any]:
    return {"values": list(found.values), "mean": found.mean, "standard_deviation": found.deviation}

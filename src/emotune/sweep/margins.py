"""Margin tests of a leaderboard, non-inferiority and equivalence, as a table and in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from emotune.evaluation.differences import Claim, Difference
from emotune.evaluation.words.formats import LONGEST_NAME, p_value
from emotune.evaluation.words.margin import in_points
from emotune.statistics.paired import LEVEL
from emotune.sweep.leaderboard import Leaderboard, LeaderboardRow
from emotune.sweep.tables import ExtraTable, p_cell
from emotune.system.text import printable

_FULL_CLAIMS = ("not worse than full fine-tuning, p", "equivalent to full fine-tuning, p")


def margin_table(board: Leaderboard) -> ExtraTable:
    """Return the table of margin tests against the best and against full fine-tuning."""
    if board.margin is None:
        return ExtraTable("", (), (), "")
    points = in_points(board.margin)
    full = any(row.against_full is not None for row in board.rows)
    headings = ("configuration", "not worse than the best, p", *(_FULL_CLAIMS if full else ()))
    rows = []
    for row in board.rows:
        found = (row.against_best, row.against_full)
        if found == (None, None):
            continue
        claims = [_claim(_not_worse(found[0]))]
        if full:
            claims += [_claim(_not_worse(found[1])), _claim(_alike(found[1]))]
        rows.append((row.label, *claims))
    note = (
        f"A small p means that a configuration's {board.right} is less than {points} below the other's."
        + (f" For equivalence, it means that the two differ by less than {points} in either direction." if full else "")
        + " Each column is corrected for its number of claims (Holm)."
    )
    return ExtraTable(f"Margin: {points}", headings, tuple(rows), note)


def leaderboard_margins(board: Leaderboard) -> list[str]:
    """Return the results of the margin tests, one sentence per claim.

    Example: "Not worse than the best by more than 1 point: 'LoRA' (p = 0.010)."
    """
    if board.margin is None:
        return []
    points, others = in_points(board.margin), [row for row in board.rows if row.against_best is not None]
    full = [row for row in board.rows if row.against_full is not None]
    lines = []
    if others:
        claims = [(row, _not_worse(row.against_best)) for row in others]
        lines.append(_claim_line(f"Not worse than the best by more than {points}", claims))
    if full:
        claims = [(row, _not_worse(row.against_full)) for row in full]
        lines.append(_claim_line(f"Not worse than full fine-tuning by more than {points}", claims))
        claims = [(row, _alike(row.against_full)) for row in full]
        lines.append(_claim_line(f"Equivalent to full fine-tuning in {board.right}, within {points}", claims))
    return lines


def _claim_line(what: str, claims: Sequence[tuple[LeaderboardRow, Claim | None]]) -> str:
    held = [
        f"'{printable(row.label, LONGEST_NAME)}' ({p_value(claim.adjusted_p)})"
        for row, claim in claims
        if claim is not None and claim.adjusted_p < 1 - LEVEL
    ]
    if not held:
        return f"{what}: these seeds and test rows show it for no configuration."
    rest = (
        " It is not shown for the others, which does not mean that they are worse." if len(held) < len(claims) else ""
    )
    return f"{what}: {', '.join(held)}.{rest}"


def _not_worse(found: Difference | None) -> Claim | None:
    return None if found is None else found.not_worse


def _alike(found: Difference | None) -> Claim | None:
    return None if found is None else found.alike


def _claim(found: Claim | None) -> str:
    return "" if found is None else p_cell(found.adjusted_p)

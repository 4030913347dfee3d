"""Headings and cells of a leaderboard's tables, the same in the terminal, on the page and in Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from emotune.evaluation.words.formats import (
    duration,
    interval_bounds,
    magnitude,
    memory,
    p_number,
    percent,
    points_number,
    share,
)
from emotune.statistics.paired import Interval
from emotune.sweep.leaderboard import Leaderboard, LeaderboardRow, SeedValues
from emotune.system.wording import counted

COSTS = ("configuration", "trained parameters", "share of all", "training time", "peak memory", "size on disk")


def score_headings(board: Leaderboard) -> tuple[str, ...]:
    """Return the headings of a leaderboard's scores."""
    return (
        "configuration",
        "seeds",
        "validation macro-F1",
        f"test {board.right}",
        "test macro-F1",
        f"{board.right} against the best, in points",
        "p, corrected",
        "macro-F1 against the best, in points",
        "p, corrected",
    )


def score_cells(row: LeaderboardRow) -> tuple[str, ...]:
    """Return the cells of a row under `score_headings`."""
    found = row.against_best
    return (
        row.label,
        f"{len(row.seeds)}" + (f" of {len(row.seeds) + len(row.missing)}" if row.missing else ""),
        mean_and_deviation(row.validation_macro_f1),
        mean_and_deviation(row.test_right),
        mean_and_deviation(row.test_macro_f1),
        "" if found is None else difference_cell(found.accuracy),
        "" if found is None else p_cell(found.adjusted_p),
        "" if found is None else difference_cell(found.macro_f1),
        "" if found is None else p_cell(found.macro_f1_adjusted_p),
    )


def cost_cells(row: LeaderboardRow) -> tuple[str, ...]:
    """Return the cells of a row under `COSTS`."""
    return (
        row.label,
        magnitude(row.trainable),
        percent(row.trainable, row.total),
        duration(row.seconds.median),
        memory(row.peak_memory),
        disk(row.size),
    )


def mean_and_deviation(found: SeedValues) -> str:
    """Return a score over seeds: "0.9307 ± 0.0056", or only the mean for a single seed."""
    deviation = found.deviation
    return share(found.mean) if deviation is None else f"{share(found.mean)} ± {share(deviation)}"


def disk(size: int) -> str:
    """Return a size on disk: "41 kB", "2.7 MB"."""
    return f"{size / 1e3:.0f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"


def difference_cell(interval: Interval | None) -> str:
    """Return a difference in points with its interval: "-2.0 (-3.0 to -1.0)"; "" where there is none."""
    return "" if interval is None else f"{points_number(interval.estimate)} ({interval_bounds(interval)})"


def p_cell(value: float | None) -> str:
    """Return a p-value: "0.034", "< 0.001"; "" where there is none."""
    return "" if value is None else p_number(value)


@dataclass(frozen=True)
class ExtraTable:
    """Optional table of a leaderboard.

    Attributes:
        title: Its heading.
        headings: Headings of its columns.
        rows: The cells; empty where there is nothing to show.
        note: Explanation of the table.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


_FLIPS = (
    "Rows fixed are right for most seeds of the configuration, but not for most seeds of full fine-tuning; "
    "rows broken are the reverse."
)


def full_table(board: Leaderboard) -> ExtraTable:
    """Return the table that compares every configuration with full fine-tuning of its base model."""
    found = [(row, row.against_full) for row in board.rows if row.against_full is not None]
    rows = tuple(
        (
            row.label,
            difference_cell(full.accuracy),
            p_cell(full.adjusted_p),
            difference_cell(full.macro_f1),
            p_cell(full.macro_f1_adjusted_p),
            f"{full.fixed:,}",
            f"{full.broken:,}",
        )
        for row, full in found
    )
    headings = (
        "configuration",
        f"{board.right} above full fine-tuning, in points",
        "p, corrected",
        "macro-F1 above full fine-tuning, in points",
        "p, corrected",
        "rows fixed",
        "rows broken",
    )
    note = f"{_FLIPS} The p-values are corrected for {counted(len(rows), 'comparison')} (Holm); the intervals are not."
    return ExtraTable("Beside full fine-tuning", headings, rows, note)

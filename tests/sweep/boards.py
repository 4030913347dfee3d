"""Small leaderboards with known numbers, and a reader of pages."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any, cast

from emotune.evaluation.differences import Claim, Difference, Power
from emotune.evaluation.seeds import WinnersExcess
from emotune.statistics.paired import Interval
from emotune.sweep.leaderboard import Leaderboard, LeaderboardRow, SeedNote, SeedValues
from emotune.sweep.protocol import Setting
from emotune.sweep.settings import load_plan

SETTING = Setting("emotion", {"train": 16000, "validation": 2000, "test": 2000}, "2026-11-23")


def row(
    rank: int, label: str, score: float, p: float | None = None, gain: float = -0.02, **changes: Any
) -> LeaderboardRow:
    difference = None
    if p is not None:
        difference = Difference(
            2, Interval(gain, gain - 0.01, gain + 0.01), Interval(-0.01, -0.02, 0.0), p / 2, p, 0.2, 0.4, 12, 52
        )
    made = LeaderboardRow(
        rank=rank,
        label=label,
        model="bundled:minilm",
        config=load_plan().candidates[0].config,
        seeds=(0, 1),
        missing=(),
        validation_macro_f1=SeedValues((score, score + 0.01)),
        test_right=SeedValues((0.91, 0.93)),
        test_macro_f1=SeedValues((0.88, 0.89)),
        trainable=148_000 * rank,
        total=22_700_000,
        seconds=SeedValues((100.0 / rank, 110.0 / rank)),
        peak_memory=1_500_000_000,
        size=2_700_000,
        against_best=difference,
    )
    return replace(made, **changes)


def board(*rows: LeaderboardRow, failures: dict[str, str] | None = None, **changes: Any) -> Leaderboard:
    config = load_plan().candidates[0].trial(0)
    made = Leaderboard(
        rows=rows,
        best=cast(Any, SimpleNamespace(trial=config, found={})),
        failures=failures or {},
        warnings={},
        places=("this machine, 1 at a time",),
        arithmetic=("bf16 on cpu",),
        test_rows=2000,
        largest_logit_difference=3e-6,
        wall_seconds=5400.0,
        spread=SeedNote(0.0063, 30.2, ()),
        power=Power(0.0121, 0.0162, 2),
        excess=WinnersExcess(4, 0.0052, True),
    )
    return replace(made, **changes)


THREE = (row(1, "LoRA", 0.89), row(2, "full", 0.88, 0.3), row(3, "BitFit", 0.80, 0.0004))


MARGIN = (
    row(
        1,
        "LoRA",
        0.89,
        against_full=Difference(
            2, Interval(0.01, 0.0, 0.02), None, 0.1, 0.1, None, None, 40, 20, Claim(0.001, 0.002), Claim(0.3, 0.5)
        ),
    ),
    replace(
        row(2, "full", 0.88, 0.3),
        against_best=Difference(
            2, Interval(-0.01, -0.02, 0.0), None, 0.1, 0.1, None, None, 20, 40, Claim(0.2, 0.2), Claim(0.3, 0.3)
        ),
    ),
    replace(
        row(3, "DoRA", 0.87, 0.3),
        against_best=Difference(
            2, Interval(-0.001, -0.002, 0.0), None, 0.9, 1.0, None, None, 5, 6, Claim(0.01, 0.02), Claim(0.02, 0.04)
        ),
    ),
)


class Cells(HTMLParser):
    """The rows of all tables, the words of the page, and its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.tags: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
        self._inside = tag in ("th", "td")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._inside:
            self.rows[-1][-1] += data

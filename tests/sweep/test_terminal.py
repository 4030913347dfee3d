"""A leaderboard in the terminal."""

from __future__ import annotations

import re

from emotune.report.tables import render
from emotune.sweep.terminal import leaderboard_table

from .boards import MARGIN, THREE, board


def test_table_fits_a_plain_page() -> None:
    shown = render(leaderboard_table(board(*THREE, failures={"x, seed 0": "no memory left"})))
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in shown
    assert any(
        re.match(
            r"2\. full +0\.8850 ± 0\.0071 +0\.9200 ± 0\.0141 +-2\.0 \(0\.300\) +0\.8850 ± 0\.0071 +-1\.0 \(0\.400\)",
            line,
        )
        for line in lines
    )
    assert any(re.match(r"3\. BitFit .* -2\.0 \(< 0\.001\)", line) for line in lines)
    assert any(re.match(r"1\. LoRA +148 k +0\.65 % +1 min 45 s +1\.40 GiB +2\.7 MB", line) for line in lines)
    assert "Failed: x, seed 0: no memory left" in shown


def test_margins_stand_in_it_and_leave_it_narrow() -> None:
    lines = render(leaderboard_table(board(*MARGIN, margin=1.0))).splitlines()
    assert max(map(len, lines)) <= 100
    assert any("Margin: 1 point" in line for line in lines)

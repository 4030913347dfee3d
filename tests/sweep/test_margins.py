"""What is claimed of a leaderboard's margin."""

from __future__ import annotations

import json
import re

import pytest

from emotune.report.tables import render
from emotune.sweep.documents import leaderboard_json, leaderboard_markdown
from emotune.sweep.margins import leaderboard_margins, margin_table
from emotune.sweep.page import render_leaderboard
from emotune.sweep.plan import Plan
from emotune.sweep.terminal import leaderboard_table

from .boards import MARGIN, SETTING, Cells, board


def test_margins_are_claimed_where_their_p_is_small_and_of_nothing_else() -> None:
    claimed = board(*MARGIN, margin=1.0)
    assert leaderboard_margins(claimed) == [
        "Not worse than the best by more than 1 point: 'DoRA' (p = 0.020). It is not shown for the others, "
        "which does not mean that they are worse.",
        "Not worse than full fine-tuning by more than 1 point: 'LoRA' (p = 0.002).",
        "Equivalent to full fine-tuning in accuracy, within 1 point: these seeds and test rows show it for no configuration.",
    ]
    assert leaderboard_margins(board(*MARGIN)) == []
    assert margin_table(board(*MARGIN)).rows == ()
    table = margin_table(claimed)
    assert table.headings == (
        "configuration",
        "not worse than the best, p",
        "not worse than full fine-tuning, p",
        "equivalent to full fine-tuning, p",
    )
    assert table.rows == (("LoRA", "", "0.002", "0.500"), ("full", "0.200", "", ""), ("DoRA", "0.020", "", ""))


@pytest.mark.parametrize("margin", [None, 2.5])
def test_margins_and_notes_stand_in_every_form(plan: Plan, margin: float | None) -> None:
    claimed = board(*MARGIN, margin=margin)
    page = Cells()
    page.feed(render_leaderboard(plan, claimed, SETTING))
    text = leaderboard_markdown(plan, claimed, SETTING)
    found = json.loads(leaderboard_json(plan, claimed, SETTING))
    for shown in (
        " ".join(page.words),
        text,
        json.dumps(found),
        re.sub(r"\s+", " ", render(leaderboard_table(claimed))),
    ):
        assert "four times out of five" in shown
        assert "too high: by about 0.5 points" in shown
        assert ("by more than 2.5 points" in shown) == (margin is not None)
    assert "| LoRA | +1.0 (+0.0 to +2.0) | 0.100 |  |  | 40 | 20 |" in text
    assert ["LoRA", "+1.0 (+0.0 to +2.0)", "0.100", "", "", "40", "20"] in page.rows
    assert found["margin"] == margin
    assert found["rows"][0]["against_full"]["fixed"] == 40
    assert found["seed_spread"]["deviation"] == 0.0063
    assert found["winners_excess"] == {"alike": 4, "excess": 0.0052, "counts_seeds": True}

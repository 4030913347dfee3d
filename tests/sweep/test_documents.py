"""The leaderboard as Markdown and JSON; in every form, nothing from outside is obeyed."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from emotune.report.tables import render
from emotune.sweep.documents import leaderboard_json, leaderboard_markdown
from emotune.sweep.page import render_leaderboard
from emotune.sweep.plan import Plan
from emotune.sweep.terminal import leaderboard_table

from ..report.conftest import HOSTILE
from .boards import SETTING, THREE, Cells, board, row


def test_nothing_from_outside_is_obeyed(plan: Plan) -> None:
    rows = [row(rank, name, 0.9 - rank / 100, None if rank == 1 else 0.2) for rank, name in enumerate(HOSTILE, start=1)]
    hostile = board(*rows, failures={name: name for name in HOSTILE})
    setting = replace(SETTING, data=HOSTILE[2])
    page = render_leaderboard(plan, hostile, setting)
    cells = Cells()
    cells.feed(page)
    assert "script" not in cells.tags
    assert not any(character in page for character in ("\x1b", "\u202e", "\ud800"))
    page.encode("utf-8")
    text = leaderboard_markdown(plan, hostile, setting)
    text.encode("utf-8")
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == 2 * (1 + len(rows))
    pipes = [len(re.findall(r"(?<!\\)\|", line)) for line in table]
    assert len(set(pipes[: len(pipes) // 2])) == len(set(pipes[len(pipes) // 2 :])) == 1
    assert "<script>" not in text
    assert not re.search(r"(?<!\\)\[link", text)
    assert "\x1b" not in render(leaderboard_table(hostile))
    json.loads(leaderboard_json(plan, hostile, setting))


def test_json_has_everything(plan: Plan) -> None:
    found = json.loads(leaderboard_json(plan, board(*THREE, failures={"a": "b"}), SETTING))
    second = found["rows"][1]
    assert second["test_accuracy"]["values"] == [0.91, 0.93]
    assert second["test_accuracy"]["standard_deviation"] == pytest.approx(0.01414, abs=1e-5)
    assert second["against_best"]["accuracy"] == {"estimate": -0.02, "low": -0.03, "high": -0.01, "level": 0.95}
    assert second["against_best"]["adjusted_p"] == 0.3
    assert found["rows"][0]["against_best"] is None
    assert found["failures"] == {"a": "b"}
    assert found["seeds"] == [0, 1]
    assert second["config"]["method"]["name"] == "lora"

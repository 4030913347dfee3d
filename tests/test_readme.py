"""The README's figures are those that were measured, and what to do comes first."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS = " ".join(README.split())


def measured(name: str) -> dict[str, Any]:
    """A result on disk."""
    return dict(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")))


def test_the_main_figures_follow_from_the_runs() -> None:
    runs = measured("emotion")["runs"]
    accuracy = statistics.mean(run["test_accuracy"] for run in runs)
    lead = statistics.mean(run["test_accuracy"] - run["baselines"][run["best_baseline"]]["accuracy"] for run in runs)
    assert len(runs) == 5
    assert f"accuracy of {accuracy:.3f} (the mean of five seeds), {100 * lead:.1f} points above" in WORDS
    assert max(run["wall_seconds"] for run in runs) < 5 * 60  # "less than five minutes"


def test_the_seven_lines_are_those_that_were_run() -> None:
    result = measured("seven_lines")
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    assert code[1] == result["code"]
    assert len([line for line in code[1].splitlines() if line and not line.startswith("import")]) == 7


def test_what_they_print_is_what_they_printed() -> None:
    block = README.split("<!-- results: written by benchmarks/seven_lines.py -->\n")[1]
    shown = block.split("<!-- end of results -->")[0]
    assert shown == (RESULTS / "seven_lines.md").read_text(encoding="utf-8")
    printed = iter(line.rstrip() for line in measured("seven_lines")["printed"])
    lines = [line for line in shown.splitlines() if line not in ("```", "…")]
    assert len(lines) > 5
    assert all(line in printed for line in lines)  # in this order


def test_the_speed_follows_from_what_was_measured() -> None:
    faster = measured("speed")["training_minilm"]["trainer"]["emotune_is_faster_by"]
    assert f"{faster:.1f} times as fast as a good Trainer script" in WORDS


def test_the_time_of_an_audit_follows_from_what_was_measured() -> None:
    seconds = measured("audit")["seconds_by_rows"]
    assert f"400,000 rows in {seconds['400000']:.0f} seconds" in WORDS


def test_the_two_commands_come_first() -> None:
    assert README.index("make run") < README.index("make test") < README.index("import emotune")


def test_can_be_read_in_one_go() -> None:
    assert len(README.splitlines()) <= 85

"""The README's figures are those that were measured, and what to do comes first."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_time_of_an_audit_follows_from_what_was_measured() -> None:
    seconds = json.loads((RESULTS / "audit.json").read_text(encoding="utf-8"))["seconds_by_rows"]
    assert f"400,000 rows in {seconds['400000']:.0f} seconds" in " ".join(README.split())


def test_the_two_commands_come_first() -> None:
    assert README.index("make run") < README.index("make test") < README.index("import emotune")

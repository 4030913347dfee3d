"""The README's figures are those that were measured, and its links lead somewhere."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_quotes_the_results_that_the_benchmark_wrote() -> None:
    quoted = README.split("<!-- results: written by benchmarks/main_job.py -->\n")[1].split("<!-- end of results -->")[
        0
    ]
    assert quoted == (ROOT / "benchmarks" / "results" / "main_job.md").read_text(encoding="utf-8")


def test_the_results_follow_from_the_runs() -> None:
    table = (ROOT / "benchmarks" / "results" / "main_job.md").read_text(encoding="utf-8")
    results = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    assert results
    for path in results:
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        for key in ("test_accuracy", "test_macro_f1"):
            values = [run[key] for run in runs]
            spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
            assert f"{statistics.mean(values):.4f}{spread}" in table


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_two_commands_come_first() -> None:
    assert README.index("make run") < README.index("make test") < README.index("import emotune")

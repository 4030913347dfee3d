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
    runs = json.loads((ROOT / "benchmarks" / "results" / "emotion.json").read_text(encoding="utf-8"))["runs"]
    accuracies = [run["test_accuracy"] for run in runs]
    assert f"{statistics.mean(accuracies):.4f} ± {statistics.stdev(accuracies):.4f}" in quoted


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_two_commands_come_first() -> None:
    assert README.index("make run") < README.index("make test") < README.index("import emotune")

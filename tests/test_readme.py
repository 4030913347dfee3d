"""The README's figures are those that were measured, and its links lead somewhere."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("benchmark", ["main_job", "speed"])
def test_quotes_the_results_that_the_benchmark_wrote(benchmark: str) -> None:
    rest = README.split(f"<!-- results: written by benchmarks/{benchmark}.py -->\n")[1]
    table = (RESULTS / f"{benchmark}.md").read_text(encoding="utf-8")
    assert rest.split("<!-- end of results -->")[0] == table


@pytest.mark.parametrize("data", ["emotion", "quickstart"])
def test_the_scores_follow_from_the_runs(data: str) -> None:
    table = (RESULTS / "main_job.md").read_text(encoding="utf-8")
    runs = json.loads((RESULTS / f"{data}.json").read_text(encoding="utf-8"))["runs"]
    for key in ("test_accuracy", "test_macro_f1"):
        values = [run[key] for run in runs]
        spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
        assert f"{statistics.mean(values):.4f}{spread}" in table


def test_the_speeds_follow_from_what_was_measured() -> None:
    table = (RESULTS / "speed.md").read_text(encoding="utf-8")
    measured = json.loads((RESULTS / "speed.json").read_text(encoding="utf-8"))
    for part in ("training_minilm", "training_bert-base", "prediction_minilm"):
        for name, figures in measured[part].items():
            assert f"| {figures['per_second']:.3g} ({figures['per_second_least']:.3g} to" in table
            assert name == "emotune" or f"| {figures['emotune_is_faster_by']:.1f} times |" in table
            assert figures["per_second_least"] <= figures["per_second"] <= figures["per_second_most"]


def test_what_precision_costs_follows_from_what_was_measured() -> None:
    accuracy = json.loads((RESULTS / "precision.json").read_text(encoding="utf-8"))["accuracy"]
    words = " ".join(README.split())
    assert (
        f"{accuracy['fp32']:.4f} in float32, {accuracy['bf16']:.4f} in bf16 and {accuracy['int8']:.4f} in int8" in words
    )


def test_the_time_of_an_audit_follows_from_what_was_measured() -> None:
    seconds = json.loads((RESULTS / "audit.json").read_text(encoding="utf-8"))["seconds_by_rows"]
    assert f"400,000 rows in {seconds['400000']:.0f} seconds" in " ".join(README.split())


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_two_commands_come_first() -> None:
    assert README.index("make run") < README.index("make test") < README.index("import emotune")

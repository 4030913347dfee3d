"""The figures of docs/benchmarks.md are those that were measured."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def measured(name: str) -> dict[str, Any]:
    """A result on disk."""
    return dict(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("benchmark", ["busy", "main_job", "speed"])
def test_quotes_the_results_that_the_benchmark_wrote(benchmark: str) -> None:
    rest = PAGE.split(f"<!-- results: written by benchmarks/{benchmark}.py -->\n")[1]
    table = (RESULTS / f"{benchmark}.md").read_text(encoding="utf-8")
    assert rest.split("<!-- end of results -->")[0] == table


@pytest.mark.parametrize("data", ["emotion", "quickstart"])
def test_the_scores_follow_from_the_runs(data: str) -> None:
    table = (RESULTS / "main_job.md").read_text(encoding="utf-8")
    runs = measured(data)["runs"]
    for key in ("test_accuracy", "test_macro_f1"):
        values = [run[key] for run in runs]
        spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
        assert f"{statistics.mean(values):.4f}{spread}" in table


def test_the_speeds_follow_from_what_was_measured() -> None:
    table = (RESULTS / "speed.md").read_text(encoding="utf-8")
    speed = measured("speed")
    parts = ("training_minilm", "training_bert-base", "training_fp32", "prediction_minilm", "latency_minilm")
    for part in parts:
        for name, figures in speed[part].items():
            # With three digits, or all of those before the point.
            median, least = (
                f"{figures[key]:,.0f}" if figures[key] >= 1000 else f"{figures[key]:.3g}"
                for key in ("per_second", "per_second_least")
            )
            rate = f"| {median} ({least} to"
            rows = [line for line in table.splitlines() if rate in line]
            assert len(rows) == 1, name
            first = name == next(iter(speed[part]))
            assert f"| {'1' if first else format(figures['emotune_is_faster_by'], '.1f')} |" in rows[0]
            assert figures["per_second_least"] <= figures["per_second"] <= figures["per_second_most"]


def test_how_int8_compares_follows_from_what_was_measured() -> None:
    found = {name: figures["per_second"] for name, figures in measured("speed")["prediction_minilm"].items()}
    own = found["emotune-int8"]
    assert (
        f"{own / found['openvino-int8']:.2f} times as fast as OpenVINO int8 as a careful user runs it, "
        f"{own / found['onnx-int8']:.2f} times as fast as ONNX Runtime's dynamic int8, and {own / found['pipeline']:.1f} times as "
        "fast as `pipeline`" in WORDS
    )


def test_what_precision_costs_follows_from_what_was_measured() -> None:
    accuracy = measured("precision")["accuracy"]
    assert (
        f"{accuracy['fp32']:.4f} in float32, {accuracy['bf16']:.4f} in bf16 and {accuracy['int8']:.4f} in int8" in WORDS
    )


def test_the_figures_of_use_follow_from_what_was_measured() -> None:
    (bulk,) = measured("bulk")["rounds"]
    assert f"{bulk['file_per_second']:,.0f} rows per second" in WORDS
    assert f"this is {bulk['ratio']:.3f} of their mean" in WORDS
    assert f"a peak of {bulk['peak_mib']:,} MiB" in WORDS
    before, after = bulk["in_memory_per_second"]
    assert f"{before:,.0f} before and {after:,.0f} after it" in WORDS
    found = measured("service")
    half = found["service"]["half_load"]
    assert f"{found['service']['texts_per_second']:.0f} texts per second" in WORDS
    assert f"{found['share_of_bulk']:.2f} of bulk prediction" in WORDS
    assert f"take {half['median_milliseconds']:.0f} ms and 99 % at most {half['p99_milliseconds']:.0f} ms" in WORDS
    assert f"ready {found['start']['seconds']:.1f} s after its start" in WORDS
    assert f"{found['memory']['ratio']:.2f} times the memory of one" in WORDS


def test_the_table_of_exports_follows_from_what_was_measured() -> None:
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8").split("`benchmarks/exports.py`")[1]
    names = {"merged": "`merged`", "onnx": "`onnx`", "onnx_int8": "`onnx`, int8", "openvino": "`openvino`"}
    names |= {
        "openvino_int8": "`openvino`, int8",
        "emotune fp32": "emotune, fp32",
        "emotune int8": "emotune, int8",
    }
    for key, found in measured("exports")["runners"].items():
        figures = f"{found['points_lost']:.2f} | {found['texts_per_second']} | {found['megabytes'] or ''}"
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {names[key]} | ")]
        assert row.startswith(f"| {names[key]} | {found['label_agreement']:.2%}".replace("%", " % |"))
        assert row.endswith(f"| {figures} |")


def test_the_time_of_an_audit_follows_from_what_was_measured() -> None:
    seconds = measured("audit")["seconds_by_rows"]
    assert f"400,000 rows in {seconds['400000']:.0f} seconds" in WORDS


def test_the_time_and_the_memory_of_a_million_rows_follow_from_what_was_measured() -> None:
    found = measured("audit-made-up")["by_rows"]
    largest = found["1000000"]
    assert (
        f"1,000,000 made-up rows in {largest['seconds']:.0f} seconds with a peak of {largest['peak_memory_bytes'] / 1e9:.2f} GB"
        in WORDS
    )
    each = [f"{one['peak_memory_bytes'] / int(rows):,.0f}" for rows, one in found.items()]
    assert f"{each[0]} bytes with 100,000 rows, {each[1]} with 250,000 and {each[2]} with 1,000,000" in WORDS

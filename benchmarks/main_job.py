"""The main job as a user runs it: quality over several seeds, wall time, and the quickstart.

Run it with nothing else running on the machine:

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/main_job.py            # 5 seeds and the quickstart
    python benchmarks/main_job.py --only quickstart

Protocol: every run is `emotune run` in its own process, one after another, nothing else running, all cores, default
configuration except for the seed. Wall time is that of the whole process, imports and verification included. Quality
comes from the run's `emotune.json`: the test split is scored once per run, for the epoch that validation chose.
Results go to benchmarks/results/*.json, and as a Markdown table to benchmarks/results/main_job.md and into
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, quote, read, write

# The default configuration on the real data; the quick way, of two epochs; and one shifted towards rare classes, which
# was better on validation and not on test (benchmarks/LOG.md), so no table quotes it.
REAL: dict[str, list[str]] = {
    "emotion": [],
    "emotion_two_epochs": ["--epochs", "2"],
    "emotion_adjusted": ["--set", "training.logit_adjustment=0.2"],
}
UNQUOTED = "emotion_adjusted"
JOBS = (
    ("emotion", "emotion (2,000 test rows)"),
    ("emotion_two_epochs", "emotion, `--epochs 2`"),
    ("quickstart", "bundled messages (225 test rows)"),
)
# Jobs whose baselines are those of the job before.
SHARED = ("emotion_two_epochs",)


def run_job(arguments: list[str]) -> dict[str, Any]:
    """Run the job in its own process, and return its emotune.json with "wall_seconds" added."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "tuned"
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "emotune", "run", *arguments, "--output", str(output)], check=True)
        seconds = time.perf_counter() - started
        return {**json.loads((output / "emotune.json").read_text(encoding="utf-8")), "wall_seconds": seconds}


def summarize(run: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one run that the tables need."""
    metrics, training = run["metrics"], run["training"]
    best = next(epoch for epoch in training["epochs"] if epoch["number"] == training["best_epoch"])
    return {
        "seed": run["seed"],
        "test_accuracy": metrics["after"]["accuracy"],
        "test_macro_f1": metrics["after"]["macro_f1"],
        "test_loss": metrics["after"]["loss"],
        "validation_accuracy": best["validation_accuracy"],
        "validation_macro_f1": best["validation_macro_f1"],
        "best_epoch": training["best_epoch"],
        "before_accuracy": metrics["before"]["accuracy"],
        "before_macro_f1": metrics["before"]["macro_f1"],
        "baselines": {
            name: {"accuracy": scores["accuracy"], "macro_f1": scores["macro_f1"]}
            for name, scores in metrics["baselines"].items()
        },
        "best_baseline": metrics["best_baseline"],
        "verdict": run["verdict"],
        "wall_seconds": run["wall_seconds"],
        "step_seconds": run["seconds"],
        "train_examples_per_second": run["train_examples_per_second"],
        "peak_memory_bytes": run["peak_memory_bytes"],
    }


def mean_and_deviation(values: list[float]) -> str:
    """Return the mean, with the sample standard deviation if there are several values: "0.9290 ± 0.0021"."""
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


def table() -> str:
    """Return the Markdown table of docs/benchmarks.md, and the quickstart's verdict, from the results on disk."""
    lines = [
        "| data | model | seeds | accuracy | macro-F1 | lead over the best baseline, in points | time of the job |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, label in JOBS:
        result = read(name)
        if result is None:
            continue
        runs = result["runs"]
        minutes = [run["wall_seconds"] / 60 for run in runs]
        spread = f"{min(minutes):.1f} to {max(minutes):.1f} min" if len(runs) > 1 else f"{minutes[0]:.1f} min"
        if name not in SHARED:
            lines += before(label, runs)
        lines.append(
            f"| {label} | **tuned with LoRA** | {len(runs)} "
            f"| **{mean_and_deviation([run['test_accuracy'] for run in runs])}** "
            f"| **{mean_and_deviation([run['test_macro_f1'] for run in runs])}** | {lead(runs)} | {spread} |"
        )
    return "\n".join(lines) + "\n" + first_verdict("quickstart", "What `make run` says first:")


def before(label: str, runs: list[dict[str, Any]]) -> list[str]:
    """Return the rows of a job's baselines and of the untrained head."""
    lines = []
    for baseline, scores in runs[0]["baselines"].items():
        best = " (best on validation)" if baseline == runs[0]["best_baseline"] else ""
        lines.append(f"| {label} | {baseline}{best} | | {scores['accuracy']:.4f} | {scores['macro_f1']:.4f} | | |")
    return [
        *lines,
        f"| {label} | untrained head (chance) | {len(runs)} "
        f"| {mean_and_deviation([run['before_accuracy'] for run in runs])} "
        f"| {mean_and_deviation([run['before_macro_f1'] for run in runs])} | | |",
    ]


def first_verdict(name: str, words: str) -> str:
    """Return the verdict of a job's first run as a quotation; "" where it was not measured."""
    result = read(name)
    if result is None or "verdict" not in result["runs"][0]:
        return ""
    # The untrained head comes last and is chance.
    said = result["runs"][0]["verdict"].partition(" 'base (untrained head)' has")[0]
    return f"\n{words}\n\n" + textwrap.fill(said, width=98, initial_indent="> ", subsequent_indent="> ") + "\n"


def lead(runs: list[dict[str, Any]]) -> str:
    """Return the mean lead over the baseline that is best on validation, in points of accuracy and of macro-F1."""
    best = runs[0]["best_baseline"]
    above = (
        100 * statistics.mean(run[f"test_{score}"] - run["baselines"][best][score] for run in runs)
        for score in ("accuracy", "macro_f1")
    )
    return " / ".join(f"{points:+z.1f}" for points in above)


def machine_of(run: dict[str, Any]) -> dict[str, Any]:
    """Return the machine, with the run's precision and versions."""
    precision = {name: run["training"][name] for name in ("precision", "precision_reason")}
    return {**machine(), **precision, "versions": run["versions"]}


def measure(name: str, arguments: list[str], seeds: int) -> None:
    """Run one job over seeds and write its result after every run."""
    runs: list[dict[str, Any]] = []
    for seed in range(seeds):
        run = run_job([*arguments, "--seed", str(seed)])
        runs.append(summarize(run))
        write(name, {"arguments": ["emotune", "run", *arguments], "machine": machine_of(run), "runs": runs})
        print(f"{name} seed {seed}: {json.dumps({k: v for k, v in runs[-1].items() if isinstance(v, (int, float))})}")


def main() -> None:
    """Measure, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*REAL, "quickstart", "table"], help="only one part")
    parser.add_argument("--seeds", type=int, default=5, help="seeds, counted from 0 (default: 5)")
    options = parser.parse_args()
    data = os.environ.get("EMOTUNE_EMOTION_DATA")
    if options.only in (None, "quickstart"):
        measure("quickstart", ["--preset", "quickstart"], options.seeds)
    if options.only in REAL and not data:
        parser.error("EMOTUNE_EMOTION_DATA is not set: it names the folder or the Hub id of the real emotion data")
    if options.only is None and not data:
        print("EMOTUNE_EMOTION_DATA is not set, so the real data was left out.")
    for name, arguments in REAL.items():
        if data and (options.only == name or (options.only is None and name != UNQUOTED)):
            measure_on_real(name, data, arguments, options.seeds)
    quote("main_job", table())
    print(table())


def measure_on_real(name: str, data: str, arguments: list[str], seeds: int) -> None:
    """Run on the real data, and replace its path in the result, which does not depend on the data's location."""
    measure(name, ["--model", "bundled:minilm", "--data", data, *arguments], seeds)
    result = read(name)
    if result is not None:
        result["arguments"] = [word.replace(data, "EMOTUNE_EMOTION_DATA") for word in result["arguments"]]
        write(name, result)


if __name__ == "__main__":
    main()

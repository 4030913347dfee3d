"""Rates of training and prediction on a quiet and on a busy machine, by how OpenMP's threads wait for one another.

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/busy.py

Protocol: one process per policy of waiting and job (benchmarks/contenders.py), with as many threads as cores. They take
turns, one block of work each, first on the quiet machine and then beside one process that computes without a pause; so
every round has both. A figure is the median over the rounds, and ratios are medians of the ratios within a round.
Results go to benchmarks/results/busy.json and busy.md, and into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, quote, write
from speed import Contender, tuned_folder

from emotune.system.threads import SPINS

POLICIES = {
    "the command's policy": {"GOMP_SPINCOUNT": SPINS},
    "OpenMP's own policy": {"GOMP_SPINCOUNT": "300000"},
    "threads that sleep at once": {"GOMP_SPINCOUNT": "0"},
}
JOBS = {
    "prediction": ("prediction in bf16", "emotune"),
    "int8": ("prediction in int8 by OpenVINO, whose threads are not those of OpenMP", "emotune-int8"),
    "training": ("training", "emotune"),
}


@contextmanager
def another_process() -> Iterator[None]:
    """Run a process that computes without a pause."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def rates(job: str, model: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the rates of each policy, in examples per second, on the quiet and on the busy machine."""
    kind = "training" if job == "training" else "prediction"
    contenders = {
        name: Contender(kind, JOBS[job][1], "minilm" if job == "training" else model, variables)
        for name, variables in POLICIES.items()
    }
    found: dict[str, dict[str, list[float]]] = {name: {"quiet": [], "busy": []} for name in POLICIES}
    try:
        for _ in range(rounds):
            for name, contender in contenders.items():
                found[name]["quiet"].append(rate(contender.block()))
            with another_process():
                for name, contender in contenders.items():
                    found[name]["busy"].append(rate(contender.block()))
    finally:
        for contender in contenders.values():
            contender.stop()
    return found


def rate(block: dict[str, Any]) -> float:
    """Return the examples per second of a block."""
    return float(block["examples"] / block["seconds"])


def summary(found: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """Return one row of figures per policy."""
    usual = found["OpenMP's own policy"]["quiet"]
    return [
        {
            "policy": name,
            "quiet": statistics.median(of["quiet"]),
            "busy": statistics.median(of["busy"]),
            "kept": statistics.median(busy / quiet for busy, quiet in zip(of["busy"], of["quiet"], strict=True)),
            "quiet_ratio": statistics.median(own / other for own, other in zip(of["quiet"], usual, strict=True)),
            "rates": of,
        }
        for name, of in found.items()
    ]


def markdown(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return the table."""
    lines = [
        "| | examples per second, quiet | relative to OpenMP's own policy | beside another process | share kept |",
        "|---|---|---|---|---|",
    ]
    for job, rows in results.items():
        lines.append(f"| **{JOBS[job][0][0].upper()}{JOBS[job][0][1:]}** | | | | |")
        lines += [
            f"| {row['policy']} | {row['quiet']:.0f} | {row['quiet_ratio']:.2f} | {row['busy']:.0f} | {row['kept']:.0%} |"
            for row in rows
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=list(JOBS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        model = tuned_folder(Path(work))
        results = {job: summary(rates(job, model, given.rounds)) for job in JOBS if given.only in (None, job)}
    table = markdown(results)
    print(table)
    if given.only is None:
        write("busy", {"machine": machine(), "rounds": given.rounds, "jobs": results})
        quote("busy", table)


if __name__ == "__main__":
    main()

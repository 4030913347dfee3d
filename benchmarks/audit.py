"""Time of an audit of many rows, which grows with the number of rows and not of their pairs.

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/audit.py     # without the variable: the bundled sample
    python benchmarks/audit.py --made-up                # rows of made-up words, by the command, up to a million
    python benchmarks/audit.py --made-up 100000 250000  # other numbers of rows

Protocol: rows are made of the data's own texts, each the first half of one text and the second half of another, so
that repeats and near repeats occur as in real data. One in twenty repeats another with one word changed. The rows are
written as CSV, and `audit_source` reads and audits them in this process, without likely label errors. Seconds of wall
time, one run per size, smallest first. Results go to benchmarks/results/audit.json.

With --made-up, no data is needed: rows have 20 words of a made-up vocabulary in which few words are common, and one of
six labels; one in fifty repeats the text before it. The command `emotune audit --no-label-errors` audits the file in a
process of its own; recorded are its wall time, its CPU time (user and system), and its peak memory. Results go to
benchmarks/results/audit-made-up.json.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import random
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, write

SIZES = (100_000, 200_000, 400_000)
MADE_UP_SIZES = (100_000, 250_000, 1_000_000)
LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")


def make(texts: list[str], labels: list[str], rows: int, path: Path) -> None:
    """Write a number of made-up rows."""
    rng = random.Random(0)
    halves = [(words[: len(words) // 2], words[len(words) // 2 :]) for words in map(str.split, texts)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        last = ["nothing", "before"]
        for row in range(rows):
            if row % 20:
                last = [*rng.choice(halves)[0], *rng.choice(halves)[1]]
            else:
                last = list(last)
                last[rng.randrange(len(last))] = rng.choice(last)
            writer.writerow((" ".join(last), rng.choice(labels)))


def make_up(rows: int, path: Path) -> None:
    """Write a number of rows of made-up words, without any data."""
    rng = random.Random(0)
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(20_000)]
    sums = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    text = ""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        for row in range(rows):
            if not text or row % 50:
                text = " ".join(rng.choices(words, cum_weights=sums, k=20))
            writer.writerow((text, rng.choice(LABELS)))


def measure_command(path: Path) -> dict[str, float]:
    """Audit a file by the command, and return what its process took."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "emotune", "audit", str(path), "--no-label-errors"], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the audit of {path.name} ended with exit code {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_memory_bytes": used.ru_maxrss * unit,
    }


def measure_made_up(sizes: list[int]) -> None:
    """Measure audits of made-up rows by the command, and write the result."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            path = Path(folder) / f"{rows}.csv"
            make_up(rows, path)
            found = results[str(rows)] = measure_command(path)
            print(
                f"{rows:,} rows: {found['seconds']:.1f} s, {found['cpu_seconds']:.1f} s of CPU time, "
                f"{found['peak_memory_bytes'] / 1e9:.2f} GB, {found['peak_memory_bytes'] / rows:,.0f} bytes per row",
                flush=True,
            )
    write("audit-made-up", {"machine": machine(), "by_rows": results})


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description="Time of an audit of many rows.")
    parser.add_argument("--made-up", type=int, nargs="*", metavar="ROWS", help="audit made-up rows by the command")
    sizes = parser.parse_args().made_up
    if sizes is not None:
        measure_made_up(sizes or list(MADE_UP_SIZES))
        return
    import emotune
    from emotune.data.auditing.audit import audit_source
    from emotune.system.memory import peak_memory_bytes

    data = emotune.load_data(os.environ.get("EMOTUNE_EMOTION_DATA", "bundled:sample"))
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in SIZES:
            path = Path(folder) / f"{rows}.csv"
            make(list(data.train.texts), list(data.labels), rows, path)
            started = time.perf_counter()
            found = audit_source(path, label_errors=False)
            seconds[str(rows)] = time.perf_counter() - started
            kinds = {kind: len(found.repeated("train", (kind,))) for kind in ("exact", "trivial", "near")}
            print(f"{rows:,} rows: {seconds[str(rows)]:.1f} s, repeats {kinds}", flush=True)
    write("audit", {"machine": machine(), "seconds_by_rows": seconds, "peak_memory_bytes": peak_memory_bytes()})


if __name__ == "__main__":
    main()

"""Time of an audit of many rows, which grows with the number of rows and not of their pairs.

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/audit.py     # without the variable: the bundled sample

Protocol: rows are made of the data's own texts, each the first half of one text and the second half of another, so
that repeats and near repeats occur as in real data. One in twenty repeats another with one word changed. The rows are
written as CSV, and `audit_source` reads and audits them in this process, without likely label errors. Seconds of wall
time, one run per size, smallest first. Results go to benchmarks/results/audit.json.
"""

from __future__ import annotations

import csv
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, write

SIZES = (100_000, 200_000, 400_000)


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


def main() -> None:
    """Measure, and write the result."""
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

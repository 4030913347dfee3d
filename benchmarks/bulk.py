"""Rate and memory of predicting a large Parquet file, compared with the same texts in memory.

    python benchmarks/bulk.py FOLDER                    # 1,000,000 rows
    python benchmarks/bulk.py FOLDER --rows 50000 --rounds 2

Protocol: the rows are the texts of the emotion data's training split (EMOTUNE_EMOTION_DATA), repeated, each with a
number, with two more columns. The file side is the command `emotune predict FOLDER in.parquet -o out.parquet` in its own
process: its time counts from the start of the process to its end, loading the model included, and its memory is the
largest resident set that the system reports. The memory side is `Predictor.predict` on the first texts in memory, without
loading; its rate is per text. Both take turns: memory, file, memory. The ratio is that of the file's rate to the mean of
the two rates in memory around it. Output rows are compared with the labels in memory. Results go to
benchmarks/results/bulk.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, write


def make_file(path: Path, rows: int) -> list[str]:
    """Write the input; return its texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import emotune

    texts = emotune.load_data(os.environ["EMOTUNE_EMOTION_DATA"]).train.texts
    all_texts = [f"{texts[i % len(texts)]} {i}" for i in range(rows)]
    table = pa.table({"id": pa.array(range(rows)), "text": all_texts, "source": pa.array(["tweets"] * rows)})
    pq.write_table(table, path, row_group_size=100_000)
    return all_texts


def rate_in_memory(predictor: Any, texts: list[str]) -> tuple[float, list[str]]:
    """Return texts per second, and the labels."""
    started = time.perf_counter()
    labels = list(predictor.predict(texts).labels)
    return len(texts) / (time.perf_counter() - started), labels


def run_command(folder: str, given: Path, output: Path) -> tuple[float, float]:
    """Return the seconds of the command, and its largest memory in MiB."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "emotune",
        "predict",
        folder,
        str(given),
        "-o",
        str(output),
        "--overwrite",
    ]
    started = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    subprocess.run(command, check=True, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"})
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if before > after * 0.999 > 0 and before:
        print("memory is that of the largest command so far", file=sys.stderr)
    return seconds, after / 1024


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--in-memory", type=int, default=50_000, help="texts per measurement in memory")
    arguments = parser.parse_args()
    import pandas as pd

    import emotune

    predictor = emotune.Predictor(emotune.load(arguments.folder))
    rounds = []
    with tempfile.TemporaryDirectory() as held:
        given, output = Path(held) / "in.parquet", Path(held) / "out.parquet"
        texts = make_file(given, arguments.rows)[: arguments.in_memory]
        rate_in_memory(predictor, texts[:2000])
        for _ in range(arguments.rounds):
            first, labels = rate_in_memory(predictor, texts)
            seconds, memory = run_command(arguments.folder, given, output)
            second, _ = rate_in_memory(predictor, texts)
            found = pd.read_parquet(output)
            assert list(found.id) == list(range(arguments.rows))
            agreement = sum(a == b for a, b in zip(found.label[: len(labels)], labels, strict=True)) / len(labels)
            rounds.append(
                {
                    "in_memory_per_second": [round(first, 1), round(second, 1)],
                    "file_per_second": round(arguments.rows / seconds, 1),
                    "ratio": round(arguments.rows / seconds / ((first + second) / 2), 3),
                    "peak_mib": round(memory),
                    "labels_equal": agreement,
                }
            )
            print(json.dumps(rounds[-1]), file=sys.stderr, flush=True)
    write(
        "bulk",
        {"machine": machine(), "rows": arguments.rows, "precision": predictor.precision, "rounds": rounds},
    )


if __name__ == "__main__":
    main()

"""Agreement, loss and rate of the exports of a saved folder, on the real test split.

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/exports.py fine_tuned_lora_model

Protocol: the folder is exported to every format in every precision, int8 of OpenVINO calibrated on training texts. Each
export is compared with the original in fp32 on the 2,000 test rows, as `emotune export` does, without its limits. Then
the exports' own scripts and emotune's Predictor label 512 of these rows in one process, in batches of 32 rows of
similar lengths; they take turns, three rounds, and the median of the rounds counts. Threads are those that OMP_NUM_THREADS
and the libraries choose. The result goes to benchmarks/results/exports.json. Targets: in fp32 at least 99.9 % of the
labels are the same; int8 loses at most 0.2 points of accuracy.
"""

from __future__ import annotations

import importlib.metadata
import os
import runpy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import emotune
from emotune.exports.export import export
from emotune.exports.quiet import quiet, without_telemetry
from emotune.models.encoding import encode

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, write

KINDS = (("merged", "fp32"), ("onnx", "fp32"), ("onnx", "int8"), ("openvino", "fp32"), ("openvino", "int8"))
ROWS, BATCH, ROUNDS = 512, 32, 3
# Above any loss: the benchmark reports what `emotune export` would refuse.
_ANY_MARGIN = 99.0


def main() -> None:
    """Measure the exports of the folder that the command line names."""
    source, data = sys.argv[1], os.environ["EMOTUNE_EMOTION_DATA"]
    tuned = emotune.load(source)
    texts = list(emotune.load_data(data).test.texts[:ROWS])
    lengths = encode(tuned.tokenizer, texts, tuned.max_length).lengths
    by_length = [texts[row] for row in sorted(range(len(texts)), key=lambda row: -lengths[row])]
    batches = [by_length[start : start + BATCH] for start in range(0, len(by_length), BATCH)]
    figures: dict[str, dict[str, object]] = {}
    runners: dict[str, Callable[[Sequence[str]], object]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for to, precision in KINDS:
            name = f"{to} {precision}"
            started = time.perf_counter()
            done = export(
                source,
                to=to,
                precision=precision,
                output=Path(temporary) / name.replace(" ", "_"),
                data=data,
                calibration=data,
                margin=_ANY_MARGIN,
            )
            found = done.agreement
            figures[name] = {
                "megabytes": round(done.size / 1e6, 1),
                "seconds_to_export": round(time.perf_counter() - started, 1),
                "label_agreement": found.agreement,
                "largest_logit_difference": found.largest_difference,
                "accuracy_lost_points": round(100 * found.lost, 3),
                "interval_of_difference": [found.test.difference.low, found.test.difference.high],
            }
            print(name, figures[name], flush=True)
            with quiet(), without_telemetry():
                runners[name] = runpy.run_path(str(done.folder / "run.py"))["logits"]
        accuracy = found.original.metrics.accuracy
        for precision in ("fp32", "int8"):
            runners[f"emotune {precision}"] = emotune.Predictor(tuned, precision=precision).logits
        rates = texts_per_second(runners, batches)
    write(
        "exports",
        {
            "machine": machine(),
            "libraries": {
                name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime", "openvino", "nncf")
            },
            "rows": found.rows,
            "accuracy": accuracy,
            "exports": figures,
            "texts_per_second": rates,
        },
    )
    print(rates)


def texts_per_second(
    runners: dict[str, Callable[[Sequence[str]], object]], batches: Sequence[Sequence[str]]
) -> dict[str, int]:
    """Return the rate of each, the median of rounds in which they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(1 + ROUNDS):
        for name, logits in runners.items():
            started = time.perf_counter()
            for batch in batches:
                logits(batch)
            seconds[name].append(time.perf_counter() - started)
    rows = sum(map(len, batches))
    return {name: round(rows / statistics.median(times[1:])) for name, times in seconds.items()}


if __name__ == "__main__":
    main()

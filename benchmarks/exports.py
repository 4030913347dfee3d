"""Agreement, loss and rate of the exports of a saved folder, on the real test split.

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/exports.py fine_tuned_lora_model [ROWS [SPLIT]]

Protocol: the folder is written in every format and precision, by the functions of `emotune export`; int8 of OpenVINO is
calibrated on 1,000 training texts. Their own scripts label ROWS rows of the split (all of test if not given) in one
process, in batches of 32 rows of similar lengths, beside emotune's Predictor. Labels, logits and accuracy are compared
with those of the Predictor in fp32. Then they take turns on every fourth batch, three rounds, of which the median counts.
Rates are of the scripts as they are: each library chooses its threads, and OMP_NUM_THREADS those of PyTorch. The result
goes to benchmarks/results/exports.json. Targets: in fp32 at least 99.9 % of the labels are the same; int8 loses at most
0.2 points of accuracy.
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
from typing import Any

import numpy as np

import emotune
from emotune.data.kept import CALIBRATION_TEXTS
from emotune.exports.check import compared
from emotune.exports.folder import write_companions, write_merged
from emotune.exports.formats import ExportOptions
from emotune.exports.to_onnx import quantize_onnx, write_onnx
from emotune.folder.tuned import TunedClassifier
from emotune.inference.graph import captured
from emotune.inference.openvino_model import converted, quantized, write_openvino
from emotune.models.encoding import encode
from emotune.system.quiet import quiet, without_telemetry

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, write

EXPORTS = (
    ExportOptions(to="merged"),
    ExportOptions(to="onnx"),
    ExportOptions(to="onnx", precision="int8"),
    ExportOptions(to="openvino"),
    ExportOptions(to="openvino", precision="int8"),
)
BATCH, ROUNDS, TIMED = 32, 3, 4

Runner = Callable[[Sequence[str]], Any]


def main() -> None:
    """Measure the exports of the folder that the command line names."""
    data = emotune.load_data(os.environ["EMOTUNE_EMOTION_DATA"])
    split = {found.name: found for found in data.splits}[sys.argv[3] if len(sys.argv) > 3 else "test"]
    split = split.take(range(int(sys.argv[2]))) if len(sys.argv) > 2 else split
    tuned = emotune.load(sys.argv[1])
    if not isinstance(tuned, TunedClassifier):
        raise SystemExit("not a folder that emotune saved")
    texts = [data.train.texts[row] for row in np.random.default_rng(0).permutation(len(data.train))[:CALIBRATION_TEXTS]]
    runners: dict[str, Runner] = {
        f"emotune {precision}": emotune.Predictor(tuned, precision=precision).logits for precision in ("fp32", "int8")
    }
    sizes = {}
    with tempfile.TemporaryDirectory() as temporary:
        write_all(tuned, texts, Path(temporary))
        for options in EXPORTS:
            folder = Path(temporary) / options.name
            sizes[options.name] = sum((folder / file).stat().st_size for file in options.format.model)
            with quiet(), without_telemetry():
                runners[options.name] = runpy.run_path(str(folder / "run.py"))["logits"]
        lengths = encode(tuned.tokenizer, split.texts, tuned.max_length).lengths
        logits, rates = run(runners, split.texts, np.argsort(-lengths, kind="stable"))
    original = logits["emotune fp32"]
    figures = {}
    for name, found in logits.items():
        agreement = compared(split, original, found, ExportOptions(to="onnx"))
        figures[name] = {
            "texts_per_second": rates[name],
            "label_agreement": agreement.agreement,
            "largest_logit_difference": agreement.largest_difference,
            "accuracy": agreement.export.metrics.accuracy,
            "points_lost": round(100 * agreement.lost, 3) + 0.0,  # no negative zero
            "difference_90_percent": [agreement.test.difference.low, agreement.test.difference.high],
            "megabytes": round(sizes[name] / 1e6, 1) if name in sizes else None,
        }
        print(name, figures[name])
    libraries = {name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime", "openvino", "nncf")}
    about = {"split": split.name, "rows": len(split), "training_rows": tuned.training.examples}
    write("exports", {"machine": machine(), "libraries": libraries, **about, "runners": figures})


def write_all(tuned: TunedClassifier, texts: Sequence[str], place: Path) -> None:
    """Write every export into a folder of its name, from one captured graph."""
    merged = tuned.merged()
    with quiet(), without_telemetry():
        for options in EXPORTS:
            (place / options.name).mkdir()
            write_companions(tuned, merged, options, place / options.name)
        write_merged(merged, place / "merged")
        program = captured(merged)
        for name in ("onnx", "onnx_int8"):
            write_onnx(program, place / name)
        quantize_onnx(place / "onnx_int8")
        model = converted(program, merged.config.model_type)
        write_openvino(model, place / "openvino")
        write_openvino(quantized(model, encode(tuned.tokenizer, texts, tuned.max_length)), place / "openvino_int8")


def run(runners: dict[str, Runner], texts: Sequence[str], order: Any) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the logits of each runner in the order of the texts, and its rate, the median of rounds taken in turn."""
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    logits: dict[str, Any] = {}
    for name, runner in runners.items():
        found = [np.asarray(runner([texts[row] for row in batch]), dtype=np.float32) for batch in batches]
        logits[name] = np.empty((len(texts), found[0].shape[1]), dtype=np.float32)
        logits[name][order] = np.concatenate(found)
    timed = batches[::TIMED]
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(ROUNDS):
        for name, runner in runners.items():
            started = time.perf_counter()
            for batch in timed:
                runner([texts[row] for row in batch])
            seconds[name].append(time.perf_counter() - started)
    rows = sum(map(len, timed))
    return logits, {name: round(rows / statistics.median(times)) for name, times in seconds.items()}


if __name__ == "__main__":
    main()

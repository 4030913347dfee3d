"""Speed of training and prediction, compared with common alternatives, in one run.

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/speed.py     # without the variable: the bundled sample
    python benchmarks/speed.py --only prediction

Protocol: every contender runs in its own process (benchmarks/contenders.py), pinned to the same cores with as many
threads. It sets up, warms up, and then waits. The contenders take turns, one block of work each (A B C A B C ...), so
that other load on the machine affects all of them equally. A row of the table is the median over the blocks, with the
smallest and the largest; ratios are medians of the ratios within a round. Peak memory is that of the contender's
process. Results go to benchmarks/results/speed.json and speed.md, and into docs/benchmarks.md. With --only, those of
one part take the place of its earlier ones, so that parts may come from different runs; a ratio never does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, quote, read, write

from emotune.system.threads import prepare_environment

CONTENDERS = Path(__file__).parent / "contenders.py"


@dataclass(frozen=True)
class Duel:
    """Contenders that take turns at one job."""

    key: str
    title: str
    job: str
    contenders: dict[str, str]
    model: str
    precision: str
    operations: int


MODELS = {"minilm": "MiniLM (22.7 M parameters)", "bert-base": "BERT-base (110 M, random weights)"}
TRAINING = {
    "emotune": "emotune",
    "trainer": "a good Trainer script: dynamic padding, bf16, group_by_length, batch 32",
    "notebook": "a plain notebook: padded to 512, fp32, batch 8, LoRA on `query`",
}
TRAINING_FP32 = {
    "emotune-fp32": "emotune, precision fp32",
    "trainer-fp32": "the good Trainer script without bf16",
}
PREDICTION = {
    "emotune": "emotune",
    "emotune-int8": "emotune, precision int8 (OpenVINO)",
    "pipeline": "transformers pipeline as it comes",
    "pipeline-32": "pipeline, batch_size=32",
    "onnx": "ONNX Runtime fp32, sorted, batch 64",
    "onnx-int8": "ONNX Runtime dynamic int8, sorted, batch 64",
    "openvino": "OpenVINO, sorted, batch 64",
    "openvino-int8": "OpenVINO int8 (NNCF), sorted, batch 64",
    "ctranslate2": "CTranslate2 int8, sorted, batch 64",
}
LATENCY = {
    "emotune": "emotune",
    "emotune-int8": "emotune, precision int8 (OpenVINO)",
    "pipeline": "transformers pipeline as it comes",
    "onnx": "ONNX Runtime fp32",
    "onnx-int8": "ONNX Runtime dynamic int8",
}

# Each duel: its key in the results, its title, the job, its contenders (the first is compared with the others), the
# model, the precision of the limit, and operations per parameter and token.
DUELS = (
    Duel("training_minilm", f"Training {MODELS['minilm']}", "training", TRAINING, "minilm", "bf16", 4),
    Duel("training_bert-base", f"Training {MODELS['bert-base']}", "training", TRAINING, "bert-base", "bf16", 4),
    Duel("training_fp32", f"Training {MODELS['minilm']} without bf16", "training", TRAINING_FP32, "minilm", "fp32", 4),
    Duel("prediction_minilm", f"Prediction with {MODELS['minilm']}", "prediction", PREDICTION, "minilm", "bf16", 2),
    Duel("latency_minilm", "One text per call, as a service for one client", "latency", LATENCY, "minilm", "bf16", 2),
)


class Contender:
    """Process that does one block of work per request.

    Args:
        job: "training" or "prediction".
        name: Name of the contender.
        model: "minilm" or "bert-base"; for prediction and "tune", the folder of a tuned MiniLM.
        variables: Further environment variables.
    """

    def __init__(self, job: str, name: str, model: str, variables: Mapping[str, str] | None = None) -> None:
        self.name = name
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
            "TOKENIZERS_PARALLELISM": "false",
            **(variables or {}),
        }
        # emotune runs as its command does, and bounds oneDNN's cache; the others keep the libraries' own defaults.
        if name.startswith("emotune"):
            prepare_environment(environment)
        else:
            environment["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = "1024"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(CONTENDERS), job, name, model],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.ready = self._answer()

    def block(self) -> dict[str, Any]:
        """Do one block of work."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        raise RuntimeError(f"the contender {self.name} ended without an answer")


def duel(job: str, names: list[str], model: str, rounds: int) -> dict[str, Any]:
    """Let contenders take turns, and return their figures by name."""
    contenders = [Contender(job, name, model) for name in names]
    rates: dict[str, list[float]] = {name: [] for name in names}
    last: dict[str, dict[str, Any]] = {}
    # The plain notebook needs seconds for one batch, so it takes part in the first rounds only.
    for number in range(rounds):
        for contender in contenders:
            if contender.ready.get("slow") and number >= 3:
                continue
            last[contender.name] = contender.block()
            rates[contender.name].append(last[contender.name]["examples"] / last[contender.name]["seconds"])
        print(
            f"{job} {model} round {number + 1}: " + ", ".join(f"{n} {r[-1]:.1f}/s" for n, r in rates.items()),
            flush=True,
        )
    for contender in contenders:
        contender.stop()
    result: dict[str, Any] = {}
    for name in names:
        ours = rates[names[0]][: len(rates[name])]
        result[name] = {
            "per_second": statistics.median(rates[name]),
            "per_second_least": min(rates[name]),
            "per_second_most": max(rates[name]),
            "blocks": len(rates[name]),
            "rates": rates[name],
            "emotune_is_faster_by": statistics.median(o / t for o, t in zip(ours, rates[name], strict=True)),
            "peak_memory_bytes": last[name]["peak_memory_bytes"],
            **{key: value for key, value in last[name].items() if key in ("tokens_per_example", "accuracy")},
        }
    return result


def share_of_limit(figures: dict[str, Any], limit: dict[str, Any], factor: int) -> dict[str, float]:
    """Return the useful GFLOP/s, and their share of the measured limit.

    `factor` operations are counted per parameter of the encoder's layers and real token.
    """
    useful = factor * limit["encoder_parameters"] * figures["tokens_per_example"] * figures["per_second"] / 1e9
    return {"useful_gflops": useful, "limit_gflops": limit["gflops"], "share": useful / limit["gflops"]}


def command_seconds(*command: str) -> float:
    """Return the median wall seconds of a command over seven runs."""
    import time

    times = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def one_answer(job: str, name: str, model: str) -> dict[str, Any]:
    """Return the answer of a contender that measures by itself, in one block."""
    contender = Contender(job, name, model)
    answer = contender.block()
    contender.stop()
    return answer


def tuned_folder(work: Path) -> str:
    """Return the folder of a MiniLM tuned for two epochs, made in `work` unless EMOTUNE_BENCH_FOLDER names one."""
    return os.environ.get("EMOTUNE_BENCH_FOLDER") or one_answer("tune", "emotune", str(work / "tuned"))["saved"]


def measure(only: str, rounds: int) -> dict[str, Any]:
    """Measure everything, or one part."""
    result: dict[str, Any] = {"machine": machine(), "rounds": rounds} if only == "all" else {}
    for part in DUELS:
        if only in ("all", part.job):
            limit = one_answer("limit", part.precision, part.model)
            names = list(part.contenders)
            with tempfile.TemporaryDirectory() as work:
                model = part.model if part.job == "training" else tuned_folder(Path(work))
                figures = duel(part.job, names, model, rounds if part.model == "minilm" else max(3, rounds // 2))
            result[part.key] = figures
            result[f"{part.key}_machine"] = machine()
            result[f"{part.key}_limit"] = share_of_limit(figures[names[0]], limit, part.operations)
    if only in ("all", "growth"):
        result["growth"] = one_answer("growth", "emotune", "minilm")["seconds_by_rows"]
        result["growth_with_layers"] = one_answer("size", "emotune", "minilm")["seconds_by_layers"]
        result["stream_peak_memory_bytes"] = one_answer("stream", "emotune", "minilm")["peak_by_texts"]
    if only in ("all", "start"):
        result["start_seconds"] = {
            "emotune --help": command_seconds(sys.executable, "-m", "emotune", "--help"),
            "import emotune": command_seconds(sys.executable, "-c", "import emotune"),
            "python": command_seconds(sys.executable, "-c", ""),
        }
    return result


def shown(rate: float) -> str:
    """Return a rate with three digits, or all digits before the point."""
    return f"{rate:,.0f}" if rate >= 1000 else f"{rate:.3g}"


def table(result: dict[str, Any]) -> str:
    """Return the Markdown tables of docs/benchmarks.md: contenders, then growth and start."""
    lines = [
        "| | examples per second | time relative to emotune | share of the product rate | peak memory |",
        "|---|---|---|---|---|",
    ]
    for part in DUELS:
        if part.key not in result:
            continue
        limit = result[f"{part.key}_limit"]
        lines.append(f"| **{part.title}** | | | of {limit['limit_gflops']:.0f} GFLOP/s | |")
        first = next(iter(part.contenders))
        for name, figures in result[part.key].items():
            ratio = "1" if name == first else f"{figures['emotune_is_faster_by']:.1f}"
            least, most = shown(figures["per_second_least"]), shown(figures["per_second_most"])
            rate = f"{shown(figures['per_second'])} ({least} to {most})"
            share = limit["share"] * figures["per_second"] / result[part.key][first]["per_second"]
            memory = f"{figures['peak_memory_bytes'] / 1e9:.2f} GB"
            lines.append(f"| {part.contenders[name]} | {rate} | {ratio} | {share:.0%} | {memory} |")
    lines += ["", "| what grows | relative to | factor |", "|---|---|---|"]
    for key, what, unit in (
        ("growth", "training time", "rows"),
        ("growth_with_layers", "training time", "layers"),
        ("stream_peak_memory_bytes", "peak memory of predicting a stream", "texts"),
    ):
        figures = result.get(key, {})
        sizes = sorted(figures, key=int)
        lines.extend(
            f"| {what} with {int(size):,} {unit} | {int(sizes[0]):,} {unit} | {figures[size] / figures[sizes[0]]:.2f} |"
            for size in sizes[1:]
        )
    lines += ["", "| command | time to start |", "|---|---|"]
    lines.extend(f"| `{what}` | {seconds:.2f} s |" for what, seconds in result.get("start_seconds", {}).items())
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the parts that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", choices=("all", "training", "prediction", "latency", "growth", "start", "table"), default="all"
    )
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    result = (read("speed") or {}) if arguments.only != "all" else {}
    if arguments.only != "table":
        result |= measure(arguments.only, arguments.rounds)
        write("speed", result)
    quote("speed", table(result))
    print(table(result))


if __name__ == "__main__":
    main()

"""Time per prediction of one short text, compared with the merged model in plain transformers.

    python benchmarks/one_text.py            # one and two threads
    python benchmarks/one_text.py --rounds 100 --threads 1

Protocol: `bundled:minilm` with LoRA of rank 16 on all linear layers, random weights instead of training, in float32.
One side is `method.merge(model)`: the text is tokenized by the same tokenizer, and the model is called under
`torch.inference_mode`. The other side is `Predictor.predict([text])`, which also checks the text and returns label
and probabilities. Each number of threads has its own process. There the two take turns per call, and the first one
changes per round, so that other load on the machine affects both equally. The results are medians and quartiles of
the times, the ratio of the medians, and the smallest and largest ratio among tenths of the rounds. They go to
benchmarks/results/one_text.json.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, write

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
TEXTS = (
    "ok",
    "I can't stop smiling today.",
    "Wait, you two are married? Since when?",
    "It isn't that I mind the rain, the long walk or the broken umbrella; it is that you promised, and I believed you.",
)
WARM_UP, PARTS = 20, 10


def measure(rounds: int) -> list[dict[str, Any]]:
    """Return the figures for each text, with the threads of this process."""
    import numpy as np
    import torch

    import emotune

    base = emotune.load_base("bundled:minilm", labels=LABELS)
    method = emotune.LoRA()
    model: Any = method.apply(copy.deepcopy(base.model), base.name).eval()
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.02)
    predictor = emotune.Predictor(replace(base, model=model), precision="fp32")
    merged: Any = method.merge(model)

    def bare(text: str) -> Any:
        with torch.inference_mode():
            return merged(**base.tokenizer([text], return_tensors="pt")).logits

    figures = []
    for text in TEXTS:
        expected = bare(text).softmax(-1).numpy()
        np.testing.assert_allclose(predictor.predict([text]).probabilities, expected, rtol=1e-4, atol=1e-6)
        sides: dict[str, Callable[[], Any]] = {
            "merged_model": lambda text=text: bare(text),  # type: ignore[misc]
            "predictor": lambda text=text: predictor.predict([text]),  # type: ignore[misc]
        }
        tokens = len(base.tokenizer(text)["input_ids"])
        figures.append({"tokens": tokens, **compared(taking_turns(sides, rounds))})
        print(torch.get_num_threads(), "threads:", json.dumps(figures[-1]), file=sys.stderr, flush=True)
    return figures


def taking_turns(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each call, by side."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(WARM_UP + rounds):
        for name in list(sides) if number % 2 else reversed(list(sides)):
            started = time.perf_counter()
            sides[name]()
            if number >= WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def compared(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return the milliseconds by side, and the ratio of the predictor's time to the merged model's."""
    merged, ours = seconds["merged_model"], seconds["predictor"]
    part = max(1, len(ours) // PARTS)
    ratios = [
        statistics.median(ours[start : start + part]) / statistics.median(merged[start : start + part])
        for start in range(0, len(ours), part)
    ]
    quarters = {
        name: [round(1000 * value, 3) for value in statistics.quantiles(found, n=4)] for name, found in seconds.items()
    }
    return {
        "rounds": len(ours),
        "milliseconds_quartiles": quarters,
        "ratio": round(statistics.median(ours) / statistics.median(merged), 3),
        "ratio_least": round(min(ratios), 3),
        "ratio_most": round(max(ratios), 3),
    }


def main() -> None:
    """Measure in one process per number of threads, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--here", action="store_true", help="measure in this process, and print the figures as JSON")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.rounds)))
        return
    result: dict[str, Any] = {"machine": machine(), "threads": {}}
    for threads in arguments.threads:
        command = [sys.executable, "-W", "ignore", __file__, "--here", "--rounds", str(arguments.rounds)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        result["threads"][str(threads)] = json.loads(done.stdout.splitlines()[-1])
    write("one_text", result)


if __name__ == "__main__":
    main()

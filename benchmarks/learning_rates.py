"""Choice of each method's learning rate: one epoch at several rates, scored on validation.

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/learning_rates.py [METHOD ...]

Protocol: the bundled MiniLM, one seed, one epoch of the first 8,000 rows of the training split, macro-F1 on the real
validation split. The test split is not used. Results go to benchmarks/results/learning_rates.json; rates with a result
there are not tried again.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import emotune
from emotune.methods.registry import METHODS
from emotune.system.errors import TrainingError

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, read, write

ROWS = 8_000
RATES = {
    "lora": (5e-4, 1e-3, 2e-3, 4e-3),
    "lora rslora": (2.5e-4, 5e-4, 1e-3),
    "qlora": (1e-3, 2e-3, 4e-3),
    "dora": (1e-3, 2e-3, 4e-3),
    "pissa": (2e-4, 5e-4, 1e-3, 2e-3, 4e-3),
    "lora-plus": (2e-4, 5e-4, 1e-3, 2e-3),
    "adalora": (2e-3, 4e-3, 8e-3, 1.6e-2),
    "vera": (1e-2, 2e-2, 4e-2, 8e-2),
    "ia3": (5e-3, 1e-2, 2e-2, 4e-2, 8e-2),
    "bitfit": (2e-3, 4e-3, 8e-3, 1.6e-2),
    "bottleneck": (1e-3, 2e-3, 4e-3, 8e-3),
    "bottleneck pfeiffer": (2e-3, 4e-3, 8e-3),
    "prefix": (1e-2, 2e-2, 4e-2, 8e-2),
    "prompt": (1e-2, 3e-2, 1e-1),
    "head": (1e-3, 3e-3, 1e-2, 3e-2),
    "full": (1e-4, 2e-4, 3e-4, 4e-4, 8e-4),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "lora rslora": {"rslora": True},
    "bottleneck pfeiffer": {"placement": "pfeiffer"},
}


def main() -> None:
    """Try all rates of the methods that the command line names, or of all."""
    methods = sys.argv[1:] or list(RATES)
    data = emotune.load_data(os.environ["EMOTUNE_EMOTION_DATA"])
    data = dataclasses.replace(data, train=data.train.take(range(ROWS)))
    found: dict[str, dict[str, float | None]] = (read("learning_rates") or {}).get("validation_macro_f1", {})
    for method, rate in [(name, rate) for name in methods for rate in RATES[name]]:
        if f"{rate:g}" in found.setdefault(method, {}):
            continue
        found[method][f"{rate:g}"] = score = _score(method, rate, data)
        print(method, f"{rate:g}", score, flush=True)
        write("learning_rates", {"machine": machine(), "rows": ROWS, "validation_macro_f1": found})


def _score(method: str, rate: float, data: emotune.TextDataset) -> float | None:
    """Return macro-F1 on validation, or None where training failed, as with too high a rate."""
    base = emotune.load_base("bundled:minilm", labels=data.labels)
    options = emotune.TrainingOptions(epochs=1, learning_rate=rate)
    try:
        tuned = emotune.finetune(base, data, METHODS[method.split()[0]](**OPTIONS.get(method, {})), options)
    except TrainingError as error:
        print(error)
        return None
    if tuned.training is None:
        raise RuntimeError("finetune gave a classifier without its training record")
    return round(tuned.training.epochs[0].validation_macro_f1, 4)


if __name__ == "__main__":
    main()

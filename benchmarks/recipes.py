"""Comparison of recipes on the emotion data: methods, learning rates and epochs, scored on validation over seeds.

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/recipes.py --seeds 0,1 [RECIPE ...]

Protocol: the bundled MiniLM, the real training and validation splits; the test split is not used. Results go to
benchmarks/results/recipes.json: accuracy and macro-F1 on validation of the epoch that `finetune` keeps. Recipes with a
result there are not tried again.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import emotune
from emotune.methods.base import Method
from emotune.methods.bottleneck import Bottleneck
from emotune.methods.full import FullFineTuning
from emotune.methods.lora import LoRA

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, read, write


@dataclass(frozen=True)
class Recipe:
    """A method with its training options."""

    method: Method = field(default_factory=LoRA)
    training: dict[str, Any] = field(default_factory=dict)


RECIPES = {
    "default": Recipe(),
    "rate 2e-3": Recipe(training={"learning_rate": 2e-3}),
    "rate 2e-3, 6 epochs": Recipe(training={"learning_rate": 2e-3, "epochs": 6, "patience": 6}),
    "6 epochs": Recipe(training={"epochs": 6, "patience": 6}),
    "rank 32, rate 2e-3": Recipe(LoRA(r=32), {"learning_rate": 2e-3}),
    "rate 2e-3, weights sqrt": Recipe(training={"learning_rate": 2e-3, "class_weights": "sqrt"}),
    "rate 2e-3, label smoothing 0.1": Recipe(training={"learning_rate": 2e-3, "label_smoothing": 0.1}),
    "label smoothing 0.1": Recipe(training={"label_smoothing": 0.1}),
    "rate 2e-3, label smoothing 0.1, 6 epochs": Recipe(
        training={"learning_rate": 2e-3, "label_smoothing": 0.1, "epochs": 6, "patience": 6}
    ),
    "rate 2e-3, weight decay 0.1": Recipe(training={"learning_rate": 2e-3, "weight_decay": 0.1}),
    "512 tokens, rate 1.4e-3": Recipe(training={"learning_rate": 1.4e-3, "batch_tokens": 512}),
    "Houlsby adapters, rate 4e-3": Recipe(Bottleneck(), {"learning_rate": 4e-3}),
    "full fine-tuning, rate 3e-4": Recipe(FullFineTuning(), {"learning_rate": 3e-4}),
}


def main() -> None:
    """Try the recipes and seeds that the command line names."""
    parser = argparse.ArgumentParser(description="Try recipes on validation.")
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"of: {'; '.join(RECIPES)}")
    parser.add_argument("--seeds", default="0", help="seeds, with commas")
    arguments = parser.parse_args()
    data = emotune.load_data(os.environ["EMOTUNE_EMOTION_DATA"])
    found: dict[str, dict[str, dict[str, Any]]] = (read("recipes") or {}).get("validation", {})
    for seed in arguments.seeds.split(","):
        for name in arguments.recipes or RECIPES:
            scores = found.setdefault(name, {})
            if seed in scores:
                continue
            scores[seed] = _scores(RECIPES[name], int(seed), data)
            mean = fmean(score["macro_f1"] for score in scores.values())
            print(f"{name}, seed {seed}: {scores[seed]}; mean macro-F1 of {len(scores)}: {mean:.4f}", flush=True)
            write("recipes", {"machine": machine(), "validation": found})


def _scores(recipe: Recipe, seed: int, data: emotune.TextDataset) -> dict[str, Any]:
    """Return accuracy and macro-F1 of the kept epoch, and macro-F1 after every epoch."""
    base = emotune.load_base("bundled:minilm", labels=data.labels)
    record = emotune.finetune(base, data, recipe.method, emotune.TrainingOptions(**recipe.training), seed=seed).training
    kept = record.best
    return {
        "accuracy": round(kept.validation_accuracy, 4),
        "macro_f1": round(kept.validation_macro_f1, 4),
        "epochs": [round(epoch.validation_macro_f1, 4) for epoch in record.epochs],
    }


if __name__ == "__main__":
    main()

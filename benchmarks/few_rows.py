"""Comparison of recipes for few rows: epochs, batches and gradient clipping, over folds of the bundled messages.

    python benchmarks/few_rows.py [--runs 0,1,2,3,4] [RECIPE ...]

Protocol: the bundled MiniLM and the bundled messages, whose test split is not used. Training and validation rows
together (1,275) are cut into five stratified folds. Run i trains with seed i on all folds except number i modulo 5,
which chooses the epoch and is scored. Five runs score every row once, which distinguishes recipes better than the 225
validation rows can. The baseline is logistic regression on the frozen encoder's layers, concatenated and each on its
own, on the same folds. Results go to benchmarks/results/few_rows.json; runs with a result there are not tried again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import emotune
from emotune.data.dataset import Split, TextDataset
from emotune.inference.features import layer_features
from emotune.tasks.probe import side_by_side

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, read, write

FOLDS = 5
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03)
# Patience equals the number of epochs, so that recipes of different length are compared to their end.
RECIPES: dict[str, dict[str, Any]] = {
    "5 epochs": {"epochs": 5},
    "10 epochs": {"epochs": 10},
    "20 epochs": {"epochs": 20},
    "10 epochs, gradients clipped to 1": {"epochs": 10, "max_grad_norm": 1.0},
    "5 epochs, gradients clipped to 1": {"epochs": 5, "max_grad_norm": 1.0},
    "10 epochs, 512 tokens": {"epochs": 10, "batch_tokens": 512},
    "10 epochs, rate 2e-3": {"epochs": 10, "learning_rate": 2e-3},
    "10 epochs, label smoothing 0.1": {"epochs": 10, "label_smoothing": 0.1},
}


def main() -> None:
    """Try the recipes and runs that the command line names."""
    parser = argparse.ArgumentParser(description="Try recipes for few rows on validation.")
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"of: {'; '.join(RECIPES)}")
    parser.add_argument("--runs", default="0,1,2,3,4", help="runs, with commas; each is a seed and a fold")
    arguments = parser.parse_args()
    data = emotune.load_data("bundled:sample")
    pool = Split(
        "train",
        data.train.texts + data.validation.texts,
        np.concatenate([data.train.label_ids, data.validation.label_ids]),
        data.labels,
    )
    results = read("few_rows") or {}
    found: dict[str, dict[str, dict[str, Any]]] = results.get("recipes", {})
    frozen: dict[str, dict[str, float]] = results.get("frozen", {}) or _frozen(pool)
    for run in map(int, arguments.runs.split(",")):
        train, held_out = folds_of(pool)[run % FOLDS]
        fold = replace(data, train=pool.take(train), validation=pool.take(held_out, "validation"))
        for name in arguments.recipes or RECIPES:
            scores = found.setdefault(name, {})
            if str(run) in scores:
                continue
            scores[str(run)] = _scores(RECIPES[name], run, fold)
            mean = fmean(score["macro_f1"] for score in scores.values())
            print(f"{name}, run {run}: {scores[str(run)]}; mean macro-F1 of {len(scores)}: {mean:.4f}", flush=True)
            write("few_rows", {"machine": machine(), "rows": len(pool), "frozen": frozen, "recipes": found})


def folds_of(pool: Split) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the training rows and the held-out rows of each fold."""
    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=7).split(np.zeros(len(pool)), pool.label_ids))


def _scores(recipe: dict[str, Any], run: int, data: TextDataset) -> dict[str, Any]:
    """Return the scores on validation of the kept epoch, and the share of clipped steps."""
    base = emotune.load_base("bundled:minilm", labels=data.labels)
    options = emotune.TrainingOptions(**{"patience": recipe["epochs"], **recipe})
    record = emotune.finetune(base, data, options=options, seed=run).training
    kept = record.best
    return {
        "accuracy": round(kept.validation_accuracy, 4),
        "macro_f1": round(kept.validation_macro_f1, 4),
        "loss": round(kept.validation_scaled_loss, 4),
        "epoch": kept.number,
        "clipped_steps": round(record.clipped_steps, 3),
        "seconds": round(record.seconds, 1),
    }


def _frozen(pool: Split) -> dict[str, dict[str, float]]:
    """Return the macro-F1 of logistic regression on frozen features, the mean over folds, by features and strength."""
    base = emotune.load_base("bundled:minilm", labels=pool.labels)
    features = layer_features(base, pool.texts)
    named = {f"layer {number}": layer for number, layer in enumerate(features)}
    found = {}
    for name, columns in {**named, "all layers": side_by_side(features)}.items():
        found[name] = {f"{strength:g}": round(fmean(_folded(columns, pool, strength)), 4) for strength in STRENGTHS}
        print(name, found[name], flush=True)
    return found


def _folded(columns: NDArray[np.float32], pool: Split, strength: float) -> Iterator[float]:
    for train, held_out in folds_of(pool):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300, tol=1e-3))
        model.fit(columns[train], pool.label_ids[train])
        yield float(f1_score(pool.label_ids[held_out], model.predict(columns[held_out]), average="macro"))


if __name__ == "__main__":
    main()

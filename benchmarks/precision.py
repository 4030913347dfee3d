"""Accuracy of a saved model's predictions on the real test split, by precision.

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/precision.py fine_tuned_lora_model

Protocol: one saved folder, `emotune.predict` with each precision on the same 2,000 rows. The result goes to
benchmarks/results/precision.json. The test split decides nothing here: `predict` uses bf16 if the hardware multiplies
it, whatever the result.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import emotune

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, write


def main() -> None:
    """Score the folder that the command line names."""
    data = emotune.load_data(os.environ["EMOTUNE_EMOTION_DATA"])
    tuned = emotune.load(sys.argv[1])
    truth = [data.labels[label] for label in data.test.label_ids]
    predictions = {
        precision: emotune.predict(tuned, list(data.test.texts), precision=precision).labels
        for precision in ("fp32", "bf16", "int8")
    }
    accuracy = {
        precision: sum(map(str.__eq__, labels, truth)) / len(truth) for precision, labels in predictions.items()
    }
    same = {
        precision: sum(map(str.__eq__, labels, predictions["fp32"])) / len(truth)
        for precision, labels in predictions.items()
    }
    write("precision", {"machine": machine(), "accuracy": accuracy, "same_label_as_fp32": same, "rows": len(truth)})
    print(accuracy, same)


if __name__ == "__main__":
    main()

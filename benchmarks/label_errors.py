"""Recall and precision of an audit on flipped labels.

    EMOTUNE_EMOTION_DATA=/path/to/emotion python benchmarks/label_errors.py     # without it: the bundled sample

Protocol: a share of the training labels is flipped to another label at random (seed 0), and `find_label_errors`
judges the rows, by words only and with the features of `bundled:minilm`. Labels that were wrong before count as false
alarms, so precision is a lower bound. Without flips, the rows named are the data's own wrong labels and false alarms.
Results go to benchmarks/results/label_errors.json.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, write

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.tasks.judges import Features

SHARES = (0.0, 0.01, 0.05, 0.2)


def measure(data: TextDataset, share: float, features: Features | None) -> dict[str, float | None]:
    """Flip labels, and find them again."""
    from emotune.data.auditing.label_errors import find_label_errors
    from emotune.data.auditing.located import Place, Row
    from emotune.data.duplicates import find_duplicates

    rng = np.random.default_rng(0)
    labels = data.train.label_ids.copy()
    flipped = rng.choice(len(labels), size=int(share * len(labels)), replace=False)
    labels[flipped] = (labels[flipped] + rng.integers(1, len(data.labels), size=len(flipped))) % len(data.labels)
    rows = [
        Row(Place("train", i), text, data.labels[label])
        for i, (text, label) in enumerate(zip(data.train.texts, labels, strict=True))
    ]
    started = time.perf_counter()
    made = None if features is None else lambda _: features
    found, _ = find_label_errors(rows, find_duplicates(data.train.texts).trivial, made)
    seconds = time.perf_counter() - started
    if found is None:
        return {"named": None, "precision": None, "recall": None, "seconds": seconds}
    hits = len({error.row.place.number for error in found} & set(flipped.tolist()))
    return {
        "named": len(found),
        "precision": hits / len(found) if found and share else None,
        "recall": hits / len(flipped) if share else None,
        "seconds": seconds,
    }


def main() -> None:
    """Measure, and write the result."""
    import emotune
    from emotune.inference.judging import features_of

    results = {}
    sources = {"sample": "bundled:sample"}
    if "EMOTUNE_EMOTION_DATA" in os.environ:
        sources["emotion"] = os.environ["EMOTUNE_EMOTION_DATA"]
    for name, source in sources.items():
        data = emotune.load_data(source)
        made = features_of("bundled:minilm", max_length=128)(data.train.texts)
        for judge, features in (("words", None), ("words or minilm", made)):
            for share in SHARES:
                found = measure(data, share, features)
                results[f"{name}, {judge}, {share:g}"] = found
                print(name, judge, share, found, flush=True)
    write("label_errors", {"machine": machine(), "results": results})


if __name__ == "__main__":
    main()

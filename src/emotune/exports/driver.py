"""Run an export's own run.py on many texts, in a process that has no emotune: python driver.py FOLDER TEXTS LOGITS.

TEXTS is a JSON list of batches, each a list of texts or of pairs [first, second]. LOGITS is the .npy file to write,
shape (texts, classes), in the same order. This file is run by its path; nothing imports it.
"""

from __future__ import annotations

import json
import runpy
import sys

import numpy as np


def _main() -> None:
    folder, texts, logits = sys.argv[1:]
    # Importing any of these raises ImportError: the export must run without emotune, and nothing is sent to anyone.
    for hidden in ("emotune", "peft", "openvino_telemetry"):
        sys.modules[hidden] = None  # type: ignore[assignment]
    script = runpy.run_path(f"{folder}/run.py", run_name="export")
    with open(texts, encoding="utf-8") as file:  # noqa: PTH123
        batches = json.load(file)
    np.save(logits, np.concatenate([np.asarray(script["logits"](batch), dtype=np.float32) for batch in batches]))


if __name__ == "__main__":
    _main()

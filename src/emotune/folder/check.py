"""Check a saved folder in this process; `verify` starts it as a fresh one: `python -m emotune.folder.check`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.folder.format import PREDICTIONS, read_description, sha256
from emotune.folder.load import load, load_saved
from emotune.folder.predictions import numbers_of, read_table, texts_of
from emotune.folder.probes import PROBES
from emotune.folder.verification import Verification
from emotune.inference.forward import compute_logits
from emotune.models.classifier import Classifier
from emotune.models.encoding import encode
from emotune.system.errors import EmotuneError

# What the process checks: a saved folder; or a plain one, in emotune's arithmetic or with the modules of transformers.
SAVED, FAST, MODULES = "saved", "fast", "modules"


def check(folder: str | Path, base: str | Path | None = None, most_rows: int | None = None) -> Verification:
    """Check a saved folder in this process.

    Args:
        folder: A folder written by `save`.
        base: The location of the base model, if the folder does not name it.
        most_rows: Most test rows to predict again, drawn with a fixed seed; None for all.

    Raises:
        ArtifactError: The folder is incomplete or damaged.
    """
    folder = Path(folder)
    description = read_description(folder)
    saved_files = description.files
    left_out = tuple(name for name in description.left_out if not (folder / name).is_file())
    missing_files = tuple(name for name in saved_files if not (folder / name).is_file() and name not in left_out)
    changed_files = tuple(
        name
        for name, digest in saved_files.items()
        if name not in missing_files + left_out and sha256(folder / name) != digest
    )
    classifier = load_saved(folder, base=base)
    probes = description.verification
    logits = plain_logits(classifier, probes.inputs)
    difference = probe_difference = _largest_difference(logits, np.asarray(probes.logits))
    rows = len(probes.texts)
    changed_labels = test_rows = 0
    # Those of a cross-validation are by the models of its folds; their checksum was compared.
    if (folder / PREDICTIONS).is_file() and description.cross_validation is None:
        table = read_table(folder / PREDICTIONS, classifier.labels)
        texts, labels = texts_of(table), table["prediction"]
        saved = numbers_of(table, classifier.labels, folder / PREDICTIONS)
        test_rows = len(texts)
        if most_rows is not None and most_rows < test_rows:
            sample = np.sort(np.random.default_rng(0).choice(test_rows, most_rows, replace=False))
            texts, labels, saved = [texts[row] for row in sample], [labels[row] for row in sample], saved[sample]
        found_logits = plain_logits(classifier, texts)
        again = classifier.task.probabilities(found_logits)
        found = classifier.task.written(classifier.task.decide(found_logits), classifier.labels)
        changed_labels = sum(a != b for a, b in zip(found, labels, strict=True))
        difference = max(difference, _largest_difference(again, saved))
        rows += len(texts)
    return Verification(
        rows,
        difference,
        probes.tolerance,
        changed_labels,
        changed_files,
        missing_files,
        probe_difference,
        left_out,
        test_rows=test_rows,
    )


def plain_results(folder: Path, base: str | Path | None, *, fast: bool) -> dict[str, Any]:
    """Return what a plain folder gives for the probes in this process: labels and logits by row.

    Args:
        folder: A folder that transformers or PEFT saved.
        base: The base model of an adapter, if the folder does not name it.
        fast: Compute with emotune's own arithmetic, not with the modules of transformers and PEFT.

    Raises:
        EmotuneError: It cannot be loaded.
    """
    classifier = load(folder, base=base)
    logits = compute_logits(classifier.model, encode(classifier.tokenizer, PROBES, classifier.max_length), fast=fast)
    return {
        "labels": classifier.task.names(classifier.task.decide(logits), classifier.labels),
        "logits": logits.tolist(),
    }


def _largest_difference(found: NDArray[Any], saved: NDArray[Any]) -> float:
    """Return the largest absolute difference; infinite if a value is not a number, which `max` would ignore."""
    largest = float(np.abs(found - saved).max())
    return math.inf if math.isnan(largest) else largest


def plain_logits(classifier: Classifier, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return logits by the modules of transformers and PEFT; the saved ones are the fast path's: both are checked."""
    encoded = encode(classifier.tokenizer, texts, classifier.max_length, classifier.windows)
    return compute_logits(classifier.model, encoded, fast=False)


def _main() -> int:
    way, folder = sys.argv[1], Path(sys.argv[2])
    base, most_rows = (json.loads(option) for option in sys.argv[3:])
    try:
        result = (
            asdict(check(folder, base, most_rows)) if way == SAVED else plain_results(folder, base, fast=way == FAST)
        )
    except EmotuneError as error:
        sys.stdout.write(" ".join(str(error).split()) + "\n")
        return 2
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main())

"""Finished folds of a cross-validation as files, from which an interrupted one continues with the same bits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from emotune.data.dataset import Split
from emotune.evaluation.folds import FoldRecord
from emotune.evaluation.scores import Evaluation, score
from emotune.system.atomic import whole
from emotune.system.errors import OutputError

_ARRAYS = ("predictions", "probabilities", "logits")
_FACTS = ("name", "seconds", "note", "parameters", "validation_macro_f1", "is_chance", "has_seed", "cut")


def fold_file(folder: Path, repeat: int, fold: int) -> Path:
    """Return the file of a fold; its name is that of a checkpoint, so that its folder counts as unfinished.

    Args:
        folder: The folder for checkpoints.
        repeat: Number of the repeat, from 1.
        fold: Number of the fold, from 1.
    """
    return folder / f"checkpoint-repeat-{repeat}-fold-{fold}.npz"


def write_fold(path: Path, record: FoldRecord, models: Sequence[Evaluation]) -> None:
    """Write the training and the scores of a finished fold.

    Args:
        path: The file.
        record: The training.
        models: The models that were scored.

    Raises:
        OutputError: It cannot be written.
    """
    facts = {"record": asdict(record), "models": [{name: getattr(model, name) for name in _FACTS} for model in models]}
    arrays: dict[str, Any] = {
        f"{name}-{number}": values
        for number, model in enumerate(models)
        for name in _ARRAYS
        if (values := getattr(model, name)) is not None
    }
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    try:
        with whole(path) as partial, partial.open("xb") as stream:
            np.savez(stream, **arrays)
    except OSError as error:
        raise OutputError(f"The finished fold cannot be kept at '{path}': {error.strerror or error}.") from None


def read_fold(path: Path, scored: Split) -> tuple[FoldRecord, tuple[Evaluation, ...]]:
    """Read a finished fold; the scores are computed again from the predictions.

    Args:
        path: The file.
        scored: The rows that the fold scores.

    Raises:
        OutputError: It is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        facts = json.loads(arrays.pop("facts").tobytes())
        models = []
        for number, known in enumerate(facts["models"]):
            given: dict[str, Any] = {name: arrays.get(f"{name}-{number}") for name in _ARRAYS}
            metrics = score(scored, given["predictions"], given["probabilities"])
            models.append(Evaluation(split=scored, metrics=metrics, **given, **known))
        return FoldRecord(**facts["record"]), tuple(models)
    except (OSError, ValueError, LookupError, TypeError, BadZipFile) as error:
        raise OutputError(
            f"The finished fold at '{path}' is damaged ({error}). Remove the file, and it is trained again."
        ) from None

"""One trial: load, fine-tune, score, and write the result. Each trial runs in its own process.

    python -m emotune.sweep.trial FOLDER

reads FOLDER/trial.json and writes `result.json` beside it, and `predictions.parquet` if the test split is scored.
Standard output has one JSON object per line: the score of an epoch, or the reason of a failure at the end. The
process ends when its standard input is closed, so no trial outlives its sweep.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emotune.data.load import load_data
from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.saved import write_evaluation
from emotune.folder.base import load_base
from emotune.folder.format import PREDICTIONS, sha256
from emotune.folder.verify import verify
from emotune.settings.run import RunConfig
from emotune.system.errors import EmotuneError
from emotune.system.precision import choose_device
from emotune.system.processes import end_with_standard_input
from emotune.system.progress import Silent
from emotune.tracking.tracker import Group, Results
from emotune.tracking.tracking import Tracking, tracked
from emotune.training.finetune import finetune
from emotune.training.positions import leave_room

TASK, RESULT = "trial.json", "result.json"

AfterEpoch = Callable[[int, float], None]


class Notes(Silent):
    """Progress that keeps the lines of the training, such as the chosen path, and shows nothing."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """Keep the line."""
        self.lines.append(text)


def run_trial(
    config: RunConfig,
    folder: Path,
    *,
    scores_test: bool = True,
    after_epoch: AfterEpoch | None = None,
    key: str | None = None,
    label: str = "",
    group: Group | None = None,
) -> None:
    """Run one trial.

    Args:
        config: The configuration.
        folder: An existing folder for `result.json` and `predictions.parquet`.
        scores_test: True to score the test split.
        after_epoch: Called with an epoch's number and its macro-F1 on validation.
        key: Name of the trial in trackers.
        label: The trial in words.
        group: The group of the sweep in trackers.

    Raises:
        EmotuneError: One of its subclasses.
    """
    notes = Notes()
    with tracked(config, notes, name=key, label=label, group=group) as tracking:
        result = _run_trial(config, folder, scores_test, after_epoch, tracking, notes)
        if config.tracking.to:
            tracking.finish(_record(result))
        result["not_tracked"] = tracking.lost
    (folder / RESULT).write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")


def _run_trial(
    config: RunConfig,
    folder: Path,
    scores_test: bool,
    after_epoch: AfterEpoch | None,
    tracking: Tracking,
    notes: Notes,
) -> dict[str, Any]:
    """Run one trial, and return the content of `result.json`."""
    from transformers import TrainerCallback

    class Teller(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            if after_epoch is not None:
                after_epoch(round(state.epoch or 0), given["metrics"]["eval_macro_f1"])

    data = load_data(**config.data_arguments())
    base = load_base(labels=data.labels, task=data.task, texts=data.train.texts, **config.model.model_dump())
    if config.model.max_length is None:
        base = leave_room(base, config.method)
    base.model.to(choose_device(config.training.device))
    with tracking.training() as curves:
        tuned = finetune(
            base,
            data,
            config.method,
            config.training,
            seed=config.training.seed,
            callbacks=[Teller(), *curves],
            progress=notes,
        )
    record = tuned.training
    best, right = record.best, tuned.task.right.replace(" ", "_")
    validation = {right: best.validation[right], "macro_f1": best.validation_macro_f1}
    if tuned.task.thresholds is not None:  # the epochs were scored with thresholds of 0.5, before these were chosen
        scored = evaluate(tuned, data.validation)
        validation = {right: scored.right_share, "macro_f1": scored.metrics.macro_f1}
    result: dict[str, Any] = {
        "data": data.fingerprint,
        "labels": list(data.labels),
        "task": tuned.task.name,
        "thresholds": tuned.task.thresholds,
        "at_least_one": tuned.task.at_least_one,
        "validation": validation,
        "test": None,
        "trainable_parameters": record.trainable_parameters,
        "total_parameters": record.total_parameters,
        "seconds": record.seconds,
        "train_examples_per_second": record.train_examples_per_second,
        "peak_memory_bytes": record.peak_memory_bytes,
        "size_bytes": None,
        "epochs": [epoch.validation_macro_f1 for epoch in record.epochs],
        "best_epoch": record.best_epoch,
        "device": record.device,
        "precision": record.precision,
        "revision": tuned.revision,
        "notes": notes.lines,
        "warnings": list(record.warnings),
        "largest_logit_difference": None,
        "predictions_sha256": None,
    }
    if scores_test:
        test = evaluate(tuned, data.test)
        write_evaluation(test, folder / PREDICTIONS)
        result["test"] = {right: test.right_share, "macro_f1": test.metrics.macro_f1}
        result["predictions_sha256"] = sha256(folder / PREDICTIONS)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            saved = tuned.save(Path(scratch) / "saved")
            result["size_bytes"] = sum((saved / name).stat().st_size for name in tuned.method.files)
            # A score is worthless if the saved folder holds another model than the one that was scored.
            result["largest_logit_difference"] = verify(saved, base=tuned.source).largest_difference
    return result


def _record(result: Mapping[str, Any]) -> Results:
    """Return the final record of a trial for trackers."""
    figures = {
        f"{split}/{score}": value for split in ("validation", "test") for score, value in (result[split] or {}).items()
    }
    costs = ("seconds", "train_examples_per_second", "peak_memory_bytes", "trainable_parameters")
    figures |= {f"cost/{name}": float(result[name] or 0) for name in costs}
    facts = {"data.fingerprint": "data", "kept_epoch": "best_epoch", "device": "device", "precision_used": "precision"}
    return Results(figures, {name: str(result[key]) for name, key in facts.items()})


def main(folder: Path) -> int:
    """Run the trial that a folder describes, and report its progress on standard output."""
    end_with_standard_input()
    # Standard output is only for the sweep; output of libraries goes to standard error.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    task = json.loads((folder / TASK).read_text(encoding="utf-8"))
    try:
        run_trial(
            RunConfig.model_validate(task["configuration"]),
            folder,
            scores_test=task["scores_test"],
            after_epoch=lambda number, macro_f1: tell({"epoch": number, "macro_f1": macro_f1}),
            key=task["key"],
            label=task["label"],
            group=task["group"],
        )
    except EmotuneError as error:
        tell({"failed": str(error)})
        return error.exit_code
    except BaseException as error:
        tell({"failed": f"{type(error).__name__}: {error}" if str(error) else type(error).__name__})
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

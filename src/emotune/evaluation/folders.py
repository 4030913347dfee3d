"""Scores of a saved model, whoever saved it, on given rows: those of other predictions, or new ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from emotune.data.dataset import Split
from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.label_order import on_rows
from emotune.evaluation.scores import Evaluation
from emotune.folder.facts import facts_of
from emotune.folder.load import load
from emotune.system.errors import DataError
from emotune.system.progress import SILENT, Progress
from emotune.system.wording import listed


def score_folder(
    folder: Path, rows: Split, name: str, *, base: str | Path | None = None, progress: Progress = SILENT
) -> Evaluation:
    """Load the model of a folder and score it on rows whose labels it has, in any order.

    Args:
        folder: A folder that emotune, transformers or PEFT saved.
        rows: The rows.
        name: The model's name in tables.
        base: The base model, if the folder does not name it.
        progress: Show a progress bar.

    Returns:
        The evaluation, with labels in the order of the rows.

    Raises:
        DataError: The model has other labels, or another kind of label.
        ArtifactError: The folder is incomplete or damaged.
        ModelError: Its model cannot be loaded.
        HubError: The base model is on the Hub, and the Hub cannot be reached.
    """
    facts = facts_of(folder, base)
    if set(facts.labels) != set(rows.labels):
        raise DataError(
            f"'{folder}' has the labels {listed(facts.labels)}; the rows to compare on have {listed(rows.labels)}. "
            "Models are compared on the same labels."
        )
    if facts.task.several != rows.task.several:
        kinds = {True: "any number of labels", False: "one label"}
        raise DataError(
            f"'{folder}' gives a text {kinds[facts.task.several]}; the rows to compare on have {kinds[rows.task.several]}. "
            "Models are compared on labels of one kind."
        )
    classifier = load(folder, base=base)
    own, task = classifier.labels, classifier.task
    names = rows.task.written(rows.label_ids, rows.labels)
    found = evaluate(
        classifier,
        replace(rows, label_ids=task.read_names(names, own), labels=own, task=task),
        name=name,
        progress=progress,
    )
    return replace(found, split=rows) if own == rows.labels else on_rows(found, rows)

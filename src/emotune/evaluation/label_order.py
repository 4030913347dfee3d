"""Evaluations whose labels stand in another order: their columns are brought into one order, by the labels' names."""

from __future__ import annotations

from dataclasses import replace

from emotune.data.dataset import Split
from emotune.evaluation.scores import Evaluation, score


def with_labels_of(first: Evaluation, other: Evaluation) -> Evaluation:
    """Return another evaluation with its labels in the order of the first, scored anew.

    The order of the labels follows from how they were read: columns with one label each keep the file's order, lists
    are sorted. So two models of the same labels may number them differently.

    Args:
        first: The evaluation with the order wanted.
        other: The evaluation to change.

    Returns:
        The other evaluation as it is if the order is the same already, if the labels are others, or if their order has
        a meaning; `compare` then says how they differ.
    """
    labels, own = first.split.labels, other.split.labels
    if labels == own or len(labels) != len(own) or set(labels) != set(own):
        return other
    task = other.split.task.reordered([own.index(label) for label in labels])
    if task is None:
        return other
    targets = task.read_names(other.split.task.written(other.split.label_ids, own), labels)
    return on_rows(other, replace(other.split, label_ids=targets, labels=labels, task=task))


def on_rows(found: Evaluation, rows: Split) -> Evaluation:
    """Return an evaluation with the columns of its labels in the order of the same rows, and scored as these are.

    Args:
        found: The evaluation.
        rows: Its rows, with the same labels in any order.
    """
    own = found.split.labels
    places = [own.index(label) for label in rows.labels]
    predictions = rows.task.read_names(found.split.task.written(found.predictions, own), rows.labels)
    probabilities = None if found.probabilities is None else found.probabilities[:, places]
    return replace(
        found,
        split=rows,
        probabilities=probabilities,
        logits=None if found.logits is None else found.logits[:, places],
        predictions=predictions,
        metrics=score(rows, predictions, probabilities),
    )

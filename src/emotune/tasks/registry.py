"""All tasks, by their name in saved folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emotune.tasks.base import Task, trained_for
from emotune.tasks.multi_label import MULTI_LABEL
from emotune.tasks.ordered import ORDERED
from emotune.tasks.single_label import SINGLE_LABEL

TASKS: dict[str, Task] = {task.name: task for task in (SINGLE_LABEL, MULTI_LABEL, ORDERED)}


def task_of(config: Mapping[str, Any], labels: Sequence[str]) -> Task | None:
    """Return the task that a configuration of transformers was trained for, or None if emotune has no such task.

    Args:
        config: Content of its config.json.
        labels: Its label names.
    """
    problem = trained_for(config)
    if problem is None:
        return SINGLE_LABEL if len(labels) > 1 else None
    return next((task for task in TASKS.values() if trained_for(task.config(labels)) == problem), None)

"""All tasks, by their name in saved folders."""

from __future__ import annotations

from emotune.tasks.base import Task
from emotune.tasks.single_label import SINGLE_LABEL

TASKS: dict[str, Task] = {SINGLE_LABEL.name: SINGLE_LABEL}

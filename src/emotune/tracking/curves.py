"""Curves of a training: Trainer's log, passed on by transformers' integrations of the trackers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emotune.tracking.tracker import Tracker


class Curves(TrainerCallback):
    """Passes Trainer's log to integrations, which give the numbers the names that their users know.

    An integration would also start and end runs, and log all arguments of Trainer, such as a batch size that emotune's
    batches do not have. So only the log reaches them. The entry at the end of a training is left out: its speeds are
    computed from that batch size, and the results have them.

    Args:
        integrations: Trackers with their callbacks of transformers.
        attempt: Calls a function of a tracker with arguments, and handles the errors of the tracker's library.
    """

    def __init__(self, integrations: Sequence[tuple[Tracker, TrainerCallback]], attempt: Callable[..., bool]) -> None:
        self._integrations = tuple(integrations)
        self._attempt = attempt

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **given: Any,
    ) -> None:
        """Pass an entry of the log on, from the first process only."""
        if logs is None or "train_runtime" in logs or not state.is_world_process_zero:
            return
        for tracker, integration in self._integrations:
            self._attempt(tracker, partial(integration.on_log, logs=logs, **given), args, state, control)

"""Curves of a training: Trainer's log, passed on by transformers' integrations of the trackers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class Curves(TrainerCallback):
    """Passes Trainer's log to an integration, which gives the numbers the names that its users know.

    An integration would also start and end runs, and log all arguments of Trainer, such as a batch size that emotune's
    batches do not have. So only the log reaches it. The entry at the end of a training is left out: its speeds are
    computed from that batch size, and the results have them.

    Args:
        integration: A callback of transformers.
        attempt: Calls a function, and handles the errors of the tracker's library.
    """

    def __init__(self, integration: TrainerCallback, attempt: Callable[[Callable[[], object]], object]) -> None:
        self._integration = integration
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
        self._attempt(lambda: self._integration.on_log(args, state, control, logs=logs, **given))

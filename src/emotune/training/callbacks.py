"""Callbacks of training: progress, early stopping, and checks that stop a run which cannot succeed."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emotune.engine.dropout import MaskPool
from emotune.system.errors import TrainingError
from emotune.system.progress import SILENT, Advance, Progress
from emotune.training.choice import NAME, best_epoch


class ProgressBar(TrainerCallback):
    """Advance the front end's bar at every step, measure the training time per epoch, and print the epochs' scores.

    Args:
        progress: The front end.
    """

    def __init__(self, progress: Progress = SILENT) -> None:
        self.progress = progress
        self.advance: Advance = lambda steps: None
        self.epoch_seconds: list[float] = []
        self._started = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Advance the bar past the finished steps of a resumed run."""
        self.advance(state.global_step)

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the epoch's clock."""
        self._started = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Count the step."""
        self.advance(1)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop the epoch's clock, before validation."""
        self.epoch_seconds.append(time.perf_counter() - self._started)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Print the epoch's losses and scores."""
        found = metrics or {}
        train_loss = next(entry["loss"] for entry in reversed(state.log_history) if "loss" in entry)
        scores = [
            f"{words} {found[f'eval_{name}']:.4f}"
            for name, words in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"))
            if f"eval_{name}" in found
        ]
        self.progress.say(
            ", ".join(
                [
                    f"epoch {round(state.epoch or 0)}: training loss {train_loss:.3f}",
                    *([f"validation loss {found['eval_loss']:.3f}"] if "eval_loss" in found else []),
                    *scores,
                    f"{found['train_seconds']:.0f} s",
                ]
            )
        )
        if found.get("eval_one_class"):
            self.progress.say(
                "so far every validation text gets the same label; early on, and with little data, that may pass"
            )


class RenewMasks(TrainerCallback):
    """Redraw the pools of dropout masks at every epoch, from the seed, the epoch and the number of the process.

    Args:
        pools: The pools.
    """

    def __init__(self, pools: dict[float, MaskPool]) -> None:
        self.pools = pools

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Renew every pool."""
        for number, pool in enumerate(self.pools.values()):
            pool.renew(hash((args.seed, round(state.epoch or 0), number)) + args.process_index)


def validation_scores(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the scores of validation by name from Trainer's log, one entry per epoch; a resumed run keeps the log."""
    start = "eval_"
    return [
        {name.removeprefix(start): value for name, value in entry.items() if name.startswith(start)}
        for entry in history
        if f"{start}{NAME}" in entry
    ]


class Patience(TrainerCallback):
    """End training after a number of epochs without a better one.

    It counts in the log, which a checkpoint holds; the counter of transformers' own callback restarts in a resumed run.

    Args:
        epochs: Number of epochs without improvement.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Count the epochs since the best."""
        if self.is_exhausted(state):
            control.should_training_stop = True

    def is_exhausted(self, state: TrainerState) -> bool:
        """Return whether the best epoch is too long ago."""
        scores = validation_scores(state.log_history)
        return bool(scores) and len(scores) - 1 - best_epoch(scores) >= self.epochs


class StopAfter(TrainerCallback):
    """End training after an epoch that was chosen before.

    Args:
        epoch: Its number, from 1.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop once the epoch is done."""
        if round(state.epoch or 0) >= self.epoch:
            control.should_training_stop = True


class WeightsMoved(TrainerCallback):
    """Check after the first optimizer steps that every adapted module and every tensor of the head has changed.

    A disconnected adapter or a frozen head trains without an error, and scores badly for no visible reason.

    Args:
        parameters: Parameters that must change, by name.
        after_steps: Optimizer steps before the check.
    """

    def __init__(self, parameters: dict[str, torch.nn.Parameter], after_steps: int = 3) -> None:
        self.parameters = parameters
        self.after_steps = after_steps
        self.steps = 0
        self.before = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Copy the current weights: a resumed run has loaded its checkpoint since."""
        self.before = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Compare with the weights at the start, once.

        Raises:
            TrainingError: Some weights did not change.
        """
        self.steps += 1
        if self.steps != min(self.after_steps, state.max_steps):
            return
        still = [name for name, old in self.before.items() if torch.equal(old, self.parameters[name].detach())]
        self.before.clear()
        if still:
            raise TrainingError(
                f"After {self.steps} optimizer steps {len(still)} of {len(self.parameters)} trained tensors have not changed, "
                f"among them {still[0]}.\nThe loss does not depend on them, or the learning rate is zero. Nothing was saved."
            )


class FiniteLoss(TrainerCallback):
    """Stop a run whose loss is not finite, since its weights are unusable."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Check the logged losses and the gradient norm.

        Raises:
            TrainingError: One of them is not finite.
        """
        for key in ("loss", "grad_norm", "eval_loss"):
            value = (logs or {}).get(key)
            if value is not None:
                require_finite(key, value, state.global_step)


def require_finite(name: str, value: float, step: int) -> None:
    """Check that a loss or norm of the training is finite.

    Raises:
        TrainingError: It is infinite or not a number.
    """
    if not math.isfinite(value):
        raise TrainingError(
            f"The {name} became {value} at step {step}. "
            'Lower training.learning_rate, or use training.precision = "fp32". Nothing was saved.'
        )

"""Private interfaces of transformers: three hooks and a switch of its Trainer, and the marks of weights that are to be drawn."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, Trainer, TrainingArguments

CHECKED = "transformers>=5.14,<6"


class HookedTrainer(Trainer):
    """Trainer with public names for the steps that ours takes otherwise.

    Trainer has no callback that sees the gradient's norm, and its public `save_model` decides which process saves.
    """

    def save_weights(self, folder: Path) -> None:
        """Write the weights of a checkpoint, on the process that saves."""
        raise NotImplementedError

    def gradient_clipped(self, norm: torch.Tensor) -> None:
        """Look at the length of a step's gradient before it was clipped, a scalar on the device."""
        raise NotImplementedError

    def set_scheduler(self, scheduler: torch.optim.lr_scheduler.LambdaLR) -> None:
        """Set the schedule of learning rates as one that `create_scheduler` made: another call of `train` makes a new one."""
        self.lr_scheduler = scheduler
        self._created_lr_scheduler = True

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        self.save_weights(Path(output_dir or self.args.output_dir))

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor:
        norm: torch.Tensor = super()._clip_grad_norm(model)
        self.gradient_clipped(norm)
        return norm


def use_one_gpu(arguments: TrainingArguments) -> None:
    """Keep Trainer from splitting batches over the GPUs that one process sees.

    It splits by the first dimension, which for packed texts is tokens. Several GPUs train as several processes.
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1


def draw_again(model: PreTrainedModel, names: Collection[str]) -> None:
    """Draw some parameters as `from_pretrained` draws those that a checkpoint lacks; the others stay.

    transformers goes through all modules in order and passes over weights that are marked as filled.

    Args:
        model: The model; its parameters are changed in place.
        names: Full names of the parameters to draw.
    """
    for name, weight in model.named_parameters():
        weight._is_hf_initialized = name not in names
    for module in model.modules():
        module._is_hf_initialized = False
    with torch.no_grad():
        model.initialize_weights()

"""Private interfaces of transformers: three hooks and a switch of Trainer, and the marks of weights to initialize."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, Trainer, TrainingArguments

CHECKED = "transformers>=5.14,<6"


class HookedTrainer(Trainer):
    """Trainer with public names for the steps that emotune's trainer overrides.

    Trainer has no callback for the gradient norm, and its public `save_model` decides which process saves.
    """

    def save_weights(self, folder: Path) -> None:
        """Write the weights of a checkpoint, on the process that saves."""
        raise NotImplementedError

    def gradient_clipped(self, norm: torch.Tensor) -> None:
        """Receive the gradient norm of a step before clipping, a scalar on the device."""
        raise NotImplementedError

    def set_scheduler(self, scheduler: torch.optim.lr_scheduler.LambdaLR) -> None:
        """Set the learning-rate schedule as if `create_scheduler` had made it: another `train` makes a new one."""
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

    It would split along the first dimension, which is tokens for packed texts. Several GPUs train as several processes.
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1


def draw_again(model: PreTrainedModel, names: Collection[str]) -> None:
    """Initialize some parameters as `from_pretrained` initializes those that a checkpoint lacks; keep the others.

    transformers visits all modules in order and skips weights that are marked as initialized.

    Args:
        model: The model; its parameters are changed in place.
        names: Full names of the parameters to initialize.
    """
    for name, weight in model.named_parameters():
        weight._is_hf_initialized = name not in names
    for module in model.modules():
        module._is_hf_initialized = False
    with torch.no_grad():
        model.initialize_weights()

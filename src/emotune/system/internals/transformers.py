"""Private interfaces of transformers: hooks and switches of Trainer and its integrations, and the marks of weights to initialize."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, Trainer, TrainingArguments
from transformers.integrations import MLflowCallback, TrackioCallback, WandbCallback

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


def report_nowhere(arguments: TrainingArguments) -> None:
    """Remove all integrations: transformers adds one by itself on Kubeflow, whatever `report_to` says."""
    arguments.report_to = []


class _Begun:
    """Mixin for an integration whose run was begun by emotune, with emotune's settings instead of Trainer's."""

    def setup(self, *_: Any, **__: Any) -> None:
        """Start nothing."""
        self._initialized = True
        self._async_log = False  # MLflow's: an error must be raised where it can be handled


class MLflowCurves(_Begun, MLflowCallback):
    """Integration that logs to the active run of MLflow."""


class WandbCurves(_Begun, WandbCallback):
    """Integration that logs to the active run of wandb."""


class TrackioCurves(_Begun, TrackioCallback):
    """Integration that logs to the active run of trackio."""


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

"""Options of training, with defaults chosen on validation data."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from emotune.system.options import Options

# Default epochs on ENOUGH_ROWS rows or more, and the most for fewer rows.
LEAST_EPOCHS, MOST_EPOCHS = 4, 10
ENOUGH_ROWS = 8_000
MAX_GRAD_NORM = 10.0


class TrainingOptions(Options):
    """Options of one training run; benchmarks/LOG.md says how the defaults were chosen.

    For unbalanced classes there are `class_weights`, `logit_adjustment`, `focal_gamma` and `sampling`. Their effect on
    the loss, with that of label smoothing, is one formula: that of the task's loss. Only one of class weights, logit
    adjustment and balanced sampling may be used, since together they would correct the same imbalance twice.

    Raises:
        ConfigError: A value is out of range, or options contradict each other; the message names all mistakes at once.
    """

    epochs: int | None = Field(
        default=None,
        ge=1,
        description="Largest number of passes over the training split; if not given, 4 for 8,000 rows or more, and up to 10 for fewer.",
    )
    learning_rate: float | None = Field(
        default=None, gt=0, lt=1, description="Peak learning rate of AdamW; the method's own if not given."
    )
    warmup: float = Field(
        default=0.06,
        ge=0,
        lt=1,
        description="Share of all steps over which the learning rate rises; it then falls linearly to zero.",
    )
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's decoupled weight decay.")
    batch_tokens: int = Field(default=1024, ge=8, description="Tokens per training batch, padding included.")
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the target spread evenly over the labels; helps where labels are noisy.",
    )
    class_weights: Literal["none", "balanced", "sqrt"] = Field(
        default="none",
        description="Weights of the classes in the loss: balanced gives each the same total weight, sqrt goes half the way; "
        "helps where rare classes matter and too few of their rows are found.",
    )
    logit_adjustment: float = Field(
        default=0.0,
        ge=0,
        description="Multiple of the logarithm of each class's share of the rows that is added to its logit in training. "
        "It shifts the model towards rare classes: 1 aims at the mean recall, less at a compromise with accuracy.",
    )
    focal_gamma: float = Field(
        default=0.0,
        ge=0,
        description="Focal loss: the factor (1 - p)^gamma reduces the weight of rows that the model is sure of; "
        "helps where many easy rows outweigh a few hard ones.",
    )
    sampling: Literal["plain", "balanced"] = Field(
        default="plain",
        description="Rows of an epoch: plain takes every row once, balanced draws the classes equally often; "
        "helps where classes are so rare that most batches lack them.",
    )
    thresholds: Literal["one", "per-label", "half"] = Field(
        default="one",
        description="With several labels per row, the probability from which on a label is predicted: one for all labels or one "
        "per-label, with the best macro-F1 on validation, or half, 0.5.",
    )
    at_least_one: bool = Field(
        default=False,
        description="With several labels per row, give the likeliest label to a text whose labels all stay below their thresholds; "
        "for data in which every training row has a label.",
    )
    max_grad_norm: float = Field(
        default=MAX_GRAD_NORM,
        gt=0,
        description="Largest norm of the gradient; longer ones are scaled down to it. It is meant for outliers: if it clips "
        "most steps, rows of short texts weigh less than those of long ones.",
    )
    patience: int = Field(
        default=4,
        ge=1,
        description="Epochs without a lower loss on validation, scaled by its best temperature, before training stops.",
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="Arithmetic of training; auto takes bf16 only if the hardware multiplies it."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Device to train on; auto takes the first available one of cuda, mps and cpu."
    )

    @model_validator(mode="after")
    def _balanced_once(self) -> Self:
        taken = [
            text
            for wanted, text in (
                (self.class_weights != "none", f'class_weights is "{self.class_weights}"'),
                (self.logit_adjustment != 0, f"logit_adjustment is {self.logit_adjustment:g}"),
                (self.sampling != "plain", f'sampling is "{self.sampling}"'),
            )
            if wanted
        ]
        if len(taken) > 1:
            raise ValueError(f"{' and '.join(taken)}; expected one of them, since together they correct the same twice")
        return self


def usual_epochs(rows: int) -> int:
    """Return the default number of epochs: 4 for 8,000 rows or more, and more for fewer rows, up to 10.

    Fewer rows give fewer steps per epoch, and too few steps leave the adapters undertrained. The number of epochs is
    proportional to 1 / sqrt(rows), so the number of steps still falls with the number of rows.

    Args:
        rows: Training rows.
    """
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, round(LEAST_EPOCHS * math.sqrt(ENOUGH_ROWS / rows))))

"""How to train: the options of `finetune`, with the defaults that validation data chose."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from emotune.system.options import Options

# Epochs of a training on ENOUGH_ROWS rows or more, and the most that fewer rows get where nobody says how many.
LEAST_EPOCHS, MOST_EPOCHS = 4, 10
ENOUGH_ROWS = 8_000
MAX_GRAD_NORM = 10.0


class TrainingOptions(Options):
    """Options of one training run; benchmarks/LOG.md says how the defaults were chosen.

    For unbalanced classes there are `class_weights`, `logit_adjustment`, `focal_gamma` and `sampling`. What they and label
    smoothing do to the loss together is one formula, that of the task's loss. Of weights, adjusted logits and balanced sampling
    one is taken: together they would correct the same twice.

    Raises:
        ConfigError: A value out of range, or options that contradict each other; names all mistakes at once.
    """

    epochs: int | None = Field(
        default=None,
        ge=1,
        description="Passes over the training split, at most; if not given, 4 from 8,000 rows on and up to 10 for fewer.",
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
        description="Weights of the classes in the loss: balanced lets each weigh the same, sqrt goes half the way; "
        "helps where rare classes matter and too few of their rows are found.",
    )
    logit_adjustment: float = Field(
        default=0.0,
        ge=0,
        description="Leans the model towards rare classes: how many times the logarithm of each class's share of the rows "
        "is added to its logit in training; 1 aims at the mean recall, less at something between that and accuracy.",
    )
    focal_gamma: float = Field(
        default=0.0,
        ge=0,
        description="Focal loss: rows that the model is sure of weigh less, by (1 - p)^gamma; "
        "helps where many easy rows drown a few hard ones.",
    )
    sampling: Literal["plain", "balanced"] = Field(
        default="plain",
        description="plain trains on every row once per epoch, balanced draws the classes equally often; "
        "helps where classes are so rare that most batches lack them.",
    )
    max_grad_norm: float = Field(
        default=MAX_GRAD_NORM,
        gt=0,
        description="Longer gradients are scaled down to this norm. It is meant for outliers: where it cuts most steps, "
        "rows of short texts weigh less than those of long ones.",
    )
    patience: int = Field(
        default=4,
        ge=1,
        description="Epochs without a lower loss on validation, scaled by its best temperature, before training stops.",
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="Arithmetic of training; auto takes bf16 only where the hardware multiplies it."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where to train; auto takes the first of cuda, mps and cpu that is there."
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
    """Return how many epochs to train where nobody says: 4 from 8,000 rows on, and more for fewer rows, up to 10.

    Fewer rows make fewer steps per epoch, and too few steps leave the adapters half trained. The number grows with the
    square root of how many times fewer the rows are, so the number of steps still falls with the number of rows.

    Args:
        rows: Training rows.
    """
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, round(LEAST_EPOCHS * math.sqrt(ENOUGH_ROWS / rows))))

"""How to train: the options of `finetune`, with the defaults that validation data chose."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emotune.system.errors import ConfigError

# Epochs of a training on ENOUGH_ROWS rows or more, and the most that fewer rows get where nobody says how many.
LEAST_EPOCHS, MOST_EPOCHS = 4, 10
ENOUGH_ROWS = 8_000
MAX_GRAD_NORM = 10.0
CLASS_WEIGHTS = ("none", "balanced", "sqrt")
SAMPLING = ("plain", "balanced")


@dataclass(frozen=True)
class TrainingOptions:
    """Options of one training run; benchmarks/LOG.md says how the defaults were chosen.

    For unbalanced classes there are `class_weights`, `logit_adjustment`, `focal_gamma` and `sampling`. What they and label smoothing do to
    the loss together is one formula, that of `emotune.training.losses.summed_loss`. Of weights, adjusted logits and balanced sampling one
    is taken: together they would correct the same twice.

    Attributes:
        epochs: Passes over the training split, at most; None stands for `usual_epochs` of its number of rows.
        learning_rate: Peak rate of AdamW; None stands for the method's own.
        warmup: Share of all steps over which the rate rises; it then falls linearly to zero.
        weight_decay: AdamW's decoupled weight decay.
        batch_tokens: Tokens per batch, padding included.
        label_smoothing: Share of the target spread evenly over the labels. Helps where labels are noisy.
        class_weights: "none"; "balanced", which lets every class weigh the same in all; or "sqrt", half the way. Helps where rare
            classes count as much as frequent ones, as in macro-F1, and too few of their rows are found.
        logit_adjustment: How many times the logarithm of each class's share of the rows is added to its logit in training, so that the
            model itself leans towards rare classes: 1 aims at the mean recall, less at something between that and accuracy. Helps as
            weights do, also where the model fits its training rows so well that weights no longer matter.
        focal_gamma: Rows weigh less, the surer the model is of their label: by (1 - p)^gamma. 0 is plain cross-entropy. Helps where many
            easy rows drown a few hard ones.
        sampling: "plain", every row once per epoch; or "balanced", as many rows, every class equally often. Aims at the same as
            weights; helps where classes are so rare that most batches lack them, and weighted steps would jump.
        max_grad_norm: Longer gradients are scaled down to this norm. It is meant for outliers: where it cuts most steps, rows of
            short texts, whose batches hold more of them, weigh less than those of long ones. A training record says how many it cut.
        patience: Epochs without a lower loss on validation, scaled by its best temperature, before training stops.
        precision: "auto", "bf16" or "fp32".
        device: "auto", "cpu", "cuda" or "mps".
    """

    epochs: int | None = None
    learning_rate: float | None = None
    warmup: float = 0.06
    weight_decay: float = 0.0
    batch_tokens: int = 1024
    label_smoothing: float = 0.0
    class_weights: str = "none"
    logit_adjustment: float = 0.0
    focal_gamma: float = 0.0
    sampling: str = "plain"
    max_grad_norm: float = MAX_GRAD_NORM
    patience: int = 4
    precision: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        mistakes = []
        if self.class_weights not in CLASS_WEIGHTS:
            mistakes.append(f"class_weights is {self.class_weights!r}; expected one of {', '.join(CLASS_WEIGHTS)}")
        if self.sampling not in SAMPLING:
            mistakes.append(f"sampling is {self.sampling!r}; expected one of {', '.join(SAMPLING)}")
        numbers = {"logit_adjustment": self.logit_adjustment, "focal_gamma": self.focal_gamma}
        mistakes += [
            f"{name} is {value}; expected a number of at least 0"
            for name, value in numbers.items()
            if not 0 <= value < math.inf
        ]
        conflict = correct_twice(self.class_weights, self.logit_adjustment, self.sampling)
        if conflict is not None and not mistakes:
            mistakes.append(conflict)
        if mistakes:
            raise ConfigError(f"The training options do not hold: {'; '.join(mistakes)}.")


def usual_epochs(rows: int) -> int:
    """Return how many epochs to train where nobody says: 4 from 8,000 rows on, and more for fewer rows, up to 10.

    Fewer rows make fewer steps per epoch, and too few steps leave the adapters half trained. The number grows with the
    square root of how many times fewer the rows are, so the number of steps still falls with the number of rows.

    Args:
        rows: Training rows.
    """
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, round(LEAST_EPOCHS * math.sqrt(ENOUGH_ROWS / rows))))


def correct_twice(class_weights: str, logit_adjustment: float, sampling: str) -> str | None:
    """What is wrong with several corrections for unbalanced classes at once, in words; None where there is one or none."""
    taken = [
        text
        for wanted, text in (
            (class_weights != "none", f'class_weights is "{class_weights}"'),
            (logit_adjustment != 0, f"logit_adjustment is {logit_adjustment:g}"),
            (sampling != "plain", f'sampling is "{sampling}"'),
        )
        if wanted
    ]
    if len(taken) < 2:
        return None
    return f"{' and '.join(taken)}; expected one of them, since together they correct the same twice"

"""How to train: the options of `finetune`, with the defaults that validation data chose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingOptions:
    """Options of one training run; docs/LOG.md says how the defaults were chosen.

    Attributes:
        epochs: Passes over the training split, at most.
        learning_rate: Peak rate of AdamW; None stands for the method's own.
        warmup: Share of all steps over which the rate rises; it then falls linearly to zero.
        weight_decay: AdamW's decoupled weight decay.
        batch_tokens: Tokens a batch, padding counted.
        label_smoothing: Share of the target spread evenly over the labels.
        max_grad_norm: Gradients are scaled down to this norm.
        patience: Epochs without a better validation macro-F1 before training stops.
        precision: "auto", "bf16" or "fp32".
        device: "auto", "cpu", "cuda" or "mps".
    """

    epochs: int = 4
    learning_rate: float | None = None
    warmup: float = 0.06
    weight_decay: float = 0.0
    batch_tokens: int = 1024
    label_smoothing: float = 0.0
    max_grad_norm: float = 1.0
    patience: int = 2
    precision: str = "auto"
    device: str = "auto"

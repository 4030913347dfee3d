"""What a training run leaves behind for the reader: the epochs, the times, the memory."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict

from emotune.system.errors import ArtifactError, EmotuneError
from emotune.system.options import Options


class Record(Options):
    """A part of `emotune.json`. Entries that this version does not know are left aside."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=True)

    error: ClassVar[type[EmotuneError]] = ArtifactError


class Epoch(Record):
    """Scores after one epoch.

    Attributes:
        number: Counted from 1.
        train_loss: Mean over the rows of the loss that was minimized, with dropout; label smoothing, class weights (their mean
            over the training rows is 1), offsets to the logits and the focal factor included. Comparable between epochs, and
            between runs with the same such options.
        validation: Scores of validation by name, as the task gives them.
        seconds: Wall time of the epoch's training, validation not counted.
        clipped_steps: Share of the epoch's steps whose gradient was longer than `max_grad_norm` and was clipped.
    """

    number: int
    train_loss: float
    validation: dict[str, float]
    seconds: float
    clipped_steps: float = 0.0

    @property
    def validation_loss(self) -> float:
        """Loss on validation, plain whatever was minimized: comparable between all runs."""
        return self.validation["loss"]

    @property
    def validation_scaled_loss(self) -> float:
        """The same once the logits are divided by the temperature that suits them best."""
        return self.validation["scaled_loss"]

    @property
    def validation_accuracy(self) -> float:
        """Accuracy on validation."""
        return self.validation["accuracy"]

    @property
    def validation_macro_f1(self) -> float:
        """Macro-F1 on validation."""
        return self.validation["macro_f1"]


class TrainingRecord(Record):
    """One finished training run.

    Attributes:
        epochs: One entry per epoch that ran. None are known of a folder that 0.1.0 loaded and saved again, which lost its record.
        best_epoch: Number of the epoch whose weights were kept.
        stopped_early: Whether training ended before the epochs asked for.
        trainable_parameters: Parameters that were trained, head included.
        total_parameters: All parameters of the tuned model.
        target_modules: Full names of the modules that got an adapter; none where the method trains something else.
        examples: Training rows.
        seconds: Wall time of training, validation after each epoch included.
        train_examples_per_second: Rows trained per second, validation not counted.
        peak_memory_bytes: Up to the end of training, the highest memory of the GPU that trained, or else the highest resident
            memory of the process.
        device: "cpu", "cuda" or "mps".
        precision: "bf16" or "fp32".
        precision_reason: Why this precision, in words.
        seed: The seed.
        warnings: What looked wrong, a sentence each: a learning rate of another method, one label for every text, too little
            memory.
    """

    epochs: tuple[Epoch, ...]
    best_epoch: int
    stopped_early: bool
    trainable_parameters: int
    total_parameters: int
    target_modules: tuple[str, ...]
    examples: int
    seconds: float
    train_examples_per_second: float
    peak_memory_bytes: int
    device: str
    precision: str
    precision_reason: str
    seed: int
    warnings: tuple[str, ...] = ()

    @property
    def clipped_steps(self) -> float:
        """Share of all steps that were clipped; in them, rows of long texts weigh more than those of short ones."""
        return sum(epoch.clipped_steps for epoch in self.epochs) / len(self.epochs)

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return next(epoch for epoch in self.epochs if epoch.number == self.best_epoch)

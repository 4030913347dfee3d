"""Record of a training run: its epochs, times and memory."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ConfigDict

from emotune.system.errors import ArtifactError, EmotuneError
from emotune.system.options import Options


class Record(Options):
    """A part of `emotune.json`. Entries that this version does not know are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=True)

    error: ClassVar[type[EmotuneError]] = ArtifactError


class Epoch(Record):
    """Scores after one epoch.

    Attributes:
        number: Number of the epoch, from 1.
        train_loss: Mean over the rows of the minimized loss, with dropout, label smoothing, class weights (their mean
            over the training rows is 1), offsets to the logits and the focal factor. Comparable between epochs, and
            between runs with the same of these options.
        validation: Scores of validation by name, from the task; none if the epoch to keep was chosen elsewhere.
        seconds: Wall time of the epoch's training, without validation.
        clipped_steps: Share of the epoch's steps whose gradient was longer than `max_grad_norm` and was clipped.
    """

    number: int
    train_loss: float
    validation: dict[str, float]
    seconds: float
    clipped_steps: float = 0.0

    @property
    def validation_loss(self) -> float:
        """Plain loss on validation, whatever loss was minimized: comparable between all runs."""
        return self.validation["loss"]

    @property
    def validation_scaled_loss(self) -> float:
        """Plain loss on validation after the logits are divided by the best temperature."""
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
        epochs: One entry per epoch that ran; none for a folder that 0.1.0 loaded and saved again, which lost its
            record.
        best_epoch: Number of the epoch whose weights were kept.
        stopped_early: True if training ended before the requested epochs.
        trainable_parameters: Number of trained parameters, head included.
        total_parameters: Number of parameters of the tuned model.
        target_modules: Full names of the modules that got an adapter; none if the method uses no adapters.
        examples: Number of training rows.
        seconds: Wall time of training, including validation after each epoch.
        train_examples_per_second: Rows trained per second, without validation.
        peak_memory_bytes: Up to the end of training, the highest memory of the GPU that trained, or else the highest
            resident memory of the process.
        device: "cpu", "cuda" or "mps".
        precision: "bf16" or "fp32".
        precision_reason: Reason for this precision, in words.
        seed: The seed.
        warnings: Warnings, one sentence each: a learning rate of another method, one label for every text, too little
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
        """Share of all steps that were clipped; in these, rows of long texts weigh more than those of short ones."""
        return sum(epoch.clipped_steps for epoch in self.epochs) / len(self.epochs)

    @property
    def is_validated(self) -> bool:
        """True if every epoch was scored on validation; false if cross-validation chose the epoch to keep."""
        return all(epoch.validation for epoch in self.epochs)

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return next(epoch for epoch in self.epochs if epoch.number == self.best_epoch)

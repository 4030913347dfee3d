"""Emotune's batches, loss, training step and validation in the loop of transformers' Trainer, with its checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader, Dataset
from transformers import TrainerCallback, TrainerControl, TrainingArguments

from emotune.data.dataset import TextDataset
from emotune.inference.forward import run_batches
from emotune.methods.base import Method
from emotune.models.encoding import WINDOWS, Encoded, pooled
from emotune.system.errors import TrainingError
from emotune.system.internals.transformers import HookedTrainer
from emotune.training.batches import TokenBudgetBatches
from emotune.training.callbacks import ProgressBar, require_finite
from emotune.training.choice import NAME, criterion
from emotune.training.options import TrainingOptions

# The loss is checked at each of the first steps and then at intervals, so that a failed run does not cost an epoch.
FIRST_STEPS, STEPS_BETWEEN = 10, 50


class RowNumbers(Dataset[int]):
    """Data set of row numbers; `collate` takes the batch from the encoded split, with its padding."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> int:
        return row


def split_batch(batch: dict[str, Any], parts: int) -> list[dict[str, Any]]:
    """Split a padded or packed batch into at most `parts` parts of neighbouring rows."""
    if parts == 1:
        return [batch]
    rows = torch.arange(len(batch["labels"])).tensor_split(parts)
    cuts = [slice(int(part[0]), int(part[-1]) + 1) for part in rows if len(part)]
    # Sequences are texts, or the windows of texts.
    counts = [len(windows) for windows in batch[WINDOWS]] if WINDOWS in batch else [1] * len(batch["labels"])
    sequences = [0, *np.cumsum(counts).tolist()]
    tokens = [0, *np.cumsum(batch["lengths"]).tolist()] if "lengths" in batch else None

    def part_of(name: str, values: Any, cut: slice) -> Any:
        if name in ("labels", WINDOWS):
            return values[cut]
        start, stop = sequences[cut.start], sequences[cut.stop]
        if name == "lengths" or tokens is None:
            return values[start:stop]
        return values[tokens[start] : tokens[stop]]

    return [{name: part_of(name, values, cut) for name, values in batch.items()} for cut in cuts]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that a processor or a GPU is out of memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error) for words in ("can't allocate memory", "not enough memory", "out of memory"))


class AdapterTrainer(HookedTrainer):
    """Trainer for one encoded training split and one encoded validation split.

    Args:
        method: The fine-tuning method.
        model: The result of the method.
        args: Trainer's arguments.
        data: Training and validation rows, with their labels.
        encoded: The training rows.
        encoded_validation: The validation rows.
        options: Options of training.
        packed: True if the model takes packed batches.
        keep_epoch: Number of the epoch to keep if it was chosen before; then validation rows are not scored.
        clock: Progress bar, which also measures the time per epoch.
        callbacks: Further callbacks.
    """

    def __init__(
        self,
        *,
        method: Method,
        model: torch.nn.Module,
        args: TrainingArguments,
        data: TextDataset,
        encoded: Encoded,
        encoded_validation: Encoded,
        options: TrainingOptions,
        packed: bool,
        keep_epoch: int | None = None,
        clock: ProgressBar,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        self.method = method
        self.task = data.task
        self.encoded = encoded
        self.targets = torch.from_numpy(data.train.label_ids)
        self.validation = data.validation
        self.encoded_validation = encoded_validation
        self.packed = packed
        self.keep_epoch = keep_epoch
        self.batches = TokenBudgetBatches(
            encoded.lengths,
            options.batch_tokens,
            args.seed,
            process=args.process_index,
            processes=args.world_size,
            draw=self.task.draw(options, data.train.label_ids, args.seed),
            epochs=math.ceil(args.num_train_epochs),
        )
        self.summed_loss = self.task.loss(options, data.train.label_ids, data.labels, args.device)
        self.warnings: list[str] = []
        self.clipped_steps = torch.zeros((), dtype=torch.int64, device=args.device)
        self.parts = 1
        self._parts_of_batch = 1
        self.clock = clock
        self.control: TrainerControl
        super().__init__(
            model=model,
            args=args,
            train_dataset=RowNumbers(len(encoded)),
            eval_dataset=RowNumbers(len(encoded_validation)),
            callbacks=[clock, *callbacks],
        )

    def collate(self, rows: list[int]) -> dict[str, Any]:
        """Pack or pad the rows' token ids, and add their labels."""
        cut = self.encoded.packed if self.packed else self.encoded.batch
        return {**cut(rows), "labels": self.targets[rows]}

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of batches of similar lengths within the token budget; only those of this process."""
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=self.batches,
            collate_fn=self.collate,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # As accelerator.prepare would, but without its sharding, which needs batches of one size.
        return prepare_data_loader(
            loader, device=self.args.device, num_processes=1, process_index=0, put_on_device=True, non_blocking=True
        )

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LambdaLR:
        """Create the schedule: a linear rise over the warm-up steps, then a linear fall to zero.

        Unlike in transformers' own schedule, the rate of the first step is not zero: with few steps, one without effect
        matters.
        """
        warmup = self.args.get_warmup_steps(num_training_steps)

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / (warmup + 1)
            return max(0.0, (num_training_steps - step) / max(1, num_training_steps - warmup))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, factor)
        self.set_scheduler(scheduler)
        return scheduler

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Create Trainer's own optimizer, with the method's learning rates by group of parameters, if it has any."""
        groups = self.method.parameter_groups(self.model, self.args.learning_rate)
        if groups is None:
            return super().create_optimizer(model) if model is not None else super().create_optimizer()
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        self.optimizer = kind([{"weight_decay": self.args.weight_decay, **group} for group in groups], **options)
        return self.optimizer

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the task's loss, by default cross-entropy, divided by the mean number of rows per batch.

        Batches hold different numbers of rows. Dividing by their mean number, not by each batch's own, gives every row
        the same weight in the gradient, or the weight of its class, in every step that is not clipped. A clipped step
        reduces the weight of its rows, most in large batches; `clipped_steps` counts such steps. The logged loss is the
        mean over an epoch's batches: the mean over its rows of what is minimized, with class weights, offsets, label
        smoothing and focal factor.
        """
        labels = inputs["labels"]
        outputs = model(**{name: tensor for name, tensor in inputs.items() if name not in ("labels", WINDOWS)})
        total = self.summed_loss(pooled(outputs.logits.float(), inputs.get(WINDOWS)), labels)
        loss = total / self.batches.mean_rows
        penalty = self.method.penalty(self.accelerator.unwrap_model(model)) if model.training else None
        if penalty is not None:
            loss = loss + penalty.to(loss.dtype) / self._parts_of_batch  # once per step, however many parts a batch has
        return (loss, outputs) if return_outputs else loss

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Run forward and backward; halve a batch that does not fit the memory, and those after it.

        The parts' gradients add up to the batch's, since the loss is a sum over rows.

        Raises:
            TrainingError: A single text does not fit the memory, a batch does not fit and several processes train,
                which must do the same work, or the loss is not finite.
        """
        while True:
            batches = split_batch(inputs, self.parts)
            self._parts_of_batch = len(batches)
            try:
                parts = [super(AdapterTrainer, self).training_step(model, part, num_items_in_batch) for part in batches]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                message = str(error).splitlines()[0] if str(error) else type(error).__name__
                if self.args.world_size > 1:  # only this one would halve, and the others would wait for it forever
                    raise TrainingError(
                        f"A batch does not fit the memory of process {self.args.process_index} ({message}). "
                        "Lower training.batch_tokens."
                    ) from None
            else:
                loss = torch.stack(parts).sum()
                step = self.state.global_step
                if step < FIRST_STEPS or step % STEPS_BETWEEN == 0:  # not at each step: reading it makes a GPU wait
                    require_finite("loss", float(loss), step + 1)
                return loss
            # Outside the except block, since the exception holds the memory of the computation.
            if self.parts >= len(inputs["labels"]):
                raise TrainingError(
                    f"A single text of a batch does not fit the memory ({message}). Lower model.max_length, or take a smaller model."
                )
            self.parts *= 2
            model.zero_grad(set_to_none=True)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            tokens = max(1, self.batches.max_tokens // self.parts)
            self.warnings.append(
                f"out of memory ({message}): continuing with {tokens} tokens at a time, in {self.parts} parts per step; "
                "dropout masks are redrawn, so results differ slightly from those with enough memory"
            )
            self.clock.progress.say(self.warnings[-1])

    def gradient_clipped(self, norm: torch.Tensor) -> None:
        """Count the steps whose gradient is clipped; the count stays on the device."""
        self.clipped_steps += (norm > self.args.max_grad_norm).to(self.clipped_steps)

    def save_weights(self, folder: Path) -> None:
        """Save only the trained weights: Trainer's way asks the Hub about the base's embeddings at every checkpoint."""
        self.method.save_checkpoint(self.model, folder)

    def evaluate(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> dict[str, float]:
        """Score the validation split in the precision of training, unless the epoch to keep was chosen before."""
        if self.keep_epoch is not None:
            scores = {NAME: float(abs(self.keep_epoch - round(self.state.epoch or 0)))}
        else:
            scores = self._validate()
            scores[NAME] = criterion(scores)
        result = {
            **{f"{metric_key_prefix}_{name}": value for name, value in scores.items()},
            "train_seconds": self.clock.epoch_seconds[-1],
            "clipped_steps": float(self.clipped_steps) / len(self.batches),
        }
        self.clipped_steps.zero_()
        self.log(dict(result))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, result)
        return result

    def _validate(self) -> dict[str, float]:
        was_training = self.model.training
        self.model.eval()
        try:
            dtype = torch.bfloat16 if self.args.bf16 else None
            logits = run_batches(self.model, self.encoded_validation, packed=self.packed, dtype=dtype)
        finally:
            self.model.train(was_training)
        return self.task.validate(self.validation.label_ids, logits, self.validation.labels)

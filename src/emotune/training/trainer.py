"""Our training step in the loop of transformers' Trainer: our batches, our loss, our validation; checkpoints and resume are Trainer's."""

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
from emotune.models.encoding import Encoded
from emotune.system.errors import TrainingError
from emotune.system.internals.transformers import HookedTrainer
from emotune.training.batches import TokenBudgetBatches
from emotune.training.callbacks import ProgressBar, require_finite
from emotune.training.choice import NAME, criterion
from emotune.training.options import TrainingOptions

# At each of the first steps, and now and then, the loss is looked at; a run that is lost should not cost an epoch.
FIRST_STEPS, STEPS_BETWEEN = 10, 50


class RowNumbers(Dataset[int]):
    """Row numbers: a batch is cut from the encoded split by `collate`, which knows its padding."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> int:
        return row


def split_batch(batch: dict[str, Any], parts: int) -> list[dict[str, Any]]:
    """Cut a padded or packed batch into at most so many parts of neighbouring rows."""
    if parts == 1:
        return [batch]
    rows = torch.arange(len(batch["labels"])).tensor_split(parts)
    cuts = [slice(int(part[0]), int(part[-1]) + 1) for part in rows if len(part)]
    if "lengths" not in batch:
        return [{name: tensor[cut] for name, tensor in batch.items()} for cut in cuts]
    ends = [0, *np.cumsum(batch["lengths"]).tolist()]
    return [
        {
            "input_ids": batch["input_ids"][ends[cut.start] : ends[cut.stop]],
            "lengths": batch["lengths"][cut],
            "labels": batch["labels"][cut],
        }
        for cut in cuts
    ]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that there is no memory left, on a processor or a GPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(error) for words in ("can't allocate memory", "not enough memory", "out of memory"))


class AdapterTrainer(HookedTrainer):
    """Trainer for one encoded training split and one encoded validation split.

    Args:
        method: What is trained.
        model: The model, as the method made it.
        args: Trainer's arguments.
        data: Training and validation rows, with their labels.
        encoded: The training rows.
        encoded_validation: The validation rows.
        options: How to train.
        packed: Whether the model takes packed batches.
        clock: Shows progress, and knows how long the last epoch took.
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
        """Pack or pad the rows' token ids and add their labels."""
        cut = self.encoded.packed if self.packed else self.encoded.batch
        return {**cut(rows), "labels": self.targets[rows]}

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of like lengths within the token budget; those of this process alone, where several train together."""
        loader = DataLoader(
            self.train_dataset,
            batch_sampler=self.batches,
            collate_fn=self.collate,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # As accelerator.prepare would, but without its sharding: that wants batches of one size.
        return prepare_data_loader(
            loader, device=self.args.device, num_processes=1, process_index=0, put_on_device=True, non_blocking=True
        )

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LambdaLR:
        """A linear rise over the warm-up steps, then a linear fall to zero.

        Unlike transformers' own, the first step's rate is not zero: on a handful of steps a step that does nothing counts.
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
        """Trainer's own optimizer, with a rate of its own for each group of parameters where the method asks for that."""
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
        """The task's loss, plain cross-entropy by default for one label per text, divided by the mean number of rows per batch.

        Batches hold unlike numbers of rows. Dividing by their mean number, and not by each batch's own, gives every row the same
        weight in the gradient, or the weight of its class, in every step that is not clipped. A clipped step weighs its rows less,
        those of large batches most; `clipped_steps` counts such steps. The mean over an epoch's batches is what is logged: the mean
        over its rows of what is minimized, class weights, offsets, label smoothing and focal factor included.
        """
        labels = inputs["labels"]
        outputs = model(**{name: tensor for name, tensor in inputs.items() if name != "labels"})
        total = self.summed_loss(outputs.logits.float(), labels)
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
        """Forward and backward; a batch that does not fit the memory is halved, and so are those after it.

        The parts' gradients add up to the batch's: the loss is a sum over rows.

        Raises:
            TrainingError: A single text does not fit, or several processes train, which must do the same work; or the loss is no number.
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
                if self.args.world_size > 1:  # this one alone would halve, and the others wait for it forever
                    raise TrainingError(
                        f"A batch does not fit the memory of process {self.args.process_index} ({message}). "
                        "Lower training.batch_tokens."
                    ) from None
            else:
                loss = torch.stack(parts).sum()
                step = self.state.global_step
                if step < FIRST_STEPS or step % STEPS_BETWEEN == 0:  # not each: the question makes a GPU wait
                    require_finite("loss", float(loss), step + 1)
                return loss
            # Out here, since the exception holds the memory of what was computed.
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
                f"out of memory ({message}): going on with {tokens} tokens at a time, in {self.parts} parts per step; "
                "dropout masks are drawn anew, so results differ slightly from those with enough memory"
            )
            self.clock.progress.say(self.warnings[-1])

    def gradient_clipped(self, norm: torch.Tensor) -> None:
        """Count the steps whose gradient was too long; the count stays on the device."""
        self.clipped_steps += (norm > self.args.max_grad_norm).to(self.clipped_steps)

    def save_weights(self, folder: Path) -> None:
        """Save what is trained alone: Trainer's own way asks the Hub about the base's embeddings at every checkpoint."""
        self.method.save_checkpoint(self.model, folder)

    def evaluate(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> dict[str, float]:
        """Score the validation split in the precision of training."""
        was_training = self.model.training
        self.model.eval()
        try:
            dtype = torch.bfloat16 if self.args.bf16 else None
            logits = run_batches(self.model, self.encoded_validation, packed=self.packed, dtype=dtype)
        finally:
            self.model.train(was_training)
        scores = self.task.validate(self.validation.label_ids, logits, self.validation.labels)
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

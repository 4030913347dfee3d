"""Fine-tune a base model on the training split, and keep the best epoch on validation.

Training works on a copy of the base: frozen matrices in the precision of the products, plain ("eager") attention
without attention dropout, because both have a fast backward pass at the lengths of messages. The result holds the
base's own float32 weights with the trained ones, so its predictions are those of plain PEFT and transformers.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.data.dataset import TextDataset
from emotune.data.kept import KeptRows
from emotune.data.tokens import ANOTHER_MODEL, are_unreadable
from emotune.engine.dropout import MaskPool
from emotune.engine.install import install, use_pooled_dropout
from emotune.folder.record import Epoch, TrainingRecord
from emotune.folder.tuned import TunedClassifier
from emotune.inference.forward import compute_logits
from emotune.methods.base import Method
from emotune.methods.lora import LoRA
from emotune.methods.refusals import check_refusal
from emotune.models.classifier import Classifier
from emotune.models.drawing import with_head_of
from emotune.models.encoding import encode_split, refuse_windows_over_pairs
from emotune.models.families import precision_for
from emotune.models.quantization import element_count
from emotune.system.errors import ConfigError, DataError, OutputError, TrainingError
from emotune.system.internals.transformers import report_nowhere, use_one_gpu
from emotune.system.memory import keep_freed_memory, peak_memory_bytes
from emotune.system.options import checked_seed
from emotune.system.pairs import are_pairs
from emotune.system.precision import Precision, choose_device
from emotune.system.processes import process, processes
from emotune.system.progress import SILENT, Progress
from emotune.training.callbacks import (
    FiniteLoss,
    Patience,
    ProgressBar,
    RenewMasks,
    StopAfter,
    WeightsMoved,
    validation_scores,
)
from emotune.training.choice import NAME, best_epoch
from emotune.training.options import TrainingOptions, usual_epochs
from emotune.training.positions import check_positions
from emotune.training.preflight import preflight
from emotune.training.trainer import AdapterTrainer

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, TrainerCallback, TrainingArguments

# Names of the rate of dropout on attention weights in the configurations of the families.
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop")


def finetune(
    base: Classifier,
    data: TextDataset,
    method: Method | None = None,
    options: TrainingOptions | None = None,
    *,
    seed: int = 0,
    checkpoints: str | Path | None = None,
    resume: bool = False,
    callbacks: Sequence[TrainerCallback] = (),
    keep_epoch: int | None = None,
    progress: Progress = SILENT,
) -> TunedClassifier:
    """Fine-tune a base model; the base itself is left unchanged.

    The kept epoch has the smallest loss on the validation split after its logits are scaled by the best temperature.
    The test split is not used. On one machine, equal arguments give equal weights.

    Several processes, started by torchrun, share the batches of every epoch and get the same result. A step then has as
    many batches of `batch_tokens` as there are processes.

    Args:
        base: The base model, from `load_base`.
        data: The data: `train` for training, `validation` for choosing the epoch.
        method: The fine-tuning method; LoRA on every linear layer if not given.
        options: Options of training.
        seed: Seed of a new head, adapters, order of rows and dropout; 0 to 2**32 - 1.
        checkpoints: Folder for Trainer's checkpoints, one per epoch, so that an interrupted run can resume; the caller
            removes them. A temporary folder if not given.
        resume: Resume from the newest checkpoint in `checkpoints`.
        callbacks: Callbacks for transformers' Trainer, in addition to emotune's own.
        keep_epoch: Keep this epoch, from 1, and train no further, whatever validation says, which may be empty: the
            epoch was chosen elsewhere, such as by cross-validation. The schedule of the learning rate is that of all
            `epochs`, as it was there.
        progress: Front end that shows a bar, and one line per epoch.

    Returns:
        The tuned classifier, with its `training` record.

    Raises:
        DataError: The data's labels are not the base's, or a label id is out of range.
        MethodError: A target module matches nothing, or the method cannot train this model or leaves the head frozen.
        ModelError: The base is not in float32, or its logits depend on padding.
        OutputError: `resume` is given without a checkpoint, or there are several processes without a folder.
        TrainingError: Weights do not change, or a loss is not finite.
    """
    method = method or LoRA()
    options = options or TrainingOptions()
    checked_seed(seed)
    if base.is_tuned:
        raise TrainingError(
            f"'{base.name}' is fine-tuned already. Load the base model afresh with load_base, and fine-tune that."
        )
    if hasattr(base.model, "peft_config"):
        raise TrainingError(
            f"'{base.name}' is an adapter on its base model. Merge the two with merge_and_unload of PEFT, save the result with its "
            "tokenizer, and load that folder with load_base."
        )
    if not isinstance(data, TextDataset):
        raise DataError(
            f"finetune takes a whole data set, of which validation chooses the epoch; it was given {type(data).__name__}. "
            "Give what load_data returned, not data.train."
        )
    if data.labels != base.labels:
        raise DataError(
            f"The base model was loaded for the labels {', '.join(base.labels)}; the data has {', '.join(data.labels)}. "
            "Load it with labels=data.labels."
        )
    if data.task.name != base.task.name:
        raise DataError(
            f"The base model was loaded for {base.task.name}; the data is {data.task.name}. Load it with task=data.task."
        )
    if keep_epoch is None and not len(data.validation):
        raise DataError(
            "The data has no validation rows, on which the epoch to keep is chosen. Data that was loaded with folds is for "
            "cross_validate; else give a validation split."
        )
    if keep_epoch is not None and not 1 <= keep_epoch <= (options.epochs or keep_epoch):
        raise ConfigError(f"keep_epoch is {keep_epoch}; expected an epoch from 1 to {options.epochs}.")
    data.task.check_options(options, data.train.label_ids)
    refuse_windows_over_pairs(data.train.texts, base.windows)
    check_positions(base, method)
    if processes() > 1 and checkpoints is None:
        raise OutputError(
            f"{processes()} processes train together. Give finetune a checkpoints folder that all of them can read."
        )
    check_refusal(method, base.model)
    if resume and checkpoints is None:
        raise OutputError("resume needs the checkpoints folder of the interrupted run.")
    with _folder(checkpoints) as folder:
        return _train(_Job(base, data, method, options, seed, folder, resume, keep_epoch), callbacks, progress)


@contextmanager
def _folder(given: str | Path | None) -> Iterator[Path]:
    """Yield the folder for checkpoints, a temporary one if none is given."""
    if given is not None:
        yield Path(given)
        return
    with tempfile.TemporaryDirectory(prefix="emotune-") as folder:
        yield Path(folder)


@dataclass(frozen=True, eq=False)
class _Job:
    """Checked arguments of `finetune`."""

    base: Classifier
    data: TextDataset
    method: Method
    options: TrainingOptions
    seed: int
    checkpoints: Path
    resume: bool
    keep_epoch: int | None = None

    @property
    def device(self) -> str:
        return choose_device(self.options.device)

    @property
    def precision(self) -> Precision:
        return precision_for(self.base.model, self.options.precision, self.device)

    @property
    def checkpoint(self) -> str | None:
        """The checkpoint to resume from; None for a new run.

        Raises:
            OutputError: The run is to be resumed, and there is no checkpoint.
        """
        from transformers.trainer_utils import get_last_checkpoint

        if not self.resume:
            return None
        found: str | None = get_last_checkpoint(str(self.checkpoints)) if self.checkpoints.is_dir() else None
        if found is None:
            raise OutputError(
                f"There is no checkpoint to resume from in {self.checkpoints}. Start the run without resume."
            )
        return found


def _train(job: _Job, callbacks: Sequence[TrainerCallback], progress: Progress) -> TunedClassifier:
    import torch
    from transformers import set_seed

    started = time.perf_counter()
    if process() > 0:
        progress = SILENT
    device, precision, checkpoint = job.device, job.precision, job.checkpoint
    base, data, method = with_head_of(job.base, job.seed), job.data, job.method
    copied = _copy_for_training(base.model, device)
    # After the copy, which draws random numbers, and before the adapters, which must depend only on the seed.
    set_seed(job.seed)
    model = method.apply(copied, base.name)
    targets = method.adapted_modules(base.model)
    warnings = preflight(base, data, method, job.options, model)
    for warning in warnings:
        progress.say(warning)
    _store_frozen_in(model, precision)
    pools: dict[float, MaskPool] = {}
    use_pooled_dropout(model, pools)
    reason = install(model, precision.products or torch.float32, pools=pools, share=True)
    progress.say(
        "fast path: texts packed without padding, forward and backward written out"
        if reason is None
        else f"plain path, padded batches and PEFT's own layers: the fast one does not cover this model, since {reason}"
    )
    options = job.options
    if options.epochs is None:
        epochs = usual_epochs(len(data.train))
        progress.say(f"at most {epochs} epochs, as {len(data.train):,} training rows usually need (training.epochs)")
        options = options.changed(epochs=epochs)
        job = replace(job, options=options)
    keep_freed_memory()
    stop = Patience(options.patience) if job.keep_epoch is None else StopAfter(job.keep_epoch)
    own = [RenewMasks(pools), WeightsMoved(method.must_move(model)), FiniteLoss(), stop]
    trainer = AdapterTrainer(
        method=method,
        model=model,
        args=_arguments(job),
        data=data,
        encoded=encode_split(base.tokenizer, data.train, base.max_length, base.windows),
        encoded_validation=encode_split(base.tokenizer, data.validation, base.max_length, base.windows),
        options=options,
        packed=reason is None,
        keep_epoch=job.keep_epoch,
        clock=ProgressBar(progress),
        callbacks=[*own, *callbacks],
    )
    _run(trainer, checkpoint, options.patience, progress)
    for warning in _one_class(trainer, base):
        progress.say(warning)
        trainer.warnings.append(warning)
    warnings += trainer.warnings
    record = _record(trainer, job, targets, time.perf_counter() - started, warnings)
    tuned = _on_base(base, method, model)
    task = base.task
    if task.several and job.keep_epoch is None:
        encoded = trainer.encoded_validation
        del trainer, model, copied
        logits = compute_logits(tuned, encoded, progress=progress, description="choosing thresholds")
        task = task.decided_on(options, data.validation.label_ids, logits)
    else:
        del trainer, model, copied
    kept = KeptRows.of(data)
    return TunedClassifier(
        name=base.name,
        source=base.source,
        revision=base.revision,
        model=tuned,
        tokenizer=base.tokenizer,
        labels=base.labels,
        max_length=base.max_length,
        pairs=are_pairs(data.train.texts),
        windows=base.windows,
        task=task,
        method=method,
        training=record,
        checkpoint_head=base.checkpoint_head,
        made_from=base.made_from,
        kept=lambda: kept,
    )


def _copy_for_training(model: PreTrainedModel, device: str) -> PreTrainedModel:
    """Return a copy with plain attention and no attention dropout; hidden dropout stays, as it improves accuracy.

    The copy is on the device of training from the start, because the fast path keeps weights of its own.
    """
    config = copy.deepcopy(model.config)
    for name in ATTENTION_DROPOUT:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    twin = type(model)(config)
    twin.set_attn_implementation("eager")
    twin.load_state_dict(model.state_dict())
    return twin.to(device)


def _store_frozen_in(model: nn.Module, precision: Precision) -> None:
    """Convert frozen matrices to the dtype of their products: half the memory, and no cast at every use."""
    if precision.products is None:
        return
    for parameter in model.parameters():
        # Four-bit weights are packed into integers.
        if not parameter.requires_grad and parameter.ndim >= 2 and parameter.is_floating_point():
            parameter.data = parameter.data.to(precision.products)


def _arguments(job: _Job) -> TrainingArguments:
    """Return the arguments for transformers' Trainer."""
    from transformers import TrainingArguments

    options, device = job.options, job.device
    arguments = TrainingArguments(
        output_dir=str(job.checkpoints),
        num_train_epochs=options.epochs,
        learning_rate=job.method.usual_learning_rate if options.learning_rate is None else options.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=options.warmup,
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_grad_norm,
        bf16=job.precision.name == "bf16",
        use_cpu=device == "cpu",
        seed=job.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        logging_nan_inf_filter=False,  # it would silently leave such steps out of the epoch's loss
        # With 1, Trainer drops the last checkpoint at the end, and resuming repeats the epochs after the best.
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=NAME,
        greater_is_better=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=device == "cuda",
        remove_unused_columns=False,
    )
    use_one_gpu(arguments)
    report_nowhere(arguments)
    return arguments


def _run(trainer: AdapterTrainer, checkpoint: str | None, patience: int, progress: Progress) -> None:
    from transformers import PrinterCallback, TrainerState

    trainer.remove_callback(PrinterCallback)
    if checkpoint is not None:
        state = TrainerState.load_from_json(str(Path(checkpoint) / "trainer_state.json"))
        if trainer.keep_epoch is None and Patience(patience).is_exhausted(
            state
        ):  # training had ended; only the best weights remain to be loaded
            trainer.args.num_train_epochs = round(state.epoch or 0)
    steps = len(trainer.batches) * int(trainer.args.num_train_epochs)
    for callback in trainer.method.begin(trainer.model, steps):
        trainer.add_callback(callback)
    if checkpoint is not None:
        trainer.method.restore_checkpoint(trainer.model, Path(checkpoint))
    with progress.bar("training", steps) as advance:
        trainer.clock.advance = advance
        trainer.train(resume_from_checkpoint=checkpoint)


def _one_class(trainer: AdapterTrainer, base: Classifier) -> list[str]:
    """Return a warning if the kept epoch gives every validation text the same label: nothing was learned."""
    if trainer.keep_epoch is not None:
        return []
    scores = validation_scores(trainer.state.log_history)
    if not scores[best_epoch(scores)].get("one_class"):
        return []
    found = "the kept epoch gives every validation text the same label: nothing useful was learned"
    if are_unreadable(base.tokenizer, trainer.encoded_validation.ids, pairs=are_pairs(trainer.validation.texts)):
        return [f"{found}, since the tokenizer of {base.name} leaves too much of the texts unread: {ANOTHER_MODEL}"]
    return [f"{found}. Train more epochs, try another training.learning_rate, or look at the labels with emotune audit"]


def _epochs(history: list[dict[str, Any]]) -> tuple[Epoch, ...]:
    """Return the epochs in Trainer's log, which a resumed run keeps: a training and a validation entry per epoch."""
    losses = {round(entry["epoch"]): entry["loss"] for entry in history if "loss" in entry}
    validated = [entry for entry in history if f"eval_{NAME}" in entry]
    return tuple(
        Epoch(
            number=round(entry["epoch"]),
            train_loss=losses[round(entry["epoch"])],
            validation={name: float(value) for name, value in scores.items() if name != NAME},
            seconds=entry["train_seconds"],
            clipped_steps=entry.get("clipped_steps", 0.0),
        )
        for entry, scores in zip(validated, validation_scores(history), strict=True)
    )


def _record(
    trainer: AdapterTrainer, job: _Job, targets: tuple[str, ...], seconds: float, warnings: Sequence[str]
) -> TrainingRecord:
    epochs = _epochs(trainer.state.log_history)
    best = epochs[-1] if job.keep_epoch else epochs[best_epoch([epoch.validation for epoch in epochs])]
    rows, model = len(trainer.encoded), trainer.model
    return TrainingRecord(
        epochs=epochs,
        best_epoch=best.number,
        stopped_early=job.keep_epoch is None and len(epochs) < (job.options.epochs or 0),
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        # PEFT keeps the untrained head in addition to the trained one.
        total_parameters=sum(
            element_count(p) for name, p in model.named_parameters() if ".original_module." not in name
        ),
        target_modules=targets,
        examples=rows,
        seconds=seconds,
        train_examples_per_second=rows * len(epochs) / sum(epoch.seconds for epoch in epochs),
        peak_memory_bytes=peak_memory_bytes(job.device),
        device=job.device,
        precision=job.precision.name,
        precision_reason=job.precision.reason,
        seed=job.seed,
        warnings=tuple(warnings),
    )


def _on_base(base: Classifier, method: Method, trained: nn.Module) -> Any:
    """Return the base's float32 weights with the trained ones, saved and loaded: they equal those of a saved folder."""
    with tempfile.TemporaryDirectory(prefix="emotune-") as folder:
        method.save(trained, Path(folder))
        model = method.load(Path(folder), lambda: copy.deepcopy(base.model).cpu())
    return model.to(next(base.model.parameters()).device).eval()

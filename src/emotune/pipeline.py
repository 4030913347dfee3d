"""The main job, step by step: data, base model, before, fine-tune, after, compare, save, verify.

`emotune run` calls `run`, which also shows, times and records the steps.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune import several_labels
from emotune.cross_validation import score_folds, train_on_all
from emotune.data.auditing.audit import Audit, audit_data
from emotune.data.dataset import TextDataset
from emotune.data.labels import OtherLabelsError
from emotune.data.left_out import check_left_out, write_left_out
from emotune.data.load import load_data
from emotune.data.tokens import TokenCounts, count_tokens
from emotune.evaluation.baselines import bag_of_words, frozen_features, majority_class
from emotune.evaluation.compare import compare
from emotune.evaluation.evaluate import OWN_HEAD, UNTRAINED_HEAD, evaluate
from emotune.evaluation.first_stage import seen_in_first_stage
from emotune.evaluation.leaks import Leaked, find_leaks
from emotune.evaluation.previous import Previous
from emotune.evaluation.scores import Evaluation, absent_classes
from emotune.evaluation.seeds import over_seeds
from emotune.evaluation.several import SeveralComparison
from emotune.evaluation.words.margin import margin_lines
from emotune.evaluation.words.several import verdict as several_verdict
from emotune.evaluation.words.verdict import seeds_line, sentences
from emotune.folder.base import load_base
from emotune.folder.files import REPORT
from emotune.folder.tuned import TunedClassifier
from emotune.folder.verification import Verification
from emotune.folder.verify import verify
from emotune.handover import Findings, trust_in, write_folder
from emotune.methods.base import Method
from emotune.methods.full import FullFineTuning
from emotune.methods.refusals import check_refusal
from emotune.models.check import check_base
from emotune.models.classifier import Classifier
from emotune.models.drawing import with_head_of
from emotune.models.encoding import refuse_windows_over_pairs
from emotune.models.families import precision_for
from emotune.report import tables
from emotune.report.audit_tables import audit_lines, limit_line, tokens_line, unknown_lines
from emotune.report.probabilities import probabilities_sentence
from emotune.settings.run import RunConfig
from emotune.several_labels import SeveralFindings
from emotune.system.errors import ConfigError
from emotune.system.output import check_output
from emotune.system.precision import Precision, choose_device
from emotune.system.processes import processes
from emotune.system.progress import SILENT, Progress
from emotune.tracking.results import results_of
from emotune.tracking.tracker import Group
from emotune.tracking.tracking import Tracking, tracked
from emotune.training.checkpoints import Checkpoints
from emotune.training.options import TrainingOptions
from emotune.training.positions import leave_room

if TYPE_CHECKING:
    from transformers import TrainerCallback

STEPS, STEPS_OF_FOLDS = 8, 7
# Test rows that the fresh process of the last step predicts again; emotune verify takes all of them.
VERIFIED_ROWS = 500
# Name of the main job in the group of a sweep.
BEST = "best"


@dataclass(frozen=True, eq=False)
class RunResult:
    """Result of the main job.

    Attributes:
        folder: The saved folder.
        classifier: The tuned classifier.
        comparison: Before, after and the baselines, on the test split; a `SeveralComparison` for rows with several labels.
        verification: Result of checking the saved folder.
        seconds: Wall time of the whole job.
        leaks: The comparison without the test rows that repeat a training row; None where there are none.
    """

    folder: Path
    classifier: TunedClassifier
    comparison: Any
    verification: Verification
    seconds: float
    leaks: Leaked[Any] | None = None

    @property
    def verdict(self) -> str:
        """Verdict of the comparison in words, also without test rows seen in training, and the results on the margin.

        Each statement is one line, the most important first.
        """
        if isinstance(self.comparison, SeveralComparison):
            return "\n".join(several_verdict(self.comparison, leaks=self.leaks))
        return "\n".join([*sentences(self.comparison, leaks=self.leaks), *margin_lines(self.comparison)])

    @property
    def report(self) -> Path:
        """Path of the report in the folder."""
        return (self.folder / REPORT).resolve()

    @property
    def local_base(self) -> str | None:
        """Folder of the base model if it is local, since the saved folder holds no paths of this machine; else None."""
        return None if self.classifier.portable_source else self.classifier.source


def steps(config: RunConfig) -> int:
    """Return the number of steps that a run shows."""
    return STEPS if config.data.folds is None else STEPS_OF_FOLDS


def run(
    config: RunConfig, progress: Progress = SILENT, *, previous: Previous | None = None, group: Group | None = None
) -> RunResult:
    """Run the main job.

    Args:
        config: The configuration; `RunConfig()` is the emotion dataset and BERT, from the Hub.
        progress: Shows the steps.
        previous: A saved folder, whose model is scored on the same test rows and compared with the new one.
        group: The group of a sweep that the run is tracked in; None outside sweeps.

    Raises:
        EmotuneError: One of its subclasses; the output folder is then unchanged.
    """
    if processes() > 1:
        raise ConfigError(
            f"{processes()} processes were started, and emotune run is for one. Start a single emotune run; "
            "for several GPUs call emotune.finetune from your own script under torchrun."
        )
    if config.data.folds is not None:
        check_folds(config, previous)
    folder = Path(config.output.folder)
    checkpoints = checkpoints_of(config)
    read = (config.model.name, config.data.source, config.data.validation, config.data.test)
    inputs = [Path(name).expanduser() for name in read if name is not None and Path(name).expanduser().exists()]
    if previous is not None:
        inputs.append(previous.folder)
    check_output(folder, config.output.overwrite, inputs)
    if config.data.on_error == "skip":
        check_left_out(folder, config.output.overwrite)
    checkpoints.check()
    device = choose_device(config.training.device)
    with tracked(config, progress, name=BEST if group else None, group=group) as tracking:
        return _run(config, checkpoints, device, tracking, previous, progress)


def _run(
    config: RunConfig,
    checkpoints: Checkpoints,
    device: str,
    tracking: Tracking,
    previous: Previous | None,
    progress: Progress,
) -> RunResult:
    """Run the steps of the main job, whose configuration has been checked."""
    folder, method, options = Path(config.output.folder), config.method, config.training
    watch = Stopwatch(progress)

    with watch.step("Data"):
        data = load_for(config, previous)
        progress.show(tables.data_table(data))
        audit = audit_data(data)
        for line in (*data.notes, *audit_lines(audit)):
            progress.say(line)

    with watch.step("Base model"):
        base = load_base(labels=data.labels, task=data.task, texts=data.train.texts, **config.model.model_dump())
        if config.model.max_length is None:
            base = leave_room(base, method)
        base = with_head_of(base, config.training.seed)
        precision = precision_for(base.model, options.precision, device)
        base.model.to(device)
        tokens = count_tokens(
            base.tokenizer,
            {split.name: split.texts for split in data.splits if len(split)},
            model=base.name,
            max_length=base.max_length,
        )
        tokens = replace(tokens, windows=base.windows)
        audit = replace(audit, tokens=tokens)
        say_base(base, tokens, progress)
        if config.model.max_length is None:
            progress.say(limit_line(base.max_length, tokens, method.title if method.extra_tokens() else ""))
        check_refusal(method, base.model)
        progress.say(f"{method.title} will train {method.trains(base.model)}")

    job = Job(config, checkpoints, device, data, audit, base, precision, tracking, previous, watch, progress)
    found: Findings | SeveralFindings
    found = on_several_labels(job) if data.task.several else over_folds(job) if data.folds else on_test(job)
    tuned, comparison = found.tuned, found.comparison

    with watch.step("Save"):
        seconds = {**watch.seconds, "total": watch.total}
        if isinstance(found, Findings):
            write_folder(folder, config, found, seconds, progress)
        else:
            several_labels.write_folder(folder, config, found, seconds)
        checkpoints.remove()
        progress.say(f"saved to {folder}, with {REPORT}")
        if config.data.on_error == "skip" or config.output.overwrite:
            skipped = write_left_out(folder, data.left_out)
            if skipped is not None:
                progress.say(f"the rows that were skipped are listed in {skipped}")

    with watch.step("Verify"):
        verification = verify(folder, base=None if tuned.portable_source else tuned.source, most_rows=VERIFIED_ROWS)
        sampled = verification.test_rows > VERIFIED_ROWS
        of_them = f", among them {VERIFIED_ROWS} of {verification.test_rows:,} test rows" if sampled else ""
        progress.say(
            f"a fresh process gives the same labels on {verification.rows} texts{of_them}; the largest difference is "
            f"{verification.largest_difference:.1e} (at most {verification.tolerance:.0e} passes)"
        )
        if config.tracking.to and isinstance(found, Findings):
            tracking.finish(results_of(found, config, folder))

    return RunResult(folder, tuned, comparison, verification, watch.total, found.leaks)


@dataclass(frozen=True, eq=False)
class Job:
    """Everything that training and scoring need, once data and base model are loaded."""

    config: RunConfig
    checkpoints: Checkpoints
    device: str
    data: TextDataset
    audit: Audit
    base: Classifier
    precision: Precision
    tracking: Tracking
    previous: Previous | None
    watch: Stopwatch
    progress: Progress


def on_test(job: Job) -> Findings:
    """Score before and after training on the test split."""
    config, data, base, previous = job.config, job.data, job.base, job.previous
    method, options, watch, progress = config.method, config.training, job.watch, job.progress
    precision, tracking = job.precision, job.tracking

    with watch.step("Before"):
        before = evaluate(base, data.test, progress=progress)
        seen = seen_in_first_stage(base, data.test)
        if seen:
            progress.say(seen)
            before = replace(before, note=f"{UNTRAINED_HEAD} {seen}" if base.has_new_head else f"{OWN_HEAD} {seen}")
        baselines: tuple[Evaluation, ...] = (
            majority_class(data.train, data.test, data.validation),
            bag_of_words(data),
            frozen_features(base, data, dtype=precision.products, progress=progress),
        )
        for evaluation in (before, *baselines):
            progress.say(f"{evaluation.name}: {tables.scores_line(evaluation)}")
        if previous is not None:
            baselines += (before,)
            before = previous.score(data.test, base=config.model.name, device=job.device, progress=progress)
            progress.say(f"{before.name}: {tables.scores_line(before)}")
        absent = absent_classes(before.metrics)
        if absent:
            progress.say(absent)

    with watch.step(f"Fine-tune with {method.title}"):
        progress.say(f"{precision.name} on {job.device}: {precision.reason}")
        with job.checkpoints.claimed(data) as kept:
            tuned, others = train_seeds(base, data, method, options, config, kept, tracking, progress)
            if config.baselines.full:
                baselines += (full_baseline(base, data, options, config, kept, tracking, progress),)
        training = tuned.training
        progress.say(
            f"kept epoch {training.best_epoch} of {len(training.epochs)}, whose validation loss is least at its best temperature; "
            f"{training.train_examples_per_second:.0f} examples/s"
        )

    with watch.step("After"):
        after = evaluate(tuned, data.test, progress=progress)
        progress.say(tables.scores_line(after))
        seeds = over_seeds([after, *others]) if others else {}
        for name, summary in seeds.items():
            progress.say(f"{name} {seeds_line(summary)}")
        on_validation = evaluate(tuned, data.validation, progress=progress)
        if on_validation.logits is None:
            raise RuntimeError("evaluate gave no logits")
        tuned = replace(tuned, temperature=data.task.fit_temperature(data.validation.label_ids, on_validation.logits))
        progress.say(probabilities_sentence(trust_in(after, tuned.temperature)))

    with watch.step("Compare"):
        comparison = compare(before, after, *baselines, margin=config.baselines.margin)
        comparison = replace(comparison, seeds=(after, *others) if others else ())
        if previous is not None:
            comparison = replace(comparison, seen=previous.seen(data.test))
        leaks = find_leaks(comparison, job.audit)
        progress.show(tables.comparison_table(comparison, leaks=leaks))
        progress.show(tables.cost_table(training))
        entry = None if previous is None or comparison.seen is None else previous.figures(comparison.seen)
    return Findings(data, job.audit, comparison, tuned, seeds, leaks, entry)


def on_several_labels(job: Job) -> SeveralFindings:
    """Score before and after training on the test split, where rows have several labels."""
    config, data, base, watch, progress = job.config, job.data, job.base, job.watch, job.progress
    method, seed = config.method, config.training.seed

    with watch.step("Before"):
        comparison = several_labels.score_before(base, data, job.precision, progress)

    with watch.step(f"Fine-tune with {method.title}"):
        progress.say(f"{job.precision.name} on {job.device}: {job.precision.reason}")
        with job.checkpoints.claimed(data) as kept:
            place = kept / f"seed-{seed}"
            tuned = train(base, data, method, config.training, seed, place, config.training.resume, progress, ())
        progress.say(
            f"kept epoch {tuned.training.best_epoch} of {len(tuned.training.epochs)}, "
            "whose validation loss is least at its best temperature"
        )

    with watch.step("After"):
        found = several_labels.score_after(comparison, tuned, data, job.audit, progress)

    with watch.step("Compare"):
        several_labels.show(found, progress)
    return found


def over_folds(job: Job) -> Findings:
    """Score every row by models that have not seen it, and train the final model on all rows."""
    config, data, base, method, progress = job.config, job.data, job.base, job.config.method, job.progress
    seed = config.training.seed

    with job.checkpoints.claimed(data) as kept:
        with job.watch.step(f"Cross-validate {method.title}"):
            progress.say(f"{job.precision.name} on {job.device}: {job.precision.reason}")
            scored = score_folds(
                base,
                data,
                method,
                config.training,
                seed=seed,
                full=config.baselines.full,
                dtype=job.precision.products,
                curves=job.tracking.training,
                checkpoints=kept,
                progress=progress,
            )

        with job.watch.step("Train on all rows"):
            with job.tracking.training("all-rows") as curves:
                tuned = train_on_all(base, data, method, scored, seed=seed, callbacks=curves, progress=progress)
            progress.say(f"kept epoch {scored.study.kept_epoch}, the median of the epochs that the folds kept")

    with job.watch.step("Compare"):
        progress.show(tables.comparison_table(scored.comparison))
        progress.show(tables.cost_table(tuned.training))
        progress.say(probabilities_sentence(trust_in(scored.comparison.after, tuned.temperature)))
    return Findings(data, job.audit, scored.comparison, tuned, {})


def check_folds(config: RunConfig, previous: Previous | None) -> None:
    """Refuse settings that cross-validation cannot follow.

    Raises:
        ConfigError: Names them all.
    """
    training = config.training
    reasons = (
        (
            training.seeds > 1,
            f"training.seeds is {training.seeds}; every repeat has a seed of its own (--fold-repeats)",
        ),
        (
            config.baselines.margin is not None,
            f"baselines.margin is {config.baselines.margin}; margins are tested on a test split only",
        ),
        (previous is not None, "--from-folder compares two models on a test split, and folds have none"),
    )
    mistakes = [text for wrong, text in reasons if wrong]
    if mistakes:
        raise ConfigError(
            f"With data.folds = {config.data.folds}: {'; '.join(mistakes)}. Leave them out, or unset the folds with --folds none."
        )


def load_for(config: RunConfig, previous: Previous | None) -> TextDataset:
    """Load the data of a run, with the labels of the earlier model if it is compared with one.

    Raises:
        DataError: The data cannot be used; its labels are not those of the earlier model; or its rows are pairs, and
            windows were asked for.
    """
    try:
        data = load_data(**config.data_arguments())
    except OtherLabelsError as error:
        if previous is not None:
            previous.check_labels(error.found)
        raise
    if previous is not None:
        previous.check_labels(data.labels)
    refuse_windows_over_pairs(data.train.texts, config.model.long_texts == "windows")
    if data.task.several:
        several_labels.check_settings(config, data, from_folder=previous is not None)
    data.task.check_options(config.training, data.train.label_ids)
    if data.task.several:
        # So that the baselines follow the rule of the tuned model.
        return data.with_task(data.task.answering(at_least_one=config.training.at_least_one))
    return data


def checkpoints_of(config: RunConfig) -> Checkpoints:
    """Return the checkpoints of a run, which are beside its output folder."""
    return Checkpoints(
        Path(config.output.folder), config.identity, overwrite=config.output.overwrite, resume=config.training.resume
    )


def train_seeds(
    base: Classifier,
    data: TextDataset,
    method: Method,
    options: TrainingOptions,
    config: RunConfig,
    checkpoints: Path,
    tracking: Tracking,
    progress: Progress,
) -> tuple[TunedClassifier, list[Evaluation]]:
    """Train all seeds of the configuration.

    Args:
        base: The base model with the head of the first seed.
        data: The data, the same for all seeds.
        method: The fine-tuning method.
        options: Options of the training.
        config: The configuration.
        checkpoints: Folder for checkpoints, with one folder per seed.
        tracking: Trackers of the curves.
        progress: Shows what happens.

    Returns:
        The classifier that is best on validation, and the test scores of the others, whose models are not kept.
    """
    best: TunedClassifier | None = None
    scored: dict[int, Evaluation] = {}
    several = config.training.seeds > 1
    names = several or config.baselines.full  # one training needs no name beside that of the run
    for seed in range(config.training.seed, config.training.seed + config.training.seeds):
        if several:
            progress.say(f"seed {seed}")
        place, resume = checkpoints / f"seed-{seed}", config.training.resume
        with tracking.training(f"seed-{seed}" if names else None) as curves:
            tuned = train(base, data, method, options, seed, place, resume, progress, curves)
        if several:
            scored[seed] = evaluate(tuned, data.test, name=f"tuned, seed {seed}", progress=progress)
        if best is None or _on_validation(tuned) > _on_validation(best):
            best = tuned
    if best is None:
        raise RuntimeError("no seed was trained")
    if several:
        progress.say(f"seed {best.training.seed} is best on validation and is saved")
    return best, [evaluation for seed, evaluation in scored.items() if seed != best.training.seed]


def full_baseline(
    base: Classifier,
    data: TextDataset,
    options: TrainingOptions,
    config: RunConfig,
    checkpoints: Path,
    tracking: Tracking,
    progress: Progress,
) -> Evaluation:
    """Train every weight, and score the result on the test split.

    Args:
        base: The base model with the head of the first seed.
        data: The data.
        options: Options of the training; the learning rate is full fine-tuning's own.
        config: The configuration.
        checkpoints: Folder for checkpoints.
        tracking: Trackers of the curves.
        progress: Shows what happens.
    """
    method = FullFineTuning()
    progress.say(f"baseline: {method.title}")
    options = options.changed(learning_rate=None)
    place, resume = checkpoints / method.name, config.training.resume
    with tracking.training(f"{method.name}-baseline") as curves:
        tuned = train(base, data, method, options, config.training.seed, place, resume, progress, curves)
    found = evaluate(tuned, data.test, name=method.title, progress=progress)
    note = f"Every weight trained, seed {config.training.seed}, learning rate {method.usual_learning_rate:g}."
    validated = tuned.training.best.validation_macro_f1
    return replace(found, seconds=tuned.training.seconds, note=note, validation_macro_f1=validated)


def train(
    base: Classifier,
    data: TextDataset,
    method: Method,
    options: TrainingOptions,
    seed: int,
    checkpoints: Path,
    resume: bool,
    progress: Progress,
    callbacks: Sequence[TrainerCallback],
) -> TunedClassifier:
    """Fine-tune, from the newest checkpoint in the folder if there is one and the run is resumed."""
    from emotune.training.finetune import finetune  # imports torch and transformers

    resume = resume and any(checkpoints.glob("checkpoint-*"))
    return finetune(
        base,
        data,
        method,
        options,
        seed=seed,
        checkpoints=checkpoints,
        resume=resume,
        callbacks=callbacks,
        progress=progress,
    )


def _on_validation(tuned: TunedClassifier) -> float:
    """Return the macro-F1 on validation of the kept epoch."""
    return tuned.training.best.validation_macro_f1


def say_base(base: Classifier, tokens: TokenCounts, progress: Progress) -> None:
    """Report the base model, its head, notes of its check, the number of texts that are cut, and unknown tokens."""
    parameters = sum(parameter.numel() for parameter in base.model.parameters())
    progress.say(f"{base.name}: {type(base.model).__name__}, {parameters:,} parameters")
    if base.made_from:
        progress.say(f"{base.name} is a folder that emotune saved: {base.made_from}")
    if base.checkpoint_head is not None:
        progress.say(str(base.checkpoint_head))
    for note in check_base(base):
        progress.say(note)
    for line in (tokens_line(tokens), *unknown_lines(tokens)):
        progress.say(line)


class Stopwatch:
    """Timer of the steps that the front end shows."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._started = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @property
    def total(self) -> float:
        """Seconds since the job began."""
        return time.perf_counter() - self._started

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show and time one step."""
        started = time.perf_counter()
        with self._progress.step(title):
            yield
        self.seconds[title.lower().replace(" ", "_")] = time.perf_counter() - started

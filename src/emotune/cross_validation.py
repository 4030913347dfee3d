"""Cross-validation: train and score a model in every fold, and train the final one on all rows.

Every row is scored exactly once per repeat, by models that have not seen it. In each fold the epoch, the strength of the
baselines and the temperature are chosen on validation rows that are cut from the fold's training rows. Each repeat has
another seed. The final model is trained on all rows with the same schedule of the learning rate; its epoch is the median
of those that the folds kept, since no rows are left to choose it on. Its temperature is the median of the folds', too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emotune.data.dataset import Fold, Split, TextDataset
from emotune.evaluation.baselines import bag_of_words, frozen_features, majority_class
from emotune.evaluation.compare import compare
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.finished_folds import fold_file, read_fold, write_fold
from emotune.evaluation.folds import SPLIT, FoldRecord, FoldStudy
from emotune.evaluation.frozen import FoldFeatures, KnownFeatures, known_features
from emotune.evaluation.scores import Evaluation, restrict, score
from emotune.evaluation.words.formats import duration, share
from emotune.folder.tuned import TunedClassifier
from emotune.methods.base import Method
from emotune.methods.full import FullFineTuning
from emotune.models.classifier import Classifier
from emotune.models.encoding import share_encoding
from emotune.system.errors import DataError
from emotune.system.options import SEEDS, checked_seed
from emotune.system.progress import SILENT, Advance, Progress
from emotune.tasks.calibration import Temperature, median_temperature
from emotune.training.options import TrainingOptions, usual_epochs

if TYPE_CHECKING:
    import torch
    from transformers import TrainerCallback

Curves = Callable[[str], AbstractContextManager[Sequence["TrainerCallback"]]]
"""Function from the name of a training to the callbacks that report its curves."""


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Result of a cross-validation.

    Attributes:
        comparison: The tuned model against the base and the baselines. Its predictions are those of the first repeat;
            its intervals count all folds.
        tuned: The final model, trained on all rows.
    """

    comparison: Comparison
    tuned: TunedClassifier


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of all folds.

    Attributes:
        comparison: As in `CrossValidation`.
        options: Options of training with the epochs of the schedule.
        temperature: Median of the folds' temperatures; None if there is none.
    """

    comparison: Comparison
    options: TrainingOptions
    temperature: Temperature | None

    @property
    def study(self) -> FoldStudy:
        """The scores by fold."""
        if self.comparison.folds is None:
            raise RuntimeError("the comparison has no folds")
        return self.comparison.folds


def cross_validate(
    base: Classifier,
    data: TextDataset,
    method: Method,
    options: TrainingOptions | None = None,
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> CrossValidation:
    """Score a method in every fold of a data set, against the base and the baselines, and train it on all rows.

    Args:
        base: The base model.
        data: Data that was loaded with folds: `load_data(..., folds=5)`.
        method: The fine-tuning method.
        options: Options of training.
        seed: Seed of the trainings of the first repeat; each further repeat has the next one.
        progress: Shows a line per fold.

    Raises:
        DataError: The data has no folds.
        EmotuneError: A training fails, as in `finetune`.
    """
    scored = score_folds(base, data, method, options or TrainingOptions(), seed=seed, progress=progress)
    return CrossValidation(scored.comparison, train_on_all(base, data, method, scored, seed=seed, progress=progress))


def score_folds(
    base: Classifier,
    data: TextDataset,
    method: Method,
    options: TrainingOptions,
    *,
    seed: int = 0,
    full: bool = False,
    dtype: torch.dtype | None = None,
    curves: Curves = lambda name: nullcontext(()),
    checkpoints: Path | None = None,
    progress: Progress = SILENT,
) -> Scored:
    """Train and score every fold; arguments and errors as in `cross_validate`.

    Args:
        base: The base model.
        data: The data.
        method: The fine-tuning method.
        options: Options of training.
        seed: The first seed.
        full: Train every weight as well, as a baseline.
        dtype: The dtype of matrix products for the frozen encoder's features, as in `frozen_features`.
        curves: Gives callbacks for Trainer by the name of a training.
        checkpoints: Folder in which finished folds are kept; those that are there already are not trained again.
        progress: Shows a line per fold.
    """
    checked_seed(seed)
    if not data.folds:
        raise DataError(
            "The data has no folds. Load it with folds=5, or another number, for cross-validation; data with a test split is for "
            "finetune and evaluate."
        )
    if options.epochs is None:
        epochs = usual_epochs(len(data.folds[0][0].train))
        progress.say(f"at most {epochs} epochs, as the training rows of a fold usually need (training.epochs)")
        options = options.changed(epochs=epochs)
    rows = replace(data.train, name=SPLIT)
    before = evaluate(base, rows, progress=progress)
    known = None
    has_known = False
    found: list[list[_Fold]] = []
    for repeat, folds in enumerate(data.folds):
        found.append([])
        for number, fold in enumerate(folds):
            label = f"fold {number + 1} of {len(folds)}"
            if len(data.folds) > 1:
                label += f", repeat {repeat + 1} of {len(data.folds)}"
            path = None if checkpoints is None else fold_file(checkpoints, repeat + 1, number + 1)
            if path is not None and path.exists():
                record, models = read_fold(path, data.of_fold(fold).test)
                done = _Fold(fold, record, _before(before, fold), models[0], models[1:])
                found[-1].append(done)
                progress.say(f"{label}, kept: {done.line}")
                continue
            if not has_known:
                known, has_known = known_features(base, rows, dtype=dtype, progress=progress), True
            job = _Job(base, data, method, options, (seed + repeat) % SEEDS, full, dtype, known, fold)
            with curves(f"repeat-{repeat + 1}-fold-{number + 1}") as callbacks:
                done = _score_fold(job, before, repeat, number, callbacks, _Within(progress, label))
            if path is not None:
                write_fold(path, done.record, (done.after, *done.baselines))
            found[-1].append(done)
            progress.say(f"{label}: {done.line}")
    return _summarized(rows, before, found, options)


def train_on_all(
    base: Classifier,
    data: TextDataset,
    method: Method,
    scored: Scored,
    *,
    seed: int = 0,
    callbacks: Sequence[TrainerCallback] = (),
    progress: Progress = SILENT,
) -> TunedClassifier:
    """Train the final model on all rows, up to the median of the epochs that the folds kept.

    Args:
        base: The base model.
        data: The data.
        method: The fine-tuning method.
        scored: The scores of the folds.
        seed: The seed.
        callbacks: Callbacks for Trainer.
        progress: Shows the epochs.
    """
    from emotune.training.finetune import finetune  # imports torch and transformers

    kept = scored.study.kept_epoch
    tuned = finetune(
        base, data, method, scored.options, seed=seed, callbacks=callbacks, keep_epoch=kept, progress=progress
    )
    return replace(tuned, temperature=scored.temperature)


@dataclass(frozen=True, eq=False)
class _Job:
    """What one fold needs."""

    base: Classifier
    data: TextDataset
    method: Method
    options: TrainingOptions
    seed: int
    full: bool
    dtype: torch.dtype | None
    known: KnownFeatures | None
    fold: Fold


@dataclass(frozen=True, eq=False)
class _Fold:
    """Scores of one fold: the tuned model, the baselines, and the base model first."""

    fold: Fold
    record: FoldRecord
    before: Evaluation
    after: Evaluation
    baselines: tuple[Evaluation, ...]

    @property
    def models(self) -> tuple[Evaluation, ...]:
        return (self.before, self.after, *self.baselines)

    @property
    def line(self) -> str:
        best = max(self.baselines, key=lambda found: found.validation_macro_f1 or 0.0)
        return (
            f"accuracy {share(self.after.metrics.accuracy)}, macro-F1 {share(self.after.metrics.macro_f1)}; '{best.name}' "
            f"{share(best.metrics.accuracy)} and {share(best.metrics.macro_f1)}; kept epoch {self.record.kept} of {self.record.epochs}, "
            f"{duration(self.record.seconds)}"
        )


def _score_fold(
    job: _Job,
    before: Evaluation,
    repeat: int,
    number: int,
    callbacks: Sequence[TrainerCallback],
    progress: Progress,
) -> _Fold:
    from emotune.training.finetune import finetune  # imports torch and transformers

    base, fold = job.base, job.fold
    data = job.data.of_fold(fold)
    parts = ((data.train, fold.train), (data.validation, fold.validation), (data.test, fold.scored))
    share_encoding(base.tokenizer, job.data.train, parts, base.max_length, base.windows)
    baselines = [
        majority_class(data.train, data.test, data.validation),
        bag_of_words(data),
        frozen_features(
            base,
            data,
            dtype=job.dtype,
            known=None if job.known is None else FoldFeatures(job.known, fold),
            progress=progress,
        ),
    ]
    tuned = finetune(base, data, job.method, job.options, seed=job.seed, callbacks=callbacks, progress=progress)
    after = evaluate(tuned, data.test, progress=progress)
    validated = evaluate(tuned, data.validation, progress=progress)
    if validated.logits is None:
        raise RuntimeError("evaluate gave no logits")
    training = tuned.training
    record = FoldRecord(
        repeat=repeat + 1,
        fold=number + 1,
        trained=len(fold.train),
        validated=len(fold.validation),
        scored=len(fold.scored),
        epochs=len(training.epochs),
        kept=training.best_epoch,
        temperature=data.task.fit_temperature(data.validation.label_ids, validated.logits),
        seconds=training.seconds,
    )
    if job.full:
        options = job.options.changed(learning_rate=None)
        whole = finetune(base, data, FullFineTuning(), options, seed=job.seed, progress=progress)
        scored = evaluate(whole, data.test, name=FullFineTuning.title, progress=progress)
        chosen = whole.training.best.validation_macro_f1
        baselines.append(
            replace(scored, note="Every weight trained.", validation_macro_f1=chosen, seconds=whole.training.seconds)
        )
    return _Fold(fold, record, _before(before, fold), after, tuple(baselines))


def _before(before: Evaluation, fold: Fold) -> Evaluation:
    """Return the base model's scores on the rows of a fold."""
    return replace(restrict(before, fold.scored), name=before.name)


def _summarized(rows: Split, before: Evaluation, found: list[list[_Fold]], options: TrainingOptions) -> Scored:
    """Join the predictions of the first repeat, and collect the scores of all."""
    names = [model.name for model in found[0][0].models]

    def scores(name: str, of: Callable[[Evaluation], float]) -> NDArray[np.float64]:
        return np.array([[of(_named(done, name)) for done in repeat] for repeat in found])

    def further(score: str) -> Callable[[Evaluation], float]:
        return lambda model: rows.task.further_scores(model.metrics)[score]

    records = tuple(done.record for repeat in found for done in repeat)
    study = FoldStudy(
        accuracy={name: scores(name, lambda model: model.metrics.accuracy) for name in names},
        macro_f1={name: scores(name, lambda model: model.metrics.macro_f1) for name in names},
        records=records,
        kept_epoch=int(median(record.kept for record in records) + 0.5),
        further={
            score: {name: scores(name, further(score)) for name in names}
            for score in rows.task.further_scores(before.metrics)
        },
    )
    _, after, *baselines = (_joined(rows, found, name) for name in names)
    comparison = replace(compare(before, replace(after, has_seed=False), *baselines), folds=study)
    return Scored(comparison, options, median_temperature([record.temperature for record in records]))


def _named(done: _Fold, name: str) -> Evaluation:
    return next(model for model in done.models if model.name == name)


def _joined(rows: Split, found: list[list[_Fold]], name: str) -> Evaluation:
    """Return a model's predictions of all rows: each by the fold of the first repeat that left it out."""
    parts = [(done.fold.scored, _named(done, name)) for done in found[0]]
    every = [_named(done, name) for repeat in found for done in repeat]

    def gathered(values: Sequence[NDArray[Any] | None]) -> Any:
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        whole = np.empty((len(rows), *known[0].shape[1:]), known[0].dtype)
        for (places, _), value in zip(parts, known, strict=True):
            whole[places] = value
        return whole

    predictions = gathered([model.predictions for _, model in parts])
    probabilities = gathered([model.probabilities for _, model in parts])
    first = parts[0][1]
    validated = [model.validation_macro_f1 for model in every if model.validation_macro_f1 is not None]
    note = first.note
    if note and len({model.note for model in every}) > 1:
        note = f"In the first fold: {note}"
    return replace(
        first,
        split=rows,
        predictions=predictions,
        probabilities=probabilities,
        logits=gathered([model.logits for _, model in parts]),
        metrics=score(rows, predictions, probabilities),
        seconds=sum(model.seconds for model in every),
        cut=sum(model.cut for _, model in parts),
        note=note,
        validation_macro_f1=fmean(validated) if validated else None,
        has_seed=False,
    )


class _Within:
    """Progress of one fold: only its bars are shown, with the fold's name.

    Args:
        progress: The front end.
        label: The fold's name.
    """

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._label = label

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Do nothing around the step."""
        yield

    def say(self, text: str) -> None:
        """Drop the line."""

    def show(self, renderable: Any) -> None:
        """Drop the renderable."""

    def bar(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Show the bar."""
        return self._progress.bar(f"{self._label}: {description}", total)

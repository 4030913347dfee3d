"""The main job, read top to bottom: data, base model, before, fine-tune, after, compare, save, verify.

`emotune run` calls `run`; what it does between the seven verbs is to show, to time and to write down.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.errors import ConfigError
from emotune.progress import SILENT, Progress

if TYPE_CHECKING:
    from emotune.config import RunConfig
    from emotune.data.dataset import TextDataset
    from emotune.evaluation.comparison import Comparison
    from emotune.evaluation.scores import Evaluation
    from emotune.models.classifier import Classifier
    from emotune.verification import Verification

STEPS = 8


@dataclass(frozen=True, eq=False)
class RunResult:
    """What the main job gives back.

    Attributes:
        folder: The saved folder.
        classifier: The tuned classifier.
        comparison: Before, after and the baselines, on the test split.
        verification: The check of the saved folder.
        seconds: Wall time of the whole job.
    """

    folder: Path
    classifier: Classifier
    comparison: Comparison
    verification: Verification
    seconds: float

    @property
    def local_base(self) -> str | None:
        """Where the base model is, if it is a folder of this machine, which the saved folder cannot name."""
        from emotune.artifact import portable_source

        return None if portable_source(self.classifier) else self.classifier.source


def run(config: RunConfig, progress: Progress = SILENT) -> RunResult:
    """Do the main job.

    Args:
        config: What to do; `RunConfig()` is the emotion dataset and BERT, from the Hub.
        progress: Shows the steps.

    Raises:
        EmotuneError: One of its subclasses; the output folder is then as it was before.
    """
    from emotune.artifact import portable_source
    from emotune.checkpoints import Checkpoints
    from emotune.data.load import load_data
    from emotune.evaluation.baselines import frozen_features, majority_class
    from emotune.evaluation.comparison import compare
    from emotune.evaluation.evaluate import evaluate
    from emotune.methods.lora import LoRA
    from emotune.methods.targets import resolve_targets, summarize_targets
    from emotune.models.families import encoder_linear_modules
    from emotune.models.load import load_base
    from emotune.output import check_output
    from emotune.precision import choose_device, choose_precision
    from emotune.report import tables
    from emotune.training.finetune import finetune
    from emotune.training.options import TrainingOptions
    from emotune.training.processes import processes
    from emotune.verification import verify

    if processes() > 1:
        raise ConfigError(
            f"{processes()} processes were started, and the whole job is for one. Start emotune run by itself; "
            "for several GPUs call emotune.finetune from a script of your own under torchrun."
        )
    folder = Path(config.output.folder)
    checkpoints = Checkpoints(config)
    read = (config.model.name, config.data.source, config.data.validation, config.data.test)
    inputs = [Path(name).expanduser() for name in read if name is not None and Path(name).expanduser().exists()]
    check_output(folder, config.output.overwrite, inputs)
    checkpoints.check()
    method = LoRA(**config.method.model_dump(exclude={"name"}))
    options = TrainingOptions(**config.training.model_dump(exclude={"seed", "resume"}))
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    watch = Stopwatch(progress)

    with watch.step("Data"):
        data = load_data(**config.data.model_dump(), seed=config.training.seed)
        progress.show(tables.data_table(data))
        for note in data.notes:
            progress.say(note)

    with watch.step("Base model"):
        base = load_base(
            config.model.name,
            labels=data.labels,
            max_length=config.model.max_length,
            seed=config.training.seed,
            revision=config.model.revision,
        )
        base.model.to(device)
        say_base(base, data, progress)
        targets = resolve_targets(encoder_linear_modules(base.model), method.target_modules)
        progress.say(f"{method.name} will adapt {summarize_targets(targets)}")

    with watch.step("Before"):
        before = evaluate(base, data.test, progress=progress)
        baselines = (
            majority_class(data.train, data.test),
            frozen_features(base, data, dtype=precision.products, progress=progress),
        )
        for evaluation in (before, *baselines):
            progress.say(f"{evaluation.name}: {tables.scores_line(evaluation)}")

    with watch.step(f"Fine-tune with {method.name}"):
        progress.say(f"{precision.name} on {device}: {precision.reason}")
        with checkpoints.claimed(data) as kept:
            tuned = finetune(
                base, data, method, options, checkpoints=kept, resume=config.training.resume, progress=progress
            )
        training = tuned.training
        if training is None:
            raise RuntimeError("finetune gave a classifier without its training record")
        progress.say(
            f"kept epoch {training.best_epoch} of {len(training.epochs)}, "
            f"{training.train_examples_per_second:.0f} examples/s"
        )

    with watch.step("After"):
        after = evaluate(tuned, data.test, progress=progress)
        progress.say(tables.scores_line(after))

    with watch.step("Compare"):
        comparison = compare(before, after, *baselines)
        progress.show(tables.comparison_table(comparison))
        progress.show(tables.cost_table(training))

    with watch.step("Save"):
        write_folder(folder, config, data, tuned, comparison, watch)
        checkpoints.remove()
        progress.say(f"saved to {folder}")

    with watch.step("Verify"):
        verification = verify(folder, base=None if portable_source(tuned) else tuned.source)
        progress.say(
            f"a fresh process gives the same labels on {verification.rows} texts; the largest difference is "
            f"{verification.largest_difference:.1e} (at most {verification.tolerance:.0e} passes)"
        )

    return RunResult(folder, tuned, comparison, verification, watch.total)


def say_base(base: Classifier, data: TextDataset, progress: Progress) -> None:
    """Say what was loaded, and how many texts its limit cuts."""
    from emotune.inference.batching import encode_split

    parameters = sum(parameter.numel() for parameter in base.model.parameters())
    progress.say(f"{base.name}: {type(base.model).__name__}, {parameters:,} parameters")
    encoded = [encode_split(base.tokenizer, split, base.max_length) for split in data.splits]
    cut = sum(split.truncated for split in encoded)
    rows = sum(len(split) for split in data.splits)
    mean = sum(int(split.lengths.sum()) for split in encoded) / rows
    progress.say(f"{mean:.1f} tokens a text; {cut:,} of {rows:,} texts are longer than {base.max_length} and are cut")


def write_folder(
    folder: Path, config: RunConfig, data: TextDataset, tuned: Classifier, comparison: Comparison, watch: Stopwatch
) -> None:
    """Write everything that is handed over into the folder, whole or not at all."""
    from emotune import artifact, portable
    from emotune.memory import peak_memory_bytes
    from emotune.output import written_whole
    from emotune.report import figures
    from emotune.report.model_card import model_card

    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    evidence = {
        "created": created,
        "command": portable.command(),
        "configuration": portable.configuration(config),
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "rows": {split.name: len(split) for split in data.splits},
            "counts": {split.name: split.counts for split in data.splits},
            "notes": list(data.notes),
        },
        "metrics": {
            "before": asdict(comparison.before.metrics),
            "after": asdict(comparison.after.metrics),
            "baselines": {evaluation.name: asdict(evaluation.metrics) for evaluation in comparison.baselines},
            "rows_fixed": len(comparison.fixed),
            "rows_broken": len(comparison.broken),
        },
        "seconds": {**watch.seconds, "total": watch.total},
        "peak_memory_bytes": peak_memory_bytes(),
    }
    with written_whole(folder, config.output.overwrite) as work:
        artifact.write_model(tuned, work)
        write_predictions(comparison.after, work / "predictions.parquet")
        figures.confusion_matrix(comparison.after, work / "confusion_matrix.png")
        if tuned.training is not None:
            figures.training_curve(tuned.training, work / "training_curve.png")
        card = model_card(
            classifier=tuned,
            dataset_name=data.name,
            dataset_notes=data.notes,
            comparison=comparison,
            versions=artifact.versions(),
            command=portable.command(),
            created=created,
        )
        (work / "README.md").write_text(card, encoding="utf-8")
        artifact.write_description(tuned, work, evidence)


def write_predictions(evaluation: Evaluation, path: Path) -> None:
    """Write a split's predictions as Parquet: `text`, `label`, `prediction` (names), and `p_<label>` for each label."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    split = evaluation.split
    if evaluation.probabilities is None:
        raise ValueError(f"'{evaluation.name}' has no probabilities to write")
    columns: dict[str, Any] = {
        "text": list(split.texts),
        "label": [split.labels[row] for row in split.label_ids],
        "prediction": [split.labels[row] for row in evaluation.predictions],
        **{f"p_{label}": evaluation.probabilities[:, column] for column, label in enumerate(split.labels)},
    }
    pq.write_table(pa.table(columns), path)


class Stopwatch:
    """Times the steps while the front end shows them."""

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

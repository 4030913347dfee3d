"""The steps of the main job that are about rows with several labels: before, fine-tune, after, compare, and the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from emotune.data.dataset import TextDataset
from emotune.data.places.sources import is_portable
from emotune.evaluation.baselines import bag_of_words, frozen_features, majority_class
from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.saved import write_evaluation
from emotune.evaluation.several import SeveralComparison
from emotune.evaluation.words.several import (
    notes,
    scores_line,
    several_tables,
    thresholds_sentence,
    verdict,
)
from emotune.evaluation.words.tables import Verdict
from emotune.evaluation.words.texts import TextTable
from emotune.folder.files import CARD, REPORT
from emotune.folder.fingerprints import FINGERPRINTS, Fingerprints
from emotune.folder.format import PREDICTIONS, DataEntry, Evidence, versions
from emotune.folder.tuned import TunedClassifier, describe, write_model
from emotune.models.classifier import Classifier
from emotune.report import tables
from emotune.report.several import SeveralReport
from emotune.settings import portable
from emotune.settings.run import RunConfig
from emotune.system.errors import ConfigError
from emotune.system.memory import peak_memory_bytes
from emotune.system.output import written_whole
from emotune.system.precision import Precision
from emotune.system.progress import Progress


@dataclass(frozen=True, eq=False)
class SeveralFindings:
    """Results of a run.

    Attributes:
        data: The data.
        comparison: Before, after and the baselines, on the test split.
        tuned: The tuned classifier.
    """

    data: TextDataset
    comparison: SeveralComparison
    tuned: TunedClassifier


def check_settings(config: RunConfig, data: TextDataset, *, from_folder: bool) -> None:
    """Refuse settings that are about one label per row.

    Raises:
        ConfigError: Names them all.
    """
    reasons = (
        (config.training.seeds > 1, f"training.seeds is {config.training.seeds}"),
        (config.baselines.full, "baselines.full is true"),
        (config.baselines.margin is not None, f"baselines.margin is {config.baselines.margin}"),
        (bool(config.tracking.to), f"tracking.to is {', '.join(config.tracking.to or ())}"),
        (from_folder, "--from-folder compares models of one label per row"),
    )
    mistakes = [text for wrong, text in reasons if wrong]
    if mistakes:
        raise ConfigError(
            f"{data.name} has several labels per row, and these settings are for one label per row so far: {'; '.join(mistakes)}. "
            "Leave them out."
        )
    data.task.check_options(config.training)


def score_before(base: Classifier, data: TextDataset, precision: Precision, progress: Progress) -> SeveralComparison:
    """Score the base model and the baselines; the comparison's second model is the base too, for now."""
    before = evaluate(base, data.test, progress=progress)
    baselines = (
        majority_class(data.train, data.test, data.validation),
        bag_of_words(data),
        frozen_features(base, data, dtype=precision.products, progress=progress),
    )
    for found in (before, *baselines):
        progress.say(f"{found.name}: {scores_line(found)}")
    return SeveralComparison(before, before, baselines)


def score_after(
    before: SeveralComparison, tuned: TunedClassifier, data: TextDataset, progress: Progress
) -> SeveralFindings:
    """Score the tuned model."""
    after = evaluate(tuned, data.test, progress=progress)
    progress.say(scores_line(after))
    progress.say(thresholds_sentence(tuned.task.thresholds, tuned.labels))
    return SeveralFindings(data, SeveralComparison(before.before, after, before.baselines), tuned)


def show(found: SeveralFindings, progress: Progress) -> None:
    """Show the comparison."""
    parts: list[str | TextTable | Verdict] = [
        *several_tables(found.comparison),
        *notes(found.comparison),
        Verdict(verdict(found.comparison)),
    ]
    progress.show(tables.stacked(map(tables.shown, parts)))
    progress.show(tables.cost_table(found.tuned.training))


def write_folder(folder: Path, config: RunConfig, found: SeveralFindings, seconds: Mapping[str, float]) -> None:
    """Write the complete result folder, or nothing.

    Args:
        folder: The folder to write.
        config: The run's configuration.
        found: The run's results.
        seconds: Seconds by step.

    Raises:
        OutputError: The folder cannot be written.
    """
    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    data, comparison, tuned = found.data, found.comparison, found.tuned
    report = SeveralReport(tuned, comparison, data.name, data.notes, created, portable.command(), versions())
    evidence = Evidence(
        created=created,
        command=portable.command(),
        configuration=portable.configuration(config),
        data=DataEntry(
            name=data.name,
            was_local=not is_portable(config.data.source),
            fingerprint=data.fingerprint,
            rows={split.name: len(split) for split in data.splits},
            counts={split.name: split.counts for split in data.splits},
            notes=data.notes,
            columns={split: asdict(columns) for split, columns in data.columns.items()},
            periods=dict(data.periods),
        ),
        metrics=comparison.figures(),
        verdict="\n".join(verdict(comparison)),
        statistics={name: asdict(statistics) for name, statistics in comparison.statistics.items()},
        peak_memory_bytes=peak_memory_bytes(),
        seconds=dict(seconds),
    )
    with written_whole(folder, config.output.overwrite) as work:
        write_model(tuned, work)
        write_evaluation(comparison.after, work / PREDICTIONS)
        Fingerprints.of(data).write(work / FINGERPRINTS)
        (work / CARD).write_text(report.card(), encoding="utf-8")
        (work / REPORT).write_text(report.page(), encoding="utf-8")
        describe(tuned, work, evidence)

"""The steps of the main job that are about rows with several labels: before, fine-tune, after, compare, and the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from emotune.data.auditing.audit import Audit
from emotune.data.dataset import TextDataset
from emotune.data.places.sources import is_portable
from emotune.evaluation.baselines import bag_of_words, frozen_features, majority_class
from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.leaks import SeveralLeaks, find_leaks
from emotune.evaluation.saved import write_evaluation
from emotune.evaluation.several import SeveralComparison
from emotune.evaluation.words.several import (
    calibration_sentence,
    calibration_table,
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
from emotune.tasks.calibration import calibration_figures
from emotune.tasks.multi_calibration import LabelCalibration, fit_temperatures, label_calibrations


@dataclass(frozen=True, eq=False)
class SeveralFindings:
    """Results of a run.

    Attributes:
        data: The data.
        comparison: Before, after and the baselines, on the test split.
        tuned: The tuned classifier.
        calibration: Calibration of its probabilities on the test split, by label.
        leaks: The comparison without the test rows that repeat a training row; None if there are none.
    """

    data: TextDataset
    comparison: SeveralComparison
    tuned: TunedClassifier
    calibration: Mapping[str, LabelCalibration]
    leaks: SeveralLeaks | None


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
    before: SeveralComparison, tuned: TunedClassifier, data: TextDataset, audit: Audit, progress: Progress
) -> SeveralFindings:
    """Score the tuned model, and fit its temperatures."""
    after = evaluate(tuned, data.test, progress=progress)
    progress.say(scores_line(after))
    progress.say(thresholds_sentence(tuned.task, tuned.labels))
    on_validation = evaluate(tuned, data.validation, progress=progress)
    if after.logits is None or on_validation.logits is None:
        raise RuntimeError("evaluate gave no logits")
    temperatures = fit_temperatures(data.validation.label_ids, on_validation.logits)
    calibration = label_calibrations(data.test.label_ids, after.logits, temperatures, data.labels)
    progress.say(calibration_sentence(calibration))
    comparison = SeveralComparison(before.before, after, before.baselines)
    return SeveralFindings(
        data, comparison, replace(tuned, temperature=temperatures), calibration, find_leaks(comparison, audit)
    )


def show(found: SeveralFindings, progress: Progress) -> None:
    """Show the comparison."""
    parts: list[str | TextTable | Verdict] = [
        *several_tables(found.comparison),
        calibration_table(found.calibration),
        *notes(found.comparison),
        Verdict(verdict(found.comparison, leaks=found.leaks)),
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
    report = SeveralReport(
        tuned,
        comparison,
        found.calibration,
        found.leaks,
        data.name,
        data.notes,
        created,
        portable.command(),
        versions(),
    )
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
        metrics={
            **comparison.figures(),
            "without_leaked_rows": None if found.leaks is None else found.leaks.figures(),
        },
        verdict="\n".join(verdict(comparison, leaks=found.leaks)),
        calibration={
            "as_they_come": {label: calibration_figures(own.plain) for label, own in found.calibration.items()},
            "scaled": {label: calibration_figures(own.scaled) for label, own in found.calibration.items()},
        },
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

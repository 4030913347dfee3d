"""The result folder of a run: model, model card, report, predictions, pictures, and the figures behind them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from emotune.data.auditing.audit import Audit
from emotune.data.dataset import TextDataset
from emotune.data.places.sources import is_portable
from emotune.evaluation.attribution import Words, explain
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.leaks import Leaks
from emotune.evaluation.saved import write_evaluation
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.seeds import SeedSummary
from emotune.evaluation.words.verdict import verdict
from emotune.folder.files import CARD, PICTURES, REPORT
from emotune.folder.fingerprints import FINGERPRINTS, Fingerprints
from emotune.folder.format import PREDICTIONS, DataEntry, Evidence, versions
from emotune.folder.tuned import TunedClassifier, describe, write_model
from emotune.report import figures
from emotune.report.html import Report, most_telling, render_report
from emotune.report.model_card import model_card
from emotune.settings import portable
from emotune.settings.run import RunConfig
from emotune.system.memory import peak_memory_bytes
from emotune.system.output import written_whole
from emotune.system.progress import Progress
from emotune.tasks.calibration import Temperature, Trust, calibration_figures


@dataclass(frozen=True, eq=False)
class Findings:
    """Results of a run.

    Attributes:
        data: The data.
        audit: Audit of the data.
        comparison: Before, after and the baselines, on the test split.
        tuned: The tuned classifier.
        seeds: Scores over several seeds, by name; empty for a single seed.
        leaks: The comparison without the test rows that repeat a training row; None where there are none.
        previous: Entry of `emotune.json` on the earlier model that is compared with.
    """

    data: TextDataset
    audit: Audit
    comparison: Comparison
    tuned: TunedClassifier
    seeds: Mapping[str, SeedSummary]
    leaks: Leaks | None = None
    previous: Mapping[str, Any] | None = None


def write_folder(
    folder: Path, config: RunConfig, found: Findings, seconds: Mapping[str, float], progress: Progress
) -> None:
    """Write the complete result folder, or nothing.

    Args:
        folder: The folder to write.
        config: The run's configuration.
        found: The run's results.
        seconds: Seconds by step.
        progress: Shows a bar.

    Raises:
        OutputError: The folder cannot be written.
    """
    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    after, tuned = found.comparison.after, found.tuned
    trust = trust_in(after, tuned.temperature)
    # The predictions of folds are not those of the saved model, so its reasons would not be theirs.
    attributions = {} if found.data.folds else explain_most_telling(tuned, found.comparison, progress)
    report = report_of(found, trust, attributions, folder.name, created)
    card = model_card(
        classifier=tuned,
        dataset_name=found.data.name,
        dataset_notes=found.data.notes,
        comparison=found.comparison,
        leaks=found.leaks,
        trust=trust,
        versions=versions(),
        command=portable.command(),
        created=created,
    )
    with written_whole(folder, config.output.overwrite) as work:
        write_model(tuned, work)
        write_evaluation(after, work / PREDICTIONS, further=_folds_of_rows(found.data))
        Fingerprints.of(found.data).write(work / FINGERPRINTS)
        figures.confusion_matrix(after, work / PICTURES[0])
        figures.training_curve(tuned.training, work / PICTURES[1])
        (work / CARD).write_text(card, encoding="utf-8")
        (work / REPORT).write_text(render_report(report), encoding="utf-8")
        evidence = evidence_of(found, trust, config)
        describe(tuned, work, evidence.changed(created=created, seconds=dict(seconds)))


def _folds_of_rows(data: TextDataset) -> dict[str, list[int]]:
    """Return the fold that scored each row in the first repeat, from 1, as a column; none without folds."""
    if not data.folds:
        return {}
    found = np.zeros(len(data.train), dtype=np.int64)
    for number, fold in enumerate(data.folds[0], start=1):
        found[fold.scored] = number
    return {"fold": found.tolist()}


def trust_in(evaluation: Evaluation, temperature: Temperature | None) -> Trust:
    """Return the calibration of an evaluation's probabilities."""
    if evaluation.probabilities is None:
        raise ValueError(f"'{evaluation.name}' has no probabilities to judge")
    split = evaluation.split
    return split.task.trust(split.label_ids, evaluation.probabilities, temperature)


def evidence_of(found: Findings, trust: Trust, config: RunConfig) -> Evidence:
    """Return the entries of `emotune.json` about the command, the data and the results."""
    data, comparison = found.data, found.comparison
    return Evidence(
        command=portable.command(),
        configuration=portable.configuration(config),
        data=DataEntry(
            name=data.name,
            was_local=not is_portable(config.data.source),
            fingerprint=data.fingerprint,
            rows={split.name: len(split) for split in data.splits if len(split)},
            counts={split.name: split.counts for split in data.splits if len(split)},
            notes=data.notes,
            columns={split: asdict(columns) for split, columns in data.columns.items()},
            periods=dict(data.periods),
        ),
        metrics={
            "before": asdict(comparison.before.metrics),
            "after": asdict(comparison.after.metrics),
            "baselines": {evaluation.name: asdict(evaluation.metrics) for evaluation in comparison.baselines},
            "best_baseline": None if comparison.best_baseline is None else comparison.best_baseline.name,
            "rows_fixed": len(comparison.fixed),
            "rows_broken": len(comparison.broken),
            "scored": "test split"
            if comparison.folds is None
            else "all rows, each by the model of the fold that left it out, in the first repeat of a cross-validation",
            "without_leaked_rows": None if found.leaks is None else found.leaks.figures(),
        },
        previous=None if found.previous is None else dict(found.previous),
        verdict=verdict(comparison, leaks=found.leaks),
        statistics={}
        if comparison.folds is not None
        else {
            evaluation.name: asdict(comparison.against(evaluation))
            for evaluation in (comparison.before, *comparison.baselines)
        },
        cross_validation=None
        if comparison.folds is None
        else comparison.folds.figures(comparison.after, (comparison.before, *comparison.baselines)),
        margin=None
        if comparison.margin is None
        else {
            "points": comparison.margin,
            "tests": {evaluation.name: asdict(test) for evaluation, test in comparison.margin_tests},
        },
        seeds={name: asdict(summary) for name, summary in found.seeds.items()},
        calibration={"as_they_come": calibration_figures(trust.plain), "scaled": calibration_figures(trust.scaled)},
        peak_memory_bytes=peak_memory_bytes(),
    )


def report_of(found: Findings, trust: Trust, attributions: Mapping[int, Words], folder: str, created: str) -> Report:
    """Return the content of a run's report."""
    return Report(
        title=f"{found.tuned.name}, fine-tuned on {found.data.name}",
        subtitle=f"Made with emotune on {created}.{_first_stage(found.tuned)}",
        comparison=found.comparison,
        training=found.tuned.training,
        seeds=found.seeds,
        trust=trust,
        audit=found.audit,
        data_notes=found.data.notes,
        leaks=found.leaks,
        attributions=attributions,
        commands=[portable.command() or "emotune run", f"emotune reproduce {shlex.quote(folder)}"],
        versions=versions(),
    )


def _first_stage(tuned: TunedClassifier) -> str:
    return (
        f" The base model, {tuned.name}, is a folder that emotune saved: {tuned.made_from}." if tuned.made_from else ""
    )


def explain_most_telling(tuned: TunedClassifier, comparison: Comparison, progress: Progress) -> dict[int, Words]:
    """Return the words that drove the predictions shown in the report, by row number."""
    rows = sorted({row for found in most_telling(comparison) for row in found})
    texts = [comparison.after.split.texts[row] for row in rows]
    labels = [int(comparison.after.predictions[row]) for row in rows]
    found = explain(tuned, texts, labels, progress=progress)
    return {} if found is None else dict(zip(rows, found, strict=True))

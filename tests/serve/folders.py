"""Folders to serve: the tiny tuned model with a temperature, its predictions and a report, without a whole run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from emotune.data.dataset import TextDataset
from emotune.evaluation.compare import compare
from emotune.evaluation.evaluate import evaluate
from emotune.evaluation.saved import write_evaluation
from emotune.folder.format import PREDICTIONS
from emotune.folder.tuned import TunedClassifier
from emotune.models.classifier import Classifier
from emotune.report.html import Report, render_report

TEMPERATURE = 1.7


def save_served(tuned: TunedClassifier, base: Classifier, data: TextDataset, folder: Path) -> Path:
    """Save a folder with everything that the page shows."""
    replace(tuned, temperature=TEMPERATURE).save(folder)
    before, after = evaluate(base, data.test), evaluate(tuned, data.test)
    write_evaluation(after, folder / PREDICTIONS)
    report = Report("The report of the tiny model", "Made in a test.", compare(before, after))
    (folder / "report.html").write_text(render_report(report), encoding="utf-8")
    return folder

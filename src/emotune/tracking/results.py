"""Final record of a run for trackers: the figures, tables and verdict that its report has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emotune.evaluation.comparison import Comparison
from emotune.evaluation.folds import FoldStudy
from emotune.evaluation.rivals import score_differences
from emotune.evaluation.scores import Evaluation, accuracy_interval
from emotune.evaluation.words.margin import margin_lines
from emotune.evaluation.words.tables import results_table
from emotune.evaluation.words.verdict import sentences
from emotune.folder.files import REPORT, WITH_TEXTS
from emotune.folder.format import versions
from emotune.handover import Findings
from emotune.report.model_card import markdown_table
from emotune.report.tables import costs
from emotune.settings import portable
from emotune.settings.run import RunConfig
from emotune.tracking.tracker import ModelFiles, Results, slug

# Files of a saved folder without texts of the data: the model card, and two pictures.
FILES = ("README.md", "confusion_matrix.png", "training_curve.png")


def settings_of(config: RunConfig) -> dict[str, str]:
    """Return the settings by key as text, without unset ones, the output folder, and paths of this machine."""
    return {
        f"{section}.{name}": str(value)
        for section, values in portable.configuration(config).items()
        if section != "output"
        for name, value in values.items()
        if value is not None
    }


def results_of(found: Findings, config: RunConfig, folder: Path) -> Results:
    """Return the final record of a run.

    Args:
        found: The run's results.
        config: Its configuration, which says whether texts may be sent.
        folder: The saved folder.
    """
    comparison, tuned, record = found.comparison, found.tuned, found.tuned.training
    verdict = [*sentences(comparison, leaks=found.leaks), *margin_lines(comparison)]
    table = results_table(comparison)
    asked = config.tracking
    base = None if tuned.portable_source or not tuned.method.needs_base else Path(tuned.source)
    return Results(
        figures={
            **figures_of(comparison),
            "cost/seconds": record.seconds,
            "cost/train_examples_per_second": record.train_examples_per_second,
            "cost/peak_memory_bytes": float(record.peak_memory_bytes or 0),
            "cost/trainable_parameters": float(record.trainable_parameters),
        },
        facts={
            "data.name": found.data.name,
            "data.fingerprint": found.data.fingerprint,
            **{f"data.rows.{split.name}": str(len(split)) for split in found.data.splits},
            "kept_epoch": str(record.best_epoch),
            "device": record.device,
            "precision_used": record.precision,
            **{f"versions.{name}": version for name, version in versions().items()},
        },
        verdict="\n".join(verdict),
        table=table,
        page="\n\n".join(
            [*verdict, markdown_table(table), *(f"- {name}: {words}" for name, words in costs(record).items())]
        ),
        files=tuple(folder / name for name in (*FILES, *([REPORT] if asked.texts else []))),
        model=ModelFiles(folder, base, () if asked.texts else WITH_TEXTS) if asked.model else None,
    )


def figures_of(comparison: Comparison) -> Mapping[str, float]:
    """Return the scores of all models and the leads of the second one, with the ends of their intervals.

    The second model's names begin with the split, "test/accuracy", so that runs can be compared by them.
    """
    split = slug(comparison.after.split.name)
    found = _scores(split, comparison.after, comparison.folds)
    for place, model in (
        ("base", comparison.before),
        *((f"baselines/{slug(baseline.name)}", baseline) for baseline in comparison.baselines),
    ):
        found |= _scores(place, model, comparison.folds)
        if model.is_chance:
            continue
        for difference in score_differences(comparison, model):
            name = f"{place}/lead_in_{_score(difference.score)}"
            found[name] = difference.interval.estimate
            found[f"{name}_low"], found[f"{name}_high"] = difference.interval.low, difference.interval.high
    return found


def _scores(place: str, model: Evaluation, folds: FoldStudy | None) -> dict[str, float]:
    if folds is not None:
        named = zip(("accuracy", "macro_f1"), folds.scores(model.name), strict=True)
        found: dict[str, float] = {}
        for name, mean in named:
            ends = mean.interval(0.0, 1.0)
            found |= {f"{place}/{name}": mean.mean, f"{place}/{name}_low": ends.low, f"{place}/{name}_high": ends.high}
        return found
    interval = accuracy_interval(model)
    found = {f"{place}/{_score(name)}": value for name, value in model.metrics.named().items()}
    found |= {f"{place}/accuracy_low": interval.low, f"{place}/accuracy_high": interval.high}
    return found if model.metrics.loss is None else {**found, f"{place}/loss": model.metrics.loss}


def _score(name: str) -> str:
    """Return a score's name in tables as that of a figure: "macro_f1"."""
    return slug(name.lower().replace("-", "_"))

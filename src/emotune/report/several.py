"""The report and the model card of a model of several labels per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.evaluation.leaks import SeveralLeaks
from emotune.evaluation.several import SeveralComparison
from emotune.evaluation.words.several import (
    calibration_sentence,
    calibration_table,
    notes,
    several_tables,
    thresholds_sentence,
    verdict,
)
from emotune.evaluation.words.texts import TextTable
from emotune.folder.format import versions
from emotune.folder.tuned import TunedClassifier
from emotune.report.html import render_page
from emotune.report.hub_metadata import TASK, library, relation, tags
from emotune.report.model_card import markdown_table
from emotune.report.tables import costs
from emotune.system.names import is_hub_id
from emotune.system.text import printable
from emotune.tasks.multi_calibration import LabelCalibration

_TEMPLATE = Path(__file__).with_name("several.html.jinja")


@dataclass(frozen=True, eq=False)
class SeveralReport:
    """What the report and the card of a run say.

    Attributes:
        tuned: The tuned classifier.
        comparison: Its scores and those of the others.
        calibration: Calibration of its probabilities, by label.
        leaks: The comparison without the test rows that repeat a training row; None if there are none.
        dataset_name: The data set's name.
        data_notes: Notes on reading the data, one sentence each.
        created: The date.
        command: The command that made the folder.
        versions: Versions by package.
    """

    tuned: TunedClassifier
    comparison: SeveralComparison
    calibration: Mapping[str, LabelCalibration]
    leaks: SeveralLeaks | None
    dataset_name: str
    data_notes: Sequence[str]
    created: str
    command: str
    versions: Mapping[str, str]

    @property
    def title(self) -> str:
        """The heading."""
        return f"{self.tuned.name}, fine-tuned on {self.dataset_name}"

    @property
    def _notes(self) -> list[str]:
        return [
            thresholds_sentence(self.tuned.task, self.tuned.labels),
            calibration_sentence(self.calibration),
            *notes(self.comparison),
        ]

    @property
    def _verdict(self) -> list[str]:
        return verdict(self.comparison, leaks=self.leaks)

    @property
    def _tables(self) -> list[TextTable]:
        return [*several_tables(self.comparison), calibration_table(self.calibration)]

    def page(self) -> str:
        """Return report.html."""
        return render_page(
            _TEMPLATE,
            title=self.title,
            subtitle=f"Made with emotune on {self.created}. Several labels per row.",
            verdict=self._verdict,
            tables=list(map(_shown, self._tables)),
            notes=self._notes,
            data_notes=list(self.data_notes),
            costs=costs(self.tuned.training),
            commands=[self.command or "emotune run"],
            versions=dict(self.versions),
        )

    def card(self) -> str:
        """Return README.md: YAML front matter that the Hub reads, then Markdown."""
        from huggingface_hub import ModelCardData

        method, tuned = self.tuned.method, self.tuned
        on_hub = tuned.revision is not None or is_hub_id(tuned.name, with_owner=True)
        data = ModelCardData(
            library_name=library(method),
            pipeline_tag=TASK,
            tags=[*tags(method), "multi-label"],
            base_model=tuned.name if on_hub else None,
            base_model_relation=relation(method) if on_hub else None,
            datasets=[self.dataset_name] if is_hub_id(self.dataset_name, with_owner=True) else None,
            metrics=["f1", "precision", "recall"],
        )
        lines = [
            f"---\n{data.to_yaml()}\n---",
            f"# {_plain(self.title)}",
            f"A classifier that gives a text any number of the labels {_plain(', '.join(tuned.labels))}. "
            f"Transformers calls this `multi_label_classification`. {_plain(self._notes[0])}",
            *map(_plain, self._verdict),
            *map(markdown_table, self._tables),
            *(f"- {_plain(note)}" for note in (*self._notes[1:], *self.data_notes)),
            f"Made with emotune on {self.created}.",
        ]
        return "\n\n".join(lines) + "\n"


def comparison_page(comparisons: Sequence[SeveralComparison], remarks: Sequence[str], command: str) -> str:
    """Return the page of a comparison of saved models.

    Args:
        comparisons: Each later model against the first.
        remarks: Sentences on the models.
        command: The command that made the page.
    """
    first, several = comparisons[0].before.name, len(comparisons) > 1
    tables = []
    for found in comparisons:
        scores, *others = map(_shown, several_tables(found))
        if several:  # the titles of the others name the model
            scores["title"] = f"Scores of '{found.after.name}'"
        tables += [scores, *others]
    return render_page(
        _TEMPLATE,
        title=f"{len(comparisons)} comparisons" if several else f"{comparisons[0].after.name} against {first}",
        subtitle="Saved predictions, row by row. Several labels per row."
        + (" Intervals are not corrected for the number of comparisons." if several else ""),
        verdict=[sentence for found in comparisons for sentence in verdict(found)],
        tables=tables,
        notes=list(dict.fromkeys([*remarks, *(note for found in comparisons for note in notes(found))])),
        data_notes=[],
        costs={},
        commands=[command] if command else [],
        versions=versions(),
    )


def _shown(table: TextTable) -> dict[str, Any]:
    """Return a table for the template."""
    return {
        "title": table.title,
        "headings": table.headings,
        "rows": [[str(cell) for cell in row] for row in table.rows],
        "note": table.note,
    }


def _plain(text: str) -> str:
    """Return text that Markdown shows literally."""
    escaped = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_{}[]#|~$!" else c for c in escaped)

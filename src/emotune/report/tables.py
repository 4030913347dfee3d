"""Tables for the terminal: the data, the scores, before against after, and the cost of training.

Each function returns a Rich renderable; `render` turns it into plain text. User text (labels, names) becomes
`rich.text.Text`, so that brackets in it are not markup, and is escaped, so that it cannot control the terminal.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from emotune.data.dataset import Split, TextDataset
from emotune.evaluation.comparison import Comparison
from emotune.evaluation.leaks import Leaks
from emotune.evaluation.scores import Evaluation, absent_classes
from emotune.evaluation.words.formats import (
    LONGEST_NAME,
    duration,
    memory,
    nats,
    percent,
    share,
)
from emotune.evaluation.words.ordered import ordered_scores
from emotune.evaluation.words.tables import LOSS, Footnotes, Verdict, comparison_parts, rows_of
from emotune.evaluation.words.texts import Change, TextTable
from emotune.folder.record import TrainingRecord
from emotune.system.text import printable
from emotune.system.wording import counted


def render(renderable: RenderableType, width: int = 100, color: bool = False) -> str:
    """Render to text without a final line end, independent of the terminal and the environment.

    Args:
        renderable: A result of this module, or anything else that Rich can show.
        width: Columns of the page.
        color: Keep colours, as terminal escape codes.
    """
    page = io.StringIO()
    console = Console(
        file=page,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        legacy_windows=False,
    )
    console.print(renderable)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()).strip("\n")


def scores_line(evaluation: Evaluation) -> str:
    """Return the scores, "accuracy 0.9290, macro-F1 0.8861, loss 0.214 on 2,000 rows of test", and any note."""
    metrics = evaluation.metrics
    figures = [f"accuracy {share(metrics.accuracy)}", f"macro-F1 {share(metrics.macro_f1)}"]
    if metrics.loss is not None:
        figures.append(f"loss {nats(metrics.loss)}")
    line = f"{', '.join(figures)} on {rows_of(evaluation)}"
    return f"{line}. {printable(evaluation.note)}" if evaluation.note else line


def data_table(dataset: TextDataset) -> Table:
    """Return the rows of each class in each split, with totals."""
    table = new_table(
        ["class", *(split.name for split in _shown_splits(dataset))],
        title=f"Rows of {printable(dataset.name)}",
    )
    counts = [split.counts for split in _shown_splits(dataset)]
    for label in dataset.labels:
        table.add_row(_name(label), *(f"{count[label]:,}" for count in counts))
    table.add_section()
    table.add_row("all", *(f"{len(split):,}" for split in _shown_splits(dataset)))
    return table


def _shown_splits(dataset: TextDataset) -> list[Split]:
    """Return the splits that a table shows: not those that cross-validation leaves empty."""
    return [dataset.train] if dataset.folds else list(dataset.splits)


def evaluation_table(evaluation: Evaluation) -> Group:
    """Return the scores of one model: overall, then by class."""
    notes = Footnotes()
    heading = notes.mark(printable(evaluation.name, LONGEST_NAME), evaluation)
    overall = new_table(["score", "value"], title="Scores")
    for name, value in evaluation.metrics.named().items():
        overall.add_row(name, share(value))
    overall.add_row(LOSS, nats(evaluation.metrics.loss))
    for name, shown_value in ordered_scores(evaluation).items():
        overall.add_row(name, shown_value)
    by_class = new_table(["class", "rows", "precision", "recall", "F1"], title="By class")
    for label, found in evaluation.metrics.per_class.items():
        by_class.add_row(
            _name(label), f"{found.support:,}", share(found.precision), share(found.recall), share(found.f1)
        )
    return stacked(
        [
            Text(f"{heading}, scored on {rows_of(evaluation)}."),
            overall,
            by_class,
            *_absent(evaluation),
            *map(Text, notes.lines),
        ]
    )


def comparison_table(comparison: Comparison, *, changes: bool = False, leaks: Leaks | None = None) -> Group:
    """Return before against after: overall scores, baselines, scores by class, and the rows that changed sides.

    A score whose evaluation has a note is followed by a number in brackets everywhere, and the note is printed below.

    Args:
        comparison: Both models.
        changes: Also show the changes of each class, with their p-values.
        leaks: The comparison without the rows that repeat a training row, for the verdict.
    """
    return stacked(shown(part) for part in comparison_parts(comparison, changes=changes, leaks=leaks))


def shown(part: str | TextTable | Verdict) -> RenderableType:
    """Return one part of a page for Rich."""
    if isinstance(part, str):
        return Text(part)
    if isinstance(part, Verdict):
        first, *rest = part.sentences
        return Text("\n").join([Text(first, style="bold"), *map(Text, rest)])
    table = new_table(part.headings, title=part.title)
    for row in part.rows:
        table.add_row(*(_cell(cell) for cell in row))
    return Group(table, Text(part.note)) if part.note else table


def _cell(cell: str | Change) -> Text:
    """Return a cell, green for a gain and red for a loss; the sign says the same without colour."""
    if isinstance(cell, str):
        return Text(cell)
    return Text(cell.text, style={True: "green", False: "red", None: ""}[cell.is_gain])


def ranking_table(comparisons: Sequence[Comparison], verdicts: Sequence[str]) -> Group:
    """Return the scores of several models on the same rows, and a verdict on each against the first.

    Args:
        comparisons: Each later model against the first.
        verdicts: One per comparison; their p-values are corrected for the number of comparisons.
    """
    first = comparisons[0].before
    table = new_table(["model", "accuracy", "macro-F1", "loss", "fixed", "broken"], title="Scores")
    changes = [("", ""), *((f"{len(found.fixed):,}", f"{len(found.broken):,}") for found in comparisons)]
    for evaluation, changed in zip([first, *(found.after for found in comparisons)], changes, strict=True):
        metrics = evaluation.metrics
        table.add_row(
            _name(evaluation.name), share(metrics.accuracy), share(metrics.macro_f1), nats(metrics.loss), *changed
        )
    return stacked(
        [
            Text(f"All scored on the same {rows_of(first)}; fixed and broken are counted against the first."),
            table,
            *_absent(first),
            *map(Text, verdicts),
            Text(f"The p-values are corrected for {counted(len(comparisons), 'comparison')} (Holm)."),
        ]
    )


def cost_table(record: TrainingRecord) -> Table:
    """Return the cost of a training: parameters, time, speed, memory."""
    table = Table.grid(padding=(0, 2))
    for name, value in costs(record).items():
        table.add_row(name, Text(value))
    return table


def costs(record: TrainingRecord) -> dict[str, str]:
    """Return the cost of a training, each figure in words by its name."""
    trained = percent(record.trainable_parameters, record.total_parameters)
    stopped = ", stopped early" if record.stopped_early else ""
    return {
        "trained parameters": f"{record.trainable_parameters:,} of {record.total_parameters:,} ({trained})",
        "adapted modules": f"{len(record.target_modules):,}" if record.target_modules else "none",
        "epochs": f"{len(record.epochs)}{stopped}; the best is number {record.best_epoch}"
        if record.is_validated
        else f"{len(record.epochs)}, the median of those that the folds kept",
        "clipped steps": f"{percent(record.clipped_steps, 1)} of all, whose gradient was longer than the limit",
        "time": f"{duration(record.seconds)}, validation included",
        "speed": f"{record.train_examples_per_second:,.1f} examples/s, validation not counted",
        "peak memory": memory(record.peak_memory_bytes),
        "device": printable(record.device),
        "precision": f"{printable(record.precision)} ({printable(record.precision_reason)})",
    }


def new_table(headings: Sequence[str], title: str, *, numbers: bool = True) -> Table:
    """Return an empty table: names to the left, which may wrap, and numbers to the right, which may not.

    Args:
        headings: One per column.
        title: The title.
        numbers: True if the columns after the first hold numbers; else they are text, which may wrap.
    """
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.HORIZONTALS,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        if numbers:
            table.add_column(Text(heading), justify="right", no_wrap=True)
        else:
            table.add_column(Text(heading), overflow="fold")
    return table


def stacked(parts: Iterable[RenderableType]) -> Group:
    """Return the parts below each other, separated by empty lines."""
    spaced = [line for part in parts for line in (part, Text(""))]
    return Group(*spaced[:-1])


def _name(text: str) -> Text:
    return Text(printable(text, LONGEST_NAME))


def _absent(evaluation: Evaluation) -> list[RenderableType]:
    """Return a note on classes without rows in the macro scores; once, since the models of a page share their rows."""
    sentence = absent_classes(evaluation.metrics)
    return [Text(sentence)] if sentence else []

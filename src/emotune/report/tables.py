"""Tables for the terminal: the data, the scores, before against after, and what the training cost.

Each function gives a Rich renderable; `render` turns it into plain text. Whatever a user wrote (labels, names) goes in
as `rich.text.Text`, so brackets in it are not markup, and escaped, so that it cannot steer the terminal.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from emotune.evaluation.scores import absent_classes
from emotune.report.formats import (
    LONGEST_NAME,
    duration,
    magnitude,
    memory,
    nats,
    nats_difference,
    p_number,
    percent,
    points,
    points_number,
    share,
)
from emotune.report.margin import margin_lines
from emotune.report.verdict import of_seeds, sentences
from emotune.system.text import printable
from emotune.system.wording import counted

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.evaluation.comparison import Comparison
    from emotune.evaluation.leaks import Leaks
    from emotune.evaluation.scores import Evaluation
    from emotune.folder.record import TrainingRecord

_LOSS = "loss (cross-entropy), lower is better"


def render(renderable: RenderableType, width: int = 100, color: bool = False) -> str:
    """Render to text without a line end after the last line, the same whatever terminal or environment this runs in.

    Args:
        renderable: What a function of this module gives, or anything else that Rich can show.
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
    """The result in one line: "accuracy 0.9290, macro-F1 0.8861, loss 0.214 on 2,000 rows of test", then any note."""
    metrics = evaluation.metrics
    figures = [f"accuracy {share(metrics.accuracy)}", f"macro-F1 {share(metrics.macro_f1)}"]
    if metrics.loss is not None:
        figures.append(f"loss {nats(metrics.loss)}")
    line = f"{', '.join(figures)} on {_rows_of(evaluation)}"
    return f"{line}. {printable(evaluation.note)}" if evaluation.note else line


def data_table(dataset: TextDataset) -> Table:
    """Rows of each class in each split, with totals."""
    table = new_table(
        ["class", *(split.name for split in dataset.splits)],
        title=f"Rows of {printable(dataset.name)}",
    )
    counts = [split.counts for split in dataset.splits]
    for label in dataset.labels:
        table.add_row(_name(label), *(f"{count[label]:,}" for count in counts))
    table.add_section()
    table.add_row("all", *(f"{len(split):,}" for split in dataset.splits))
    return table


def evaluation_table(evaluation: Evaluation) -> Group:
    """The scores of one model: overall, then by class."""
    notes = _Notes()
    heading = notes.mark(printable(evaluation.name, LONGEST_NAME), evaluation)
    overall = new_table(["score", "value"], title="Scores")
    for name, value in evaluation.metrics.named().items():
        overall.add_row(name, share(value))
    overall.add_row(_LOSS, nats(evaluation.metrics.loss))
    by_class = new_table(["class", "rows", "precision", "recall", "F1"], title="By class")
    for label, found in evaluation.metrics.per_class.items():
        by_class.add_row(
            _name(label), f"{found.support:,}", share(found.precision), share(found.recall), share(found.f1)
        )
    return stacked(
        [Text(f"{heading}, scored on {_rows_of(evaluation)}."), overall, by_class, *_absent(evaluation), *notes.lines]
    )


def comparison_table(comparison: Comparison, *, changes: bool = False, leaks: Leaks | None = None) -> Group:
    """Before against after: overall scores, baselines, scores by class, and the rows that changed sides.

    A score whose evaluation has a note carries a number in brackets wherever it stands, and the note follows below.

    Args:
        comparison: Both models.
        changes: Show the changes of each class too, with their p-values.
        leaks: The comparison without the rows that repeat a training row, which the verdict then speaks of.
    """
    notes = _Notes()
    before = notes.mark("before", comparison.before)
    after = notes.mark("after", comparison.after)
    parts: list[RenderableType] = [
        Text(
            f"Before: {printable(comparison.before.name)}\nAfter:  {printable(comparison.after.name)}\n"
            f"Both scored on the same {_rows_of(comparison.after)}."
        ),
    ]
    if comparison.seeds:
        parts.append(Text(of_seeds(comparison)))
    overall = _overall(comparison, before, after)
    baselines = [_baselines(comparison, notes)] if comparison.baselines else []
    # A difference from chance says little, so that from the baselines comes first.
    parts += [*baselines, overall] if comparison.before.is_chance else [overall, *baselines]
    parts.append(_by_class(comparison, before, after))
    if changes:
        parts.append(_changes(comparison))
    parts += [Text(changed_rows(comparison)), *_absent(comparison.after)]
    parts += notes.lines
    parts += verdict_lines([*sentences(comparison, leaks=leaks), *margin_lines(comparison)])
    return stacked(parts)


def verdict_lines(found: Sequence[str]) -> list[Text]:
    """The sentences of a verdict below each other, the first of them in bold."""
    return [Text("\n").join([Text(found[0], style="bold"), *map(Text, found[1:])])]


def ranking_table(comparisons: Sequence[Comparison], verdicts: Sequence[str]) -> Group:
    """Several models on the same rows: the scores of all, and a verdict on each against the first.

    Args:
        comparisons: Each later model against the first.
        verdicts: One a comparison, their p-values corrected for their number.
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
            Text(f"All scored on the same {_rows_of(first)}; fixed and broken are counted against the first."),
            table,
            *_absent(first),
            *map(Text, verdicts),
            Text(f"The p-values are corrected for {counted(len(comparisons), 'comparison')} (Holm)."),
        ]
    )


def changed_rows(comparison: Comparison) -> str:
    """How many rows the second model got right that the first got wrong, and the other way round, in one sentence."""
    return (
        f"{counted(len(comparison.fixed), 'row')} fixed (wrong before, right after) and "
        f"{counted(len(comparison.broken), 'row')} broken (right before, wrong after) "
        f"of {len(comparison.after.split):,}."
    )


def cost_table(record: TrainingRecord) -> Table:
    """What the training trained and what it cost: parameters, time, speed, memory."""
    table = Table.grid(padding=(0, 2))
    for name, value in costs(record).items():
        table.add_row(name, Text(value))
    return table


def costs(record: TrainingRecord) -> dict[str, str]:
    """What the training cost, each figure in words by its name."""
    trained = percent(record.trainable_parameters, record.total_parameters)
    stopped = ", stopped early" if record.stopped_early else ""
    return {
        "trained parameters": f"{record.trainable_parameters:,} of {record.total_parameters:,} ({trained})",
        "adapted modules": f"{len(record.target_modules):,}" if record.target_modules else "none",
        "epochs": f"{len(record.epochs)}{stopped}; the best is number {record.best_epoch}",
        "clipped steps": f"{percent(record.clipped_steps, 1)} of all, whose gradient was longer than the limit",
        "time": f"{duration(record.seconds)}, validation included",
        "speed": f"{record.train_examples_per_second:,.1f} examples/s, validation not counted",
        "peak memory": memory(record.peak_memory_bytes),
        "device": printable(record.device),
        "precision": f"{printable(record.precision)} ({printable(record.precision_reason)})",
    }


class _Notes:
    """The footnotes of one page: each evaluation's note once, numbered in the order in which the marks were made."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def mark(self, heading: str, evaluation: Evaluation) -> str:
        """The heading, with the number of the evaluation's note behind it if it has one."""
        if not evaluation.note:
            return heading
        if evaluation.note not in self._texts:
            self._texts.append(evaluation.note)
        return f"{heading} [{self._texts.index(evaluation.note) + 1}]"

    @property
    def lines(self) -> list[RenderableType]:
        return [Text(f"[{number}] {printable(text)}") for number, text in enumerate(self._texts, start=1)]


def _overall(comparison: Comparison, before_heading: str, after_heading: str) -> Table:
    table = new_table(["score", before_heading, after_heading, "difference"], title="Scores")
    before, after = comparison.before.metrics, comparison.after.metrics
    old, new = before.named(), after.named()
    for name in old:
        table.add_row(name, share(old[name]), share(new[name]), _signed(points(old[name], new[name])))
    loss_difference = nats_difference(before.loss, after.loss)
    table.add_row(_LOSS, nats(before.loss), nats(after.loss), _signed(loss_difference, lower_is_better=True))
    return table


def _baselines(comparison: Comparison, notes: _Notes) -> Table:
    table = new_table(
        ["model", "accuracy", "macro-F1", "lead", "time", "size"],
        title="Baselines on the same rows, and by how many points of accuracy the second model leads",
    )
    after = comparison.after.metrics
    for baseline in comparison.baselines:
        found = baseline.metrics
        table.add_row(
            Text(notes.mark(printable(baseline.name, LONGEST_NAME), baseline)),
            share(found.accuracy),
            share(found.macro_f1),
            _signed(points_number(after.accuracy - found.accuracy)),
            duration(baseline.seconds),
            magnitude(baseline.parameters),
        )
    return table


def _by_class(comparison: Comparison, before_heading: str, after_heading: str) -> Table:
    # Two lines per class rather than two columns per score: eight columns of numbers do not fit a narrow terminal.
    table = new_table(["class", "rows", "", "precision", "recall", "F1"], title="By class")
    for label, old in comparison.before.metrics.per_class.items():
        new = comparison.after.metrics.per_class[label]
        table.add_row(
            _name(label),
            f"{old.support:,}",
            Text(before_heading),
            share(old.precision),
            share(old.recall),
            share(old.f1),
        )
        table.add_row("", "", Text(after_heading), share(new.precision), share(new.recall), share(new.f1))
    return table


def _changes(comparison: Comparison) -> Group:
    table = new_table(["class", "rows", "fixed", "broken", "recall, points", "p"], title="Changes by class")
    for label, change in comparison.statistics.per_class.items():
        table.add_row(
            _name(label),
            f"{change.support:,}",
            f"{change.fixed:,}",
            f"{change.broken:,}",
            _signed(points_number(change.recall_difference)),
            p_number(change.adjusted_p),
        )
    return Group(table, Text("p: McNemar's mid-p on the rows of a class, corrected for the number of classes (Holm)."))


def new_table(headings: Sequence[str], title: str, *, numbers: bool = True) -> Table:
    """An empty table: names to the left, which may wrap, and numbers to the right, which may not.

    Args:
        headings: One per column.
        title: The title.
        numbers: Whether the columns but the first hold numbers; else they are text, which may wrap.
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
    """The parts below each other with an empty line between them."""
    spaced = [line for part in parts for line in (part, Text(""))]
    return Group(*spaced[:-1])


def _name(text: str) -> Text:
    return Text(printable(text, LONGEST_NAME))


def _signed(difference: str, *, lower_is_better: bool = False) -> Text:
    """A difference in green where it is a gain and red where it is a loss; the sign says the same without colour."""
    style = {"+": "red", "-": "green"} if lower_is_better else {"+": "green", "-": "red"}
    unchanged = not any(digit in difference for digit in "123456789")
    return Text(difference, style="" if unchanged else style.get(difference[0], ""))


def _absent(evaluation: Evaluation) -> list[RenderableType]:
    """What classes without rows do to the macro scores; the models of one page share their rows, so it is said once."""
    sentence = absent_classes(evaluation.metrics)
    return [Text(sentence)] if sentence else []


def _rows_of(evaluation: Evaluation) -> str:
    return f"{counted(len(evaluation.split), 'row')} of {printable(evaluation.split.name)}"

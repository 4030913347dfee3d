"""A comparison as parts of a page: paragraphs, tables of cells, and the verdict; also as plain text.

`emotune.report.tables` shows the same parts in colour.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from emotune.evaluation.comparison import Comparison
from emotune.evaluation.leaks import Leaks
from emotune.evaluation.rivals import ACCURACY, MACRO_F1, score_differences
from emotune.evaluation.scores import Evaluation, absent_classes, accuracy_interval
from emotune.evaluation.words.folds import folds_sentences, folds_table
from emotune.evaluation.words.formats import (
    LONGEST_NAME,
    duration,
    interval_bounds,
    magnitude,
    nats,
    nats_difference,
    p_number,
    points_number,
    share,
    signed_points,
)
from emotune.evaluation.words.margin import margin_lines
from emotune.evaluation.words.ordered import order_table
from emotune.evaluation.words.texts import Change, TextTable
from emotune.evaluation.words.verdict import of_seeds, sentences
from emotune.statistics.paired import Interval
from emotune.system.text import printable
from emotune.system.wording import counted

LOSS = "loss (cross-entropy), lower is better"
_WIDTH = 100
_GAP = "   "


@dataclass(frozen=True)
class Verdict:
    """Verdict of a comparison.

    Attributes:
        sentences: Its sentences, the most important first.
    """

    sentences: Sequence[str]


class Footnotes:
    """Footnotes of one page: each evaluation's note once, numbered in the order of the marks."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def mark(self, heading: str, evaluation: Evaluation) -> str:
        """Return the heading, followed by the number of the evaluation's note if it has one."""
        if not evaluation.note:
            return heading
        if evaluation.note not in self._texts:
            self._texts.append(evaluation.note)
        return f"{heading} [{self._texts.index(evaluation.note) + 1}]"

    @property
    def lines(self) -> list[str]:
        """Return the notes, each after its number."""
        return [f"[{number}] {printable(text)}" for number, text in enumerate(self._texts, start=1)]


def comparison_text(comparison: Comparison) -> str:
    """Return before against after in plain text, without a line end after the last line."""
    return "\n\n".join(map(plain_part, comparison_parts(comparison)))


def comparison_parts(
    comparison: Comparison, *, changes: bool = False, leaks: Leaks | None = None
) -> list[str | TextTable | Verdict]:
    """Return before against after: overall scores, baselines, scores by class, and the rows that changed sides.

    A score whose evaluation has a note is followed by a number in brackets everywhere, and the note is printed below.

    Args:
        comparison: Both models.
        changes: Also show the changes of each class, with their p-values.
        leaks: The comparison without the rows that repeat a training row, for the verdict.
    """
    notes = Footnotes()
    before = notes.mark("before", comparison.before)
    after = notes.mark("after", comparison.after)
    parts: list[str | TextTable | Verdict] = [
        f"Before: {printable(comparison.before.name)}\nAfter:  {printable(comparison.after.name)}\n"
        f"Both scored on the same {rows_of(comparison.after)}."
    ]
    if comparison.folds is not None:
        parts[0] = "\n".join(folds_sentences(comparison))
    if comparison.seeds:
        parts.append(of_seeds(comparison))
    overall = _overall(comparison, before, after)
    baselines = [_baselines(comparison, notes)] if comparison.baselines else []
    if comparison.folds is not None:
        parts.append(folds_table(comparison))
    else:
        # A difference from chance says little, so the difference from the baselines comes first.
        parts += [*baselines, overall] if comparison.before.is_chance else [overall, *baselines]
    parts += filter(None, [order_table(comparison, before, after)])
    parts.append(_by_class(comparison, before, after))
    if changes:
        parts.append(_changes(comparison))
    parts.append(changed_rows(comparison))
    parts += filter(None, [absent_classes(comparison.after.metrics)])
    parts += notes.lines
    parts.append(Verdict([*sentences(comparison, leaks=leaks), *margin_lines(comparison)]))
    return parts


def results_table(comparison: Comparison) -> TextTable:
    """Return the scores of all models of a comparison with their intervals, the second model first.

    The lead is that of the second model over each other one, from paired rows; there is none over a model that is
    chance.
    """
    if comparison.folds is not None:
        return folds_table(comparison)
    models = (comparison.after, *comparison.baselines, comparison.before)
    return TextTable(
        f"Results on {rows_of(comparison.after)}",
        ["model", "accuracy", "95 % interval", "macro-F1", "lead in accuracy", "lead in macro-F1"],
        [
            (
                printable(model.name, LONGEST_NAME) + (", chance" if model.is_chance else ""),
                share(model.metrics.accuracy),
                _shares(accuracy_interval(model)),
                share(model.metrics.macro_f1),
                *_leads(comparison, model),
            )
            for model in models
        ],
        f"Leads are those of {printable(comparison.after.name, LONGEST_NAME)}, in points, with their 95 % intervals.",
    )


def _leads(comparison: Comparison, model: Evaluation) -> tuple[str, str]:
    """Return the second model's lead in accuracy and in macro-F1 over another, each with its interval."""
    if model is comparison.after or model.is_chance:
        return "", ""
    found = {
        difference.score: f"{points_number(difference.interval.estimate)} ({interval_bounds(difference.interval)})"
        for difference in score_differences(comparison, model)
    }
    return found[ACCURACY], found.get(MACRO_F1, "no interval")


def _shares(interval: Interval) -> str:
    return f"{share(interval.low)} to {share(interval.high)}"


def changed_rows(comparison: Comparison) -> str:
    """Return one sentence with the numbers of fixed and of broken rows."""
    return (
        f"{counted(len(comparison.fixed), 'row')} fixed (wrong before, right after) and "
        f"{counted(len(comparison.broken), 'row')} broken (right before, wrong after) "
        f"of {len(comparison.after.split):,}."
    )


def rows_of(evaluation: Evaluation) -> str:
    """Return the number of rows scored and their split: "2,000 rows of test"."""
    return f"{counted(len(evaluation.split), 'row')} of {printable(evaluation.split.name)}"


def _overall(comparison: Comparison, before_heading: str, after_heading: str) -> TextTable:
    before, after = comparison.before.metrics, comparison.after.metrics
    old, new = before.named(), after.named()
    rows: list[tuple[str | Change, ...]] = [
        (name, share(old[name]), share(new[name]), Change(signed_points(new[name] - old[name]))) for name in old
    ]
    loss = Change(nats_difference(before.loss, after.loss), lower_is_better=True)
    rows.append((LOSS, nats(before.loss), nats(after.loss), loss))
    return TextTable("Scores", ["score", before_heading, after_heading, "difference"], rows)


def _baselines(comparison: Comparison, notes: Footnotes) -> TextTable:
    after = comparison.after.metrics
    return TextTable(
        "Baselines on the same rows, and by how many points of accuracy the second model leads",
        ["model", "accuracy", "macro-F1", "lead", "time", "size"],
        [
            (
                notes.mark(printable(baseline.name, LONGEST_NAME), baseline),
                share(baseline.metrics.accuracy),
                share(baseline.metrics.macro_f1),
                Change(points_number(after.accuracy - baseline.metrics.accuracy)),
                duration(baseline.seconds),
                magnitude(baseline.parameters),
            )
            for baseline in comparison.baselines
        ],
    )


def _by_class(comparison: Comparison, before_heading: str, after_heading: str) -> TextTable:
    # Two lines per class instead of two columns per score: eight columns of numbers do not fit a narrow terminal.
    rows: list[tuple[str, ...]] = []
    for label, old in comparison.before.metrics.per_class.items():
        new = comparison.after.metrics.per_class[label]
        for name, support, heading, found in (
            (printable(label, LONGEST_NAME), f"{old.support:,}", before_heading, old),
            ("", "", after_heading, new),
        ):
            rows.append((name, support, heading, share(found.precision), share(found.recall), share(found.f1)))
    title = "By class" if comparison.folds is None or comparison.folds.repeats == 1 else "By class, in the first repeat"
    return TextTable(title, ["class", "rows", "", "precision", "recall", "F1"], rows)


def _changes(comparison: Comparison) -> TextTable:
    return TextTable(
        "Changes by class",
        ["class", "rows", "fixed", "broken", "recall, points", "p"],
        [
            (
                printable(label, LONGEST_NAME),
                f"{change.support:,}",
                f"{change.fixed:,}",
                f"{change.broken:,}",
                Change(points_number(change.recall_difference)),
                p_number(change.adjusted_p),
            )
            for label, change in comparison.statistics.per_class.items()
        ],
        "p: McNemar's mid-p on the rows of a class, corrected for the number of classes (Holm).",
    )


def plain_part(part: str | TextTable | Verdict) -> str:
    """Return one part of a page in plain text."""
    if isinstance(part, str):
        return _wrapped(part)
    if isinstance(part, Verdict):
        return "\n".join(map(_wrapped, part.sentences))
    lines = [list(part.headings), *([str(cell) for cell in row] for row in part.rows)]
    widths = [max(map(_columns, column)) for column in zip(*lines, strict=True)]
    aligned = [_GAP.join(_aligned(row, widths)).rstrip() for row in lines]
    rule = "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    return "\n".join(filter(None, [_wrapped(part.title), aligned[0], rule, *aligned[1:], _wrapped(part.note)]))


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Pad the cells of a row: the first to the left, the others to the right."""
    padding = [" " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True)]
    return [row[0] + padding[0], *(space + cell for cell, space in zip(row[1:], padding[1:], strict=True))]


def _columns(text: str) -> int:
    """Return the terminal columns of a text: two for most East Asian characters, none for combining characters."""
    return sum(
        0
        if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Cf")
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def _wrapped(text: str) -> str:
    """Wrap text to lines of at most 100 characters, if its words allow it."""
    return "\n".join(textwrap.fill(line, _WIDTH, break_on_hyphens=False) for line in text.splitlines())

"""`compare`: put evaluations of the same rows side by side, and summarize the differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import cast

from emotune.evaluation.comparison import Comparison
from emotune.evaluation.label_order import with_labels_of
from emotune.evaluation.margin import checked_margin
from emotune.evaluation.scores import Evaluation
from emotune.evaluation.several import SeveralComparison
from emotune.evaluation.words.several import notes, several_tables, verdict
from emotune.evaluation.words.tables import Verdict, comparison_text, plain_part
from emotune.evaluation.words.texts import TextTable
from emotune.system.errors import ConfigError, DataError
from emotune.system.wording import counted


@dataclass(frozen=True, eq=False)
class PrintedComparison(Comparison):
    """A comparison that prints as its tables and its verdict, in plain text."""

    def __str__(self) -> str:
        return comparison_text(self)


@dataclass(frozen=True, eq=False)
class PrintedSeveralComparison(SeveralComparison):
    """A comparison of rows with several labels that prints as its tables and its verdict, in plain text."""

    def __str__(self) -> str:
        parts: list[str | TextTable | Verdict] = [*several_tables(self), *notes(self), Verdict(verdict(self))]
        return "\n\n".join(map(plain_part, parts))


def compare(
    before: Evaluation, after: Evaluation, *baselines: Evaluation, margin: float | None = None
) -> PrintedComparison:
    """Put two evaluations side by side, and baselines with them.

    Models with the same name are numbered, so that they can be told apart. Labels in another order than those of the
    first model are matched by their names. Of rows with several labels the result is a
    `SeveralComparison`.

    Args:
        before: The first model.
        after: The second.
        baselines: Further models.
        margin: Also test whether the second model is not worse than the others by more than this many points of
            accuracy, and equivalent to them within this margin; 1 is one percentage point.

    Raises:
        DataError: The evaluations are of different rows or label sets; or an argument is not an evaluation.
        ConfigError: The margin is not between 0 and 100.
    """
    if margin is not None:
        checked_margin(margin)
    for given in (before, after, *baselines):
        if not isinstance(given, Evaluation):
            raise DataError(
                f"compare takes what evaluate returns, and was given {type(given).__name__}. Score each model on the same rows first: "
                "compare(evaluate(first, data.test), evaluate(second, data.test)). Saved folders are compared by emotune compare."
            )
    after, *others = (with_labels_of(before, other) for other in (after, *baselines))
    for other in (after, *others):
        if other.split.labels != before.split.labels:
            raise DataError(f"Cannot compare '{before.name}' with '{other.name}': {_how_labels_differ(before, other)}")
        if other.split.fingerprint != before.split.fingerprint:
            raise DataError(
                f"Cannot compare '{before.name}' with '{other.name}': they were scored on different rows. "
                f"{_how_they_differ(before, other)}"
            )
    before, after, *others = _told_apart([before, after, *others])
    if before.split.task.several:
        if margin is not None:
            raise ConfigError("A margin is about accuracy, and these rows have several labels. Leave it out.")
        return cast(PrintedComparison, PrintedSeveralComparison(before, after, tuple(others)))
    return PrintedComparison(before, after, tuple(others), margin=margin)


def _told_apart(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the evaluations; those that share a name are numbered in order: 'tuned (1)', 'tuned (2)'."""
    names = Counter(found.name for found in evaluations)
    taken = {name for name, times in names.items() if times == 1}
    apart = []
    for found in evaluations:
        if names[found.name] == 1:
            apart.append(found)
            continue
        name = next(name for i in count(1) if (name := f"{found.name} ({i})") not in taken)
        taken.add(name)
        apart.append(replace(found, name=name))
    return apart


def _how_labels_differ(before: Evaluation, other: Evaluation) -> str:
    """Return the difference between the labels of two evaluations, and what to do about it."""
    first, second = before.split.labels, other.split.labels
    both = f"({', '.join(first)} against {', '.join(second)})"
    if set(first) == set(second):
        return f"their labels have a meaningful order, and it differs {both}. Train both with the same --labels."
    return f"their labels differ {both}. Score both on the same data."


def _how_they_differ(before: Evaluation, other: Evaluation) -> str:
    """Return the difference between the rows of two evaluations, and what to do about it."""
    first, second = before.split, other.split
    texts, others = Counter(first.texts), Counter(second.texts)
    rows, other_rows = (
        Counter(zip(part.texts, part.task.names(part.label_ids, part.labels), strict=True)) for part in (first, second)
    )
    if rows == other_rows:
        return f"Both have the same {len(first):,} rows, in another order. Score both on the same file."
    if texts == others:
        changed = len(first) - (rows & other_rows).total()
        order = "" if first.texts == second.texts else ", in another order"
        return (
            f"Both have the same {len(first):,} texts{order}, and {changed:,} of them under another label. "
            "Score both on the same labels."
        )
    return (
        f"'{before.name}' has {counted(len(first), 'row')} of {first.name}, and '{other.name}' {counted(len(second), 'row')} "
        f"of {second.name}, "
        f"with {counted((texts & others).total(), 'text')} in common. Score both on the same split."
    )

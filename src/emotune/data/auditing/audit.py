"""Audit labelled data before compute is spent on it: repeats, contradictions, leaks, likely label errors, shortcuts.

An audit changes nothing; `emotune.data.auditing.clean` writes a cleaned copy from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from emotune.data.auditing.label_errors import SuspectLabel, find_label_errors
from emotune.data.auditing.located import Place, Row
from emotune.data.auditing.shortcuts import Shortcut, find_shortcuts
from emotune.data.auditing.together import Together
from emotune.data.columns import UnlabelledError
from emotune.data.dataset import SPLIT_NAMES, TextDataset
from emotune.data.duplicates import Groups, find_duplicates
from emotune.data.groups import Crossing, Names, crossings, group_names, missing_note
from emotune.data.label_names import label_findings
from emotune.data.lengths import Lengths
from emotune.data.load import left_out_note, open_splits, reading_notes, times_of
from emotune.data.options import DataSource
from emotune.data.places.memory import called
from emotune.data.renaming import renaming_notes
from emotune.data.rows import AllRows, UnusableRow, none_usable, read_all
from emotune.data.several import LabelSets, note_on_kind, one_each
from emotune.data.splits.by_time import period_notes
from emotune.data.tokens import TokenCounts
from emotune.system.errors import DataError
from emotune.system.pairs import TextPair
from emotune.system.wording import counted, listed
from emotune.tasks.judges import Features

KINDS = ("exact", "trivial", "near")
# Words that programs write for a missing value, in lower case.
_PLACEHOLDERS = frozenset({"nan", "none", "null", "#n/a", "n/a", "<na>", "nat", "\\n"})
NO_TRAINING = (
    "There is no train split, so these were not looked for: leaks into training, training texts under different labels, "
    "labels that are probably wrong, and features that give a class away."
)

SEVERAL = (
    "Rows have several labels, so these were not looked for: labels that are probably wrong, and features that give a "
    "class away."
)


@dataclass(frozen=True)
class Repeat:
    """A row whose text occurs earlier in the data.

    Attributes:
        row: The row.
        first: The row that it repeats: the first of its group in the same split, or for a leak in the other split.
        kind: "exact", "trivial" (up to case, punctuation and spaces), or "near" (defined in `emotune.data.duplicates`;
            a chain of near texts may connect the two).
    """

    row: Row
    first: Row
    kind: str


@dataclass(frozen=True)
class Contradiction:
    """One text with several labels.

    Attributes:
        text: The text; the texts of the other rows may differ in case and punctuation.
        rows: Its rows, of all labels.
    """

    text: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Audit:
    """Result of an audit.

    Attributes:
        name: The data's name.
        rows: All usable rows, split after split.
        groups: The groups of rows that repeat each other.
        counts: Usable rows per label, by split.
        lengths: Words per text, by split.
        unusable: Rows that cannot be trained or scored on, by split.
        repeats: Rows that repeat an earlier row of their own split, in the order of the data.
        leaks: Validation and test rows whose text is in training.
        validation_leaks: Test rows whose text is in validation, where settings are chosen; it may be in training too.
        contradictions: Training texts with several labels.
        label_errors: Training rows whose label is probably wrong, most suspicious first; None if they were not
            searched.
        shortcuts: Features of training texts that give a class away.
        notes: Notes on choices in reading the data, and on checks that were not made, with reasons.
        tokens: Lengths of the texts in a model's tokens (`emotune.data.tokens`); None if no model was named.
        label_findings: Suspicious features of the labels' names, one sentence each.
        placeholders: Rows whose text is a word for a missing one, such as "nan".
        shared_sides: Of pairs of texts, how many have one of their texts in common with training, one sentence per split.
        crossings: Rows whose group is in another split as well; empty without a column of groups.
        group_column: The column of groups.
        further: The cells of the columns of groups and times, in the order of `rows`, by column.
        label_sets: The labels of each of `rows`, if rows have several; `Row.label` then joins them.
    """

    name: str
    rows: tuple[Row, ...]
    groups: Groups
    counts: Mapping[str, Mapping[str, int]]
    lengths: Mapping[str, Lengths]
    unusable: Mapping[str, tuple[UnusableRow, ...]]
    repeats: tuple[Repeat, ...]
    leaks: tuple[Repeat, ...]
    validation_leaks: tuple[Repeat, ...]
    contradictions: tuple[Contradiction, ...]
    label_errors: tuple[SuspectLabel, ...] | None
    shortcuts: tuple[Shortcut, ...]
    notes: tuple[str, ...]
    tokens: TokenCounts | None = None
    label_findings: tuple[str, ...] = ()
    placeholders: tuple[Row, ...] = ()
    shared_sides: tuple[str, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    group_column: str | None = None
    further: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    label_sets: LabelSets | None = None

    @cached_property
    def together(self) -> Together | None:
        """Labels per row, and labels that come together; None if rows have one label each."""
        if self.label_sets is None:
            return None
        sets: dict[str, list[tuple[str, ...]]] = {split: [] for split in self.counts}
        for row, names in zip(self.rows, self.label_sets, strict=True):
            sets[row.place.split].append(names)
        return Together.of(sets)

    def texts(self) -> dict[str, list[str]]:
        """The usable texts of each split."""
        return {split: [row.text for row in self.rows if row.place.split == split] for split in self.counts}

    def leaked(self, split: str, kinds: Sequence[str] = KINDS) -> list[int]:
        """Return the numbers of the rows of a split whose text is in training."""
        return [leak.row.place.number for leak in self.leaks if leak.row.place.split == split and leak.kind in kinds]

    def leaked_rows(self, split: str) -> list[int]:
        """Return the same for data in memory, counted from 0 as in arrays."""
        return [number - 1 for number in self.leaked(split)]

    def repeated(self, split: str, kinds: Sequence[str] = KINDS) -> list[Repeat]:
        """Return the repeats in a split."""
        return [repeat for repeat in self.repeats if repeat.row.place.split == split and repeat.kind in kinds]


def audit_data(data: TextDataset, *, label_errors: bool = False) -> Audit:
    """Audit a data set in memory; its rows are numbered from 1 in each split.

    Args:
        data: The data.
        label_errors: Look for likely label errors; this trains a few small classifiers.
    """
    rows = [
        Row(Place(split.name, number), text, label)
        for split in data.splits
        for number, (text, label) in enumerate(
            zip(split.texts, split.task.names(split.label_ids, split.labels), strict=True), start=1
        )
    ]
    sets = (
        tuple(tuple(names) for split in data.splits for names in split.task.written(split.label_ids, split.labels))
        if data.task.several
        else None
    )
    known = None if data.known_groups is None else data.known_groups.of([split.texts for split in data.splits])
    audit = _audit(data.name, rows, {}, label_errors, known, label_sets=sets)
    if not data.train.groups:
        return audit
    return replace(
        audit,
        crossings=tuple(crossings({split.name: split.groups for split in data.splits})),
        group_column=data.group_column,
    )


def audit_source(
    source: str | Path | DataSource,
    *,
    label_errors: bool = True,
    features: Callable[[Sequence[str]], Features] | None = None,
) -> Audit:
    """Audit a source as it is, including rows that cannot be used; nothing is cut from training.

    Args:
        source: As for `load_data`; a `DataSource` also says how the source is read.
        label_errors: Look for likely label errors.
        features: Computes a model's features of texts, for a better judge of labels than words only.

    Raises:
        DataError: The data cannot be read at all, or no row of a split can be used.
        ConfigError: The longest text accepted is out of range.
        HubError: The Hub cannot be reached, or does not have the data set.
    """
    asked = source if isinstance(source, DataSource) else DataSource(source=source)
    found, tables = open_splits(asked)
    if not set(SPLIT_NAMES) & set(tables):
        raise DataError(
            f"{called(asked.source)} has none of the splits {', '.join(SPLIT_NAMES)}. What it has: {listed(tables)}."
        )
    rows: list[Row] = []
    unusable = {}
    columns = {}
    reads: dict[str, AllRows] = {}
    notes: list[str] = []
    for split in SPLIT_NAMES:
        if split not in tables:
            continue
        try:
            read = read_all(tables[split], asked)
            if not read.texts:
                raise none_usable(tables[split], split, read)
        except UnlabelledError as error:
            notes.append(left_out_note(asked, tables, split, error))
            continue
        unusable[split] = read.unusable
        columns[split] = read.columns
        reads[split] = read
        notes += read.notes
        rows += [
            Row(Place(split, number), text, label)
            for number, text, label in zip(read.numbers, read.texts, read.names, strict=True)
        ]
    notes += renaming_notes(asked.map, [read.found for read in reads.values()])
    groups: dict[str, Names] = {}
    if asked.group_column is not None:
        groups = {split: group_names(read.further[asked.group_column], read.places) for split, read in reads.items()}
        notes += missing_note(asked.group_column, groups)
    if asked.time_column is not None:
        notes += period_notes(times_of(reads, asked.time_column), asked.time_column)
    label_sets = _label_sets(reads)
    if any(read.several is not None for read in reads.values()):
        notes.append(note_on_kind({split: read.label_sets for split, read in reads.items()}, single=label_sets is None))
    audit = _audit(found.name, rows, unusable, label_errors, features=features, label_sets=label_sets)
    return replace(
        audit,
        notes=(*found.notes, *reading_notes(tables, columns), *notes, *audit.notes),
        crossings=tuple(crossings(groups)),
        group_column=asked.group_column,
        further={
            column: tuple(cell for read in reads.values() for cell in read.further[column]) for column in asked.further
        },
    )


def _label_sets(reads: Mapping[str, AllRows]) -> LabelSets | None:
    """Return the labels of each row of all splits if rows have several, else None."""
    if all(read.several is None for read in reads.values()) or one_each(read.label_sets for read in reads.values()):
        return None
    return tuple(chain.from_iterable(read.label_sets for read in reads.values()))


def _audit(
    name: str,
    rows: Sequence[Row],
    unusable: Mapping[str, tuple[UnusableRow, ...]],
    label_errors: bool,
    groups: Groups | None = None,
    features: Callable[[Sequence[str]], Features] | None = None,
    label_sets: LabelSets | None = None,
) -> Audit:
    """Audit rows; `label_sets` are the labels of each, if rows have several."""
    if groups is None:
        groups = find_duplicates([row.text for row in rows])
    splits = [split for split in SPLIT_NAMES if any(row.place.split == split for row in rows)]
    counts: dict[str, Counter[str]] = {split: Counter() for split in splits}
    for row, names in zip(rows, label_sets or ((row.label,) for row in rows), strict=True):
        counts[row.place.split].update(names)
    in_split = {split: np.array([row.place.split == split for row in rows], dtype=bool) for split in splits}
    train = [row for row in rows if row.place.split == "train"]
    errors: tuple[SuspectLabel, ...] | None = None
    notes: list[str] = []
    if not train:
        notes = [NO_TRAINING]
    elif label_sets is not None:
        notes = [SEVERAL]
    elif label_errors:
        errors, notes = find_label_errors(train, groups.near[in_split["train"]], features)
    return Audit(
        name=name,
        rows=tuple(rows),
        groups=groups,
        counts={split: dict(found) for split, found in counts.items()},
        lengths={split: Lengths.of(groups.words[mask]) for split, mask in in_split.items()},
        unusable=unusable,
        repeats=tuple(_repeats(rows, groups)),
        leaks=tuple(_leaks(rows, groups, "train", ("validation", "test"))),
        validation_leaks=tuple(_leaks(rows, groups, "validation", ("test",))),
        contradictions=tuple(_contradictions(rows, groups)),
        label_errors=errors,
        shortcuts=find_shortcuts(train, groups.trivial[in_split["train"]]) if train and label_sets is None else (),
        notes=tuple(notes),
        label_findings=tuple(label_findings(sum(counts.values(), Counter()))),
        label_sets=label_sets,
        shared_sides=tuple(_shared_sides(rows)),
        placeholders=tuple(row for row in rows if row.text.strip().lower() in _PLACEHOLDERS),
    )


def _repeats(rows: Sequence[Row], groups: Groups) -> Iterator[Repeat]:
    """Yield the rows that repeat an earlier row of their split, each with the strictest kind that applies."""
    first: list[dict[tuple[str, int], int]] = [{} for _ in KINDS]
    for number, row in enumerate(rows):
        found = None
        for kind, seen, group in zip(KINDS, first, (groups.exact, groups.trivial, groups.near), strict=True):
            earlier = seen.setdefault((row.place.split, int(group[number])), number)
            if found is None and earlier != number:
                found = Repeat(row, rows[earlier], kind)
        if found is not None:
            yield found


def _leaks(rows: Sequence[Row], groups: Groups, into: str, others: Sequence[str]) -> Iterator[Repeat]:
    """Yield the rows of other splits whose text is in the split `into`, each with the strictest kind that applies."""
    held: list[dict[int, int]] = [{} for _ in KINDS]
    for number, row in enumerate(rows):
        if row.place.split == into:
            for seen, group in zip(held, (groups.exact, groups.trivial, groups.near), strict=True):
                seen.setdefault(int(group[number]), number)
    for number, row in enumerate(rows):
        if row.place.split not in others:
            continue
        for kind, seen, group in zip(KINDS, held, (groups.exact, groups.trivial, groups.near), strict=True):
            if int(group[number]) in seen:
                yield Repeat(row, rows[seen[int(group[number])]], kind)
                break


def _shared_sides(rows: Sequence[Row]) -> Iterator[str]:
    """Yield how many pairs of other splits have their first or their second text in common with a training pair."""
    pairs = [(row.place.split, row.text) for row in rows if isinstance(row.text, TextPair)]
    firsts = {pair.first for split, pair in pairs if split == "train"}
    seconds = {pair.second for split, pair in pairs if split == "train"}
    for name in ("validation", "test"):
        own = [pair for split, pair in pairs if split == name]
        first = sum(pair.first in firsts for pair in own)
        second = sum(pair.second in seconds for pair in own)
        if first or second:
            yield (
                f"{first:,} of {counted(len(own), 'pair')} of {name} have their first text in common with a training pair, "
                f"{second:,} their second"
            )


def _contradictions(rows: Sequence[Row], groups: Groups) -> Iterator[Contradiction]:
    """Yield the training texts that are equal up to case and punctuation and have several labels."""
    by_text: dict[int, list[Row]] = {}
    for row, group in zip(rows, groups.trivial.tolist(), strict=True):
        if row.place.split == "train":
            by_text.setdefault(group, []).append(row)
    for same in by_text.values():
        if len({row.label for row in same}) > 1:
            yield Contradiction(same[0].text, tuple(same))

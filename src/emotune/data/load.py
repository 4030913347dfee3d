"""Load labelled data: `load_data` for a whole data set, `load_split` for rows to score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from emotune.data.columns import Columns, UnlabelledError, column_notes
from emotune.data.dataset import SPLIT_NAMES, Split, TextDataset
from emotune.data.formats.copies import InputFormat
from emotune.data.groups import group_names
from emotune.data.label_names import clean_name, joined_by, separator_option
from emotune.data.labels import ordered_labels, refuse_no_order
from emotune.data.options import FOLD_REPEATS, MAX_CHARACTERS, DataSource
from emotune.data.places.found import Source
from emotune.data.places.memory import called
from emotune.data.places.sources import find_source, open_split_file
from emotune.data.places.split_names import split_name
from emotune.data.renaming import renaming_notes
from emotune.data.rows import AllRows, LabelledRows, read_labelled
from emotune.data.several import note_on_kind, one_each, shown_names
from emotune.data.splits.cutting import make_splits
from emotune.data.splits.times import Times, read_times
from emotune.data.table import Table
from emotune.system.errors import DataError
from emotune.system.options import checked_seed
from emotune.system.wording import counted, last_part, listed, quoted, shown, word
from emotune.tasks.base import Task
from emotune.tasks.multi_label import MULTI_LABEL
from emotune.tasks.ordered import ORDERED
from emotune.tasks.single_label import SINGLE_LABEL

# Rows in memory, as opened by `emotune.data.places.memory`.
InMemory = Any

# Ratio of the largest to the smallest class from which the output points to advice.
_UNBALANCED = 20


def load_data(
    source: str | Path | InMemory = "dair-ai/emotion",
    *,
    validation: str | Path | InMemory | None = None,
    test: str | Path | InMemory | None = None,
    config: str | None = None,
    revision: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    input_format: InputFormat | None = None,
    map: dict[str, str] | None = None,
    drop_unlabelled: bool = False,
    on_error: Literal["stop", "skip"] | None = None,
    text_pair_column: str | None = None,
    label_separator: str | None = None,
    label_columns: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    ordered: bool = False,
    validation_size: float = 0.15,
    test_size: float = 0.15,
    group_column: str | None = None,
    time_column: str | None = None,
    folds: int | None = None,
    fold_repeats: int = FOLD_REPEATS,
    max_characters: int = MAX_CHARACTERS,
    encoding: str | None = None,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    query: str | None = None,
    sheet: str | None = None,
    seed: int = 0,
) -> TextDataset:
    """Load a labelled data set with its three splits, and refuse what cannot be trained on.

    A validation or test split that the source lacks, and that is not given as a file, is cut from the training rows.
    The cut is stratified and seeded, and described in the data set's notes. Equal and nearly equal texts, as defined by
    `emotune.data.duplicates`, stay in one split, and every class is in every split. Training rows that repeat a text of
    a given split stay in training.

    The order of the label names is that of the Hub's ClassLabel; or by value for numbers; or that of dair-ai/emotion
    for its six emotions; or else alphabetical.

    Args:
        source: "bundled:sample"; a file (CSV, TSV, `text;label` lines, JSON, Parquet, Arrow, Excel, SQLite, ZIP); a folder
            in one of the layouts of docs/own-files.md, such as files named train, validation and test; a pattern such as
            "part-*.csv", whose files are one table; "-" for standard input; a URL; or the id of a Hugging Face Hub
            data set. A path that exists on this machine is never looked up on the Hub. Or rows in memory: a pandas
            DataFrame; a Dataset or DatasetDict of the datasets library; a list of (text, label) pairs, or of dicts; or
            a dict of such tables by split.
        validation: A file with the validation rows, or such a table, if the source has none.
        test: A file with the test rows, or such a table, if the source has none.
        config: The configuration of a Hub data set.
        revision: The branch, tag or commit of a Hub data set.
        text_column: The column of texts; None finds it by name ("text", "sentence", ...).
        label_column: The column of labels; None finds it by name ("label", "emotion", ...).
        input_format: Format of what has no suffix, such as standard input; None finds it out and notes it.
        map: New names of labels by old ones; several may become one.
        drop_unlabelled: Leave out rows without a label, with a note.
        on_error: "skip" leaves out rows that cannot be read or are blank, with a note; anything else refuses them.
        text_pair_column: The column of second texts, if every row is a pair of texts to classify together. Columns
            named premise and hypothesis, and the like, are found where no column is named like one of texts.
        label_separator: The separator of labels in a cell of the label column, if rows have several labels.
        label_columns: The columns with one label each, of zeros and ones, if rows have several labels.
        labels: Label names in the order wanted: exactly those of the training rows.
        ordered: The labels have an order: that of their numbers, or of `labels`.
        validation_size: The share of training rows to cut for validation, if that is needed.
        test_size: The share of training rows to cut for test, if that is needed.
        group_column: The column of groups, such as authors: rows of one group are never on both sides of a cut.
        time_column: The column of times: the newest rows are cut for test, those before them for validation, without
            texts that an earlier split has.
        folds: The number of folds of a cross-validation. Then no split is cut: all rows are in `train`, with their
            `folds`, and `cross_validate` takes them.
        fold_repeats: The number of times that rows are assigned to folds anew.
        max_characters: The longest text allowed; a longer one is usually an unclosed quote.
        encoding: The encoding of text files, such as "windows-1252"; None for UTF-8, or what a byte order mark says.
        delimiter: The character between the fields of a line; None finds it.
        columns: The names of all columns, in order, of a file without a header.
        query: The SELECT that gives the rows of an SQLite database; a database with one table of texts needs none.
        sheet: The sheet of an Excel workbook that has several.
        seed: Chooses the rows that are cut; 0 to 2**32 - 1.

    Raises:
        DataError: The data cannot be read or used; the message says where and why.
        ConfigError: A size, the seed or `max_characters` is out of range.
        HubError: The Hub cannot be reached, or does not have the data set.
    """
    asked = DataSource(
        source=source,
        validation=validation,
        test=test,
        config=config,
        revision=revision,
        text_column=text_column,
        label_column=label_column,
        input_format=input_format,
        map=map,
        drop_unlabelled=drop_unlabelled,
        on_error=on_error,
        text_pair_column=text_pair_column,
        label_separator=label_separator,
        label_columns=None if label_columns is None else tuple(label_columns),
        labels=labels,
        ordered=ordered,
        validation_size=validation_size,
        test_size=test_size,
        group_column=group_column,
        time_column=time_column,
        folds=folds,
        fold_repeats=fold_repeats,
        max_characters=max_characters,
        encoding=encoding,
        delimiter=delimiter,
        columns=columns,
        query=query,
        sheet=sheet,
    )
    checked_seed(seed)
    found, tables = open_splits(asked)
    if "train" not in tables:
        notes_on_it = "".join(f"\n{note}" for note in found.notes)
        raise DataError(f"{called(source)} has no train split. What it has: {listed(tables)}.{notes_on_it}")
    rows = {}
    left_out: list[str] = []
    for split in SPLIT_NAMES:
        if split in tables:
            try:
                rows[split] = read_labelled(tables[split], asked)
            except UnlabelledError as error:
                left_out.append(left_out_note(asked, tables, split, error))

    renamed = renaming_notes(asked.map, [read.found for read in rows.values()])
    if folds is not None and len(rows) > 1:
        raise DataError(
            f"{called(source)} has splits of its own: {listed(list(rows)[1:])}. Folds score every row of the training data instead.\n"
            f"Give only {tables['train'].source} for cross-validation, or leave folds out."
        )
    _refuse_some_pairs(rows)
    train = rows["train"]
    task, on_kind = _kind(rows)
    _refuse_untrainable(train)
    order = ordered_labels(chain.from_iterable(train.label_sets), class_names=train.class_names, requested=asked.labels)
    for split_rows in rows.values():
        _refuse_labels_outside(order, split_rows, "the training rows lack")
    if task is MULTI_LABEL and (folds is not None or ordered):
        why = "--folds scores one label per row" if folds is not None else "--ordered is about one label per row"
        raise DataError(f"{called(source)} has several labels per row, and {why}. Leave it out.")
    if asked.ordered:
        refuse_no_order(order, asked.labels, train.source)
        task = ORDERED
    splits = {split: _split(split, split_rows, order, task, group_column) for split, split_rows in rows.items()}

    used = {split: split_rows.columns for split, split_rows in rows.items()}
    notes = [
        *found.notes,
        *left_out,
        *reading_notes(tables, used),
        *(note for read in rows.values() for note in read.notes),
        *renamed,
        *on_kind,
    ]
    notes += _notes_on_left_out(tables, train, order)
    notes += _notes_on_balance(splits["train"])
    made = make_splits(splits, times_of(rows, time_column), asked, seed)
    return TextDataset(
        name=found.name,
        labels=order,
        train=made.splits["train"],
        validation=made.splits["validation"],
        test=made.splits["test"],
        notes=(*notes, *made.notes),
        known_groups=made.known,
        columns=used,
        left_out=tuple(row for read in rows.values() for row in read.left_out),
        periods=made.periods,
        folds=made.folds,
    )


def left_out_note(asked: DataSource, tables: Mapping[str, Table], split: str, error: UnlabelledError) -> str:
    """Return the note on a validation or test split without labels that is left out, as in a competition's folder.

    Args:
        asked: Source of the rows.
        tables: By split.
        split: The name of the split.
        error: What shows that it has no labels.

    Raises:
        UnlabelledError: It is training rows, or there are none.
        DataError: The split was given by itself, so that leaving it out would ignore what was asked for.
    """
    if split == "train" or "train" not in tables:
        raise error
    if (asked.validation if split == "validation" else asked.test) is not None:
        raise DataError(
            f"{error.seen}: the {split} split has no labels, and scores need them ({error.reason}).\n"
            f"Leave --{split}-data out, and rows are set aside for {split} from training. "
            "For texts without labels there is emotune predict."
        ) from None
    return f"The {split} split has no labels and is left out ({last_part(error.seen)}: {error.reason})."


def reading_notes(tables: Mapping[str, Table], columns: Mapping[str, Columns]) -> Iterator[str]:
    """Return notes on how rows were read: those of each table, and those on the columns used.

    Args:
        tables: By split.
        columns: The columns read, by split; tables without an entry are skipped.
    """
    yield from dict.fromkeys(note for split in columns for note in tables[split].notes)
    yield from column_notes(columns)


def open_splits(asked: DataSource) -> tuple[Source, dict[str, Table]]:
    """Find a source and open its splits by name, without reading their rows; errors as in `load_data`."""
    found = find_source(asked)
    # A single file is the training data.
    tables = {"train": next(iter(found.tables.values()))} if found.is_one_file else dict(found.tables)
    for split, file in (("validation", asked.validation), ("test", asked.test)):
        if file is None:
            continue
        if split in tables:
            raise DataError(
                f"{called(asked.source)} has a {split} split of its own; {called(file)} cannot be one as well. "
                "Leave one of them out."
            )
        tables[split], notes = open_split_file(split, file, asked)
        found = replace(found, notes=(*found.notes, *notes))
    return found, tables


def load_split(
    source: str | Path | InMemory,
    *,
    labels: tuple[str, ...],
    name: str | None = None,
    split: str | None = None,
    config: str | None = None,
    revision: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    input_format: InputFormat | None = None,
    map: dict[str, str] | None = None,
    drop_unlabelled: bool = False,
    on_error: Literal["stop", "skip"] | None = None,
    text_pair_column: str | None = None,
    label_separator: str | None = None,
    label_columns: Sequence[str] | None = None,
    task: Task = SINGLE_LABEL,
    max_characters: int = MAX_CHARACTERS,
    encoding: str | None = None,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    query: str | None = None,
    sheet: str | None = None,
) -> Split:
    """Load rows to score with a model that already has its labels.

    Args:
        source: As in `load_data`. All rows of a file are taken; of anything else, one split.
        labels: The model's label names; label ids are indices into them. Not all need to occur in the data.
        name: The name of the result; None for the split's, or for the base name of the file.
        split: The split to take; "test" if it is not given. A single file has no splits to choose from.
        config: The configuration of a Hub data set.
        revision: The branch, tag or commit of a Hub data set.
        text_column: The column of texts; None finds it by name.
        label_column: The column of labels; None finds it by name.
        input_format: Format of what has no suffix, such as standard input.
        map: New names of labels by old ones.
        drop_unlabelled: Leave out rows without a label, with a note.
        on_error: "skip" leaves out rows that cannot be read or are blank, with a note.
        text_pair_column: The column of second texts, as in `load_data`.
        label_separator: As in `load_data`.
        label_columns: As in `load_data`.
        task: The model's kind of label.
        max_characters: The longest text allowed.
        encoding: As for `load_data`; so are the following ones.
        delimiter: Separator of fields.
        columns: Names of the columns of a file without a header.
        query: The SELECT of a database.
        sheet: The sheet of a workbook.

    Raises:
        DataError: The data cannot be read, lacks the split, or has labels that the model does not know.
        ConfigError: `max_characters` is out of range.
        HubError: The Hub cannot be reached, or does not have the data set.
    """
    asked = DataSource(
        source=source,
        config=config,
        revision=revision,
        text_column=text_column,
        label_column=label_column,
        input_format=input_format,
        map=map,
        drop_unlabelled=drop_unlabelled,
        on_error=on_error,
        text_pair_column=text_pair_column,
        label_separator=label_separator,
        label_columns=None if label_columns is None else tuple(label_columns),
        labels=labels,
        max_characters=max_characters,
        encoding=encoding,
        delimiter=delimiter,
        columns=columns,
        query=query,
        sheet=sheet,
    )
    found = find_source(asked)
    if found.is_one_file:
        if split is not None:
            kind = "file" if isinstance(source, (str, Path)) else "table"
            raise DataError(
                f"{called(source)} is one {kind}, of which all rows are taken; it has no split {quoted(split)}."
            )
        ((own_name, table),) = found.tables.items()
    else:
        own_name = split_name(split or "test")
        own_name = own_name if own_name in found.tables else found.also.get(own_name.lower(), own_name)
        if own_name not in found.tables:
            raise DataError(
                f"{called(source)} has no {shown(own_name)} split. What it has: {listed(found.tables)}. "
                "Choose one with --split NAME."
            )
        table = found.tables[own_name]
    rows = read_labelled(table, asked, several=task.several)
    renamed = renaming_notes(asked.map, [rows.found])
    # Models may have been trained with names that were not cleaned.
    of_model = {clean_name(label): label for label in labels}
    sets = tuple(
        tuple(name if name in labels else of_model.get(name, name) for name in names) for names in rows.label_sets
    )
    _refuse_other_kind(task, rows)
    rows = replace(
        rows, names=tuple(shown_names(names) for names in sets), several=None if rows.several is None else sets
    )
    _refuse_labels_outside(labels, rows, "the model does not have", several=task.several)
    notes = (*found.notes, *reading_notes({own_name: table}, {own_name: rows.columns}), *rows.notes, *renamed)
    return replace(_split(name or own_name, rows, labels, task), notes=notes, left_out=rows.left_out)


def _kind(rows: Mapping[str, LabelledRows]) -> tuple[Task, list[str]]:
    """Return the kind of label of the rows of all splits, and a note on it if it was not plain."""
    if all(read.several is None for read in rows.values()):
        return SINGLE_LABEL, []
    sets = {split: read.label_sets for split, read in rows.items()}
    single = one_each(sets.values())
    return SINGLE_LABEL if single else MULTI_LABEL, [note_on_kind(sets, single=single)]


def _refuse_other_kind(task: Task, rows: LabelledRows) -> None:
    """Refuse rows of several labels for a model of one label per row."""
    several = sum(len(names) != 1 for names in rows.label_sets)
    if several and not task.several:
        raise DataError(
            f"{rows.source}: {counted(several, 'row')} of {len(rows.texts):,} have several labels or none, and the model "
            "gives every text one label. Score it on rows with one label each."
        )


def _refuse_some_pairs(rows: Mapping[str, LabelledRows]) -> None:
    """Refuse splits of which some hold pairs of texts and others single ones, as their columns' names say."""
    pairs = [split for split, found in rows.items() if found.columns.pair is not None]
    if pairs and len(pairs) < len(rows):
        single = next(found for found in rows.values() if found.columns.pair is None)
        raise DataError(
            f"The rows of {listed(pairs)} are pairs of texts, those of {single.source} are not: its texts are in the "
            f"column {quoted(single.columns.text)}. Name the columns with --text-column NAME and --text-pair-column NAME."
        )


def times_of(rows: Mapping[str, LabelledRows | AllRows], column: str | None) -> dict[str, Times]:
    """Return the times of rows by split, all of one kind; empty without a column of times.

    Args:
        rows: The rows by split.
        column: The column of times.

    Raises:
        DataError: One is not valid.
    """
    if column is None:
        return {}
    cells = [cell for read in rows.values() for cell in read.further[column]]
    found = read_times(cells, [place for read in rows.values() for place in read.places], column)
    ends = np.cumsum([len(read.texts) for read in rows.values()])[:-1]
    return {split: Times(found.kind, keys) for split, keys in zip(rows, np.split(found.keys, ends), strict=True)}


def _split(
    name: str, rows: LabelledRows, labels: tuple[str, ...], task: Task, group_column: str | None = None
) -> Split:
    return Split(
        name=name,
        texts=rows.texts,
        label_ids=task.targets(rows.label_sets, labels),
        labels=labels,
        task=task,
        groups=() if group_column is None else group_names(rows.further[group_column], rows.places),
    )


def _refuse_untrainable(train: LabelledRows) -> None:
    if len(train.texts) == 1:
        raise DataError(f"{train.source} has 1 row; training needs rows of at least two classes.")
    first = train.names[0]
    if all(name == first for name in train.names):
        raise DataError(
            f"{train.source}: all {len(train.names):,} rows have {_these(train)}; training needs at least two classes."
        )
    found = set(chain.from_iterable(train.label_sets))
    if len(found) < 2:
        raise DataError(
            f"{train.source}: {listed(found) or 'none'} is the only label of the rows; training needs at least two. "
            "For rows with or without one label, give the others a label of their own, such as 'no'."
        )


def _these(train: LabelledRows) -> str:
    """Return the labels that all rows have, in words."""
    names = train.label_sets[0]
    return (
        f"the label {quoted(names[0])}" if len(names) == 1 else f"the labels {listed(names)}" if names else "no label"
    )


def _refuse_labels_outside(labels: Sequence[str], rows: LabelledRows, lacking: str, *, several: bool = False) -> None:
    """Refuse rows whose label has no id.

    Args:
        labels: The labels with ids.
        rows: The rows.
        lacking: What does not have the label, in words.
        several: True if rows could have several labels.
    """
    known = set(labels)
    unknown = Counter(name for name in chain.from_iterable(rows.label_sets) if name not in known)
    if unknown:
        alike = {name.casefold(): name for name in labels}
        names = [
            f"--map {word(f'{name}={alike[name.casefold()]}')}" for name in sorted(unknown) if name.casefold() in alike
        ]
        hint = f"\nIf they differ only in case: {' '.join(names)}" if len(names) == len(unknown) else ""
        separator, joined = joined_by(unknown, labels) if several else ("", [])
        if joined:
            hint = f"\nIf {listed(sorted(joined))} are several labels each, add {separator_option(separator)}."
        raise DataError(
            f"{rows.source} has labels that {lacking}: {listed(sorted(unknown))} "
            f"({counted(unknown.total(), 'row')}). Known are {listed(labels)}.{hint}"
        )


def _notes_on_left_out(tables: Mapping[str, Table], train: LabelledRows, labels: tuple[str, ...]) -> Iterator[str]:
    """Yield notes on splits and classes of the source that are not used."""
    splits = [split for split in tables if split not in SPLIT_NAMES]
    if splits:
        yield f"Splits not used: {listed(splits)}."
    classes = [name for name in train.class_names or () if name not in labels]
    if classes:
        yield f"Classes left out, as no training row has them: {listed(classes)}."


def _notes_on_balance(train: Split) -> Iterator[str]:
    """Yield a note that points to the how-to if some class has far fewer rows than another."""
    most, least = max(train.counts, key=train.counts.__getitem__), min(train.counts, key=train.counts.__getitem__)
    if train.counts[most] >= _UNBALANCED * train.counts[least]:
        yield (
            f"The classes are unbalanced: {counted(train.counts[most], 'training row')} of {quoted(most)}, "
            f"{train.counts[least]:,} of {quoted(least)}. What helps: docs/how-to.md, 'When classes are unbalanced'."
        )

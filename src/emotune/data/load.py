"""Load data: `load_data` for a whole data set, `load_split` for rows to score, `load_texts` for texts to predict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotune.data.columns import known_columns, text_only_column
from emotune.data.dataset import SPLIT_NAMES, Split, TextDataset
from emotune.data.duplicates import KnownGroups, find_duplicates
from emotune.data.files import open_lines, open_table
from emotune.data.labels import ordered_labels
from emotune.data.rows import LabelledRows, read_labelled, stream_texts
from emotune.data.sources import Source, find_source, local_path, split_name
from emotune.data.splitting import cut_splits
from emotune.data.table import Table
from emotune.data.wording import counted, escaped, listed, quoted, shown
from emotune.errors import ConfigError, DataError

MAX_CHARACTERS = 20_000


@dataclass(frozen=True)
class LabelledSource:
    """Where labelled rows come from, and how they are read.

    Attributes:
        source: What to open; it and the others are what `load_data` says of its arguments.
        validation: A file with the validation rows, where the source has none.
        test: A file with the test rows, where the source has none.
        config: The configuration of a Hub data set.
        revision: The branch, tag or commit of a Hub data set.
        text_column: The column of texts; None finds it by name.
        label_column: The column of labels; None finds it by name.
        max_characters: The longest text that can be used.
    """

    source: str | Path
    validation: str | Path | None = None
    test: str | Path | None = None
    config: str | None = None
    revision: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    max_characters: int = MAX_CHARACTERS


def load_data(
    source: str | Path = "dair-ai/emotion",
    *,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    config: str | None = None,
    revision: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    labels: Sequence[str] | None = None,
    validation_size: float = 0.15,
    test_size: float = 0.15,
    max_characters: int = MAX_CHARACTERS,
    seed: int = 0,
) -> TextDataset:
    """Load a labelled data set with its three splits, and refuse what cannot be trained on.

    A validation or test split that the source lacks, and that is not given as a file, is cut from the training rows:
    stratified and seeded, with sentences in the data set's notes. Equal and nearly equal texts, as
    `emotune.data.duplicates` finds them, stay in one split, and every class stands in every split.

    Label names stand in the order of the Hub's ClassLabel; or numbers by value; or the six emotions as dair-ai/emotion
    numbers them; or else alphabetically.

    Args:
        source: "bundled:sample"; a file (.txt with `text;label` lines, .csv, .tsv, .jsonl, .parquet); a folder of such
            files named train, validation and test; or the id of a Hugging Face Hub data set. What exists on this
            machine is never looked for on the Hub.
        validation: A file with the validation rows, where the source has none.
        test: A file with the test rows, where the source has none.
        config: The configuration of a Hub data set.
        revision: The branch, tag or commit of a Hub data set.
        text_column: The column of texts; None finds it by name ("text", "sentence", ...).
        label_column: The column of labels; None finds it by name ("label", "emotion", ...).
        labels: Label names in the order wanted: exactly those of the training rows.
        validation_size: The share of training rows to cut for validation, where that is needed.
        test_size: The share of training rows to cut for test, where that is needed.
        max_characters: The longest text allowed; a longer one is usually an unclosed quote.
        seed: Chooses the rows that are cut; 0 to 2**32 - 1.

    Raises:
        DataError: The data cannot be read or used; the message says where and why.
        ConfigError: A size, the seed or `max_characters` is out of range.
        HubError: The Hub cannot be reached, or does not have the data set.
    """
    asked = LabelledSource(
        source, validation, test, config, revision, text_column, label_column, max_characters=max_characters
    )
    found, tables = open_splits(asked)
    if "train" not in tables:
        raise DataError(f"{quoted(source)} has no train split. What it has: {listed(tables)}.")
    rows = {
        split: read_labelled(
            tables[split], text_column=text_column, label_column=label_column, max_characters=max_characters
        )
        for split in SPLIT_NAMES
        if split in tables
    }

    train = rows["train"]
    _refuse_untrainable(train)
    order = ordered_labels(train.names, class_names=train.class_names, requested=labels)
    for split_rows in rows.values():
        _refuse_labels_outside(order, split_rows, "the training rows lack")
    splits = {split: _split(split, split_rows, order) for split, split_rows in rows.items()}

    sizes = {"test": test_size, "validation": validation_size}
    missing = {split: size for split, size in sizes.items() if split not in splits}
    notes = [*found.notes, *_notes_on_left_out(tables, train, order)]
    known = None
    if missing:
        if not 0 <= seed < 2**32:
            raise ConfigError(f"The seed is {seed}; expected 0 to {2**32 - 1}.")
        groups = find_duplicates(splits["train"].texts)
        cut = cut_splits(splits["train"], missing, seed, groups.near)
        splits |= cut.splits
        notes += cut.notes
        if set(cut.splits) == set(SPLIT_NAMES):
            order_of_rows = np.concatenate([cut.rows[split] for split in SPLIT_NAMES])
            known = KnownGroups(tuple(splits[split].texts for split in SPLIT_NAMES), groups.take(order_of_rows))
    return TextDataset(
        name=found.name,
        labels=order,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        notes=tuple(notes),
        known_groups=known,
    )


def open_splits(asked: LabelledSource) -> tuple[Source, dict[str, Table]]:
    """Find a source and open its splits, by name, without reading their rows; errors as in `load_data`."""
    _check_limit(asked.max_characters)
    found = find_source(asked.source, config=asked.config, revision=asked.revision, max_characters=asked.max_characters)
    # A file on its own is what to train on.
    tables = {"train": next(iter(found.tables.values()))} if found.is_one_file else dict(found.tables)
    for split, file in (("validation", asked.validation), ("test", asked.test)):
        if file is None:
            continue
        if split in tables:
            raise DataError(
                f"{quoted(asked.source)} has a {split} split of its own; {quoted(file)} cannot be one as well. "
                "Leave one of them out."
            )
        tables[split] = open_table(_file(file), max_characters=asked.max_characters)
    return found, tables


def load_split(
    source: str | Path,
    *,
    labels: tuple[str, ...],
    name: str | None = None,
    split: str | None = None,
    config: str | None = None,
    revision: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    max_characters: int = MAX_CHARACTERS,
) -> Split:
    """Load rows to score with a model that has its labels already.

    Args:
        source: As in `load_data`. Of a file all rows are taken; of anything else one split.
        labels: The model's label names; label ids are indices into them. Not all need to occur in the data.
        name: The name of the result; None for the split's, or for the base name of the file.
        split: Which split to take: "test" where it is not given. A file on its own has no splits to choose from.
        config: The configuration of a Hub data set.
        revision: The branch, tag or commit of a Hub data set.
        text_column: The column of texts; None finds it by name.
        label_column: The column of labels; None finds it by name.
        max_characters: The longest text allowed.

    Raises:
        DataError: The data cannot be read, lacks the split, or has labels that the model does not know.
        ConfigError: `max_characters` is out of range.
        HubError: The Hub cannot be reached, or does not have the data set.
    """
    _check_limit(max_characters)
    found = find_source(source, config=config, revision=revision, max_characters=max_characters)
    if found.is_one_file:
        if split is not None:
            raise DataError(
                f"{quoted(source)} is one file, of which all rows are taken; it has no split {quoted(split)}."
            )
        ((own_name, table),) = found.tables.items()
    else:
        own_name = split_name(split or "test")
        if own_name not in found.tables:
            raise DataError(
                f"{quoted(source)} has no {shown(own_name)} split. What it has: {listed(found.tables)}. "
                "Choose one with --split NAME."
            )
        table = found.tables[own_name]
    rows = read_labelled(table, text_column=text_column, label_column=label_column, max_characters=max_characters)
    _refuse_labels_outside(labels, rows, "the model does not have")
    return _split(name or own_name, rows, labels)


def load_texts(
    path: str | Path, *, text_column: str | None = None, max_characters: int = MAX_CHARACTERS
) -> Iterator[str]:
    """Open a file of texts without regard to labels, and read it as the texts are asked for.

    A `.txt` file has one text a line; if its first line is a header of labelled data, such as `text;label`, only the
    texts are taken from the lines. Of any other format the text column is read.

    Args:
        path: The file.
        text_column: The column of texts; None finds it by name.
        max_characters: The longest text allowed.

    Returns:
        The texts, in the file's order.

    Raises:
        DataError: The file cannot be opened (at once), or a row has no proper text (when reading gets there).
        ConfigError: `max_characters` is out of range.
    """
    _check_limit(max_characters)
    file = _file(path)
    table = open_table(file, max_characters=max_characters)
    is_labelled = bool(known_columns(table, "text") and known_columns(table, "label"))
    if file.suffix.lower() == ".txt" and text_column is None and not is_labelled:
        lines = ((number, (line,)) for number, line in open_lines(file))
        return stream_texts(Table(table.source, ("text",), table.read, unit="line"), lines, max_characters)
    column = text_only_column(table, text_column)
    return stream_texts(table, table.read((column,)), max_characters)


def _check_limit(max_characters: int) -> None:
    if max_characters < 1:
        raise ConfigError(f"max_characters is {max_characters}; expected at least 1.")


def _file(path: str | Path) -> Path:
    """A path that must be a file: where the Hub is no choice, what looks like an id is a file that is missing."""
    found = local_path(path)
    if found is None:
        raise DataError(f"No such file: {escaped(path)}.")
    return found


def _split(name: str, rows: LabelledRows, labels: tuple[str, ...]) -> Split:
    ids = {label: i for i, label in enumerate(labels)}
    return Split(
        name=name,
        texts=rows.texts,
        label_ids=np.fromiter((ids[label] for label in rows.names), dtype=np.int64, count=len(rows.names)),
        labels=labels,
    )


def _refuse_untrainable(train: LabelledRows) -> None:
    if len(train.texts) == 1:
        raise DataError(f"{train.source} has 1 row; training needs rows of at least two classes.")
    first = train.names[0]
    if all(name == first for name in train.names):
        raise DataError(
            f"{train.source}: all {len(train.names):,} rows have the label {quoted(first)}; "
            "training needs at least two classes."
        )


def _refuse_labels_outside(labels: Sequence[str], rows: LabelledRows, lacking: str) -> None:
    """Refuse rows whose label has no id; `lacking` says in words who does not know it."""
    known = set(labels)
    unknown = Counter(name for name in rows.names if name not in known)
    if unknown:
        raise DataError(
            f"{rows.source} has labels that {lacking}: {listed(sorted(unknown))} "
            f"({counted(unknown.total(), 'row')}). Known are {listed(labels)}."
        )


def _notes_on_left_out(tables: Mapping[str, Table], train: LabelledRows, labels: tuple[str, ...]) -> Iterator[str]:
    """Say which splits and which classes of the source play no part."""
    splits = [split for split in tables if split not in SPLIT_NAMES]
    if splits:
        yield f"Splits not used: {listed(splits)}."
    classes = [name for name in train.class_names or () if name not in labels]
    if classes:
        yield f"Classes left out, as no training row has them: {listed(classes)}."

"""Open places of texts without labels: files, patterns of files, standard input, pipes and URLs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from emotune.data.cells import ArrowCells
from emotune.data.columns import known_columns, pair_columns, text_column_note, text_only_column
from emotune.data.formats.columnar import schema_of, tables_of
from emotune.data.formats.copies import Copy, InputFormat
from emotune.data.formats.files import open_table, open_text
from emotune.data.formats.quoting import TAB
from emotune.data.formats.reading import Reading
from emotune.data.options import MAX_CHARACTERS, DataSource
from emotune.data.places.files import check_input_format, copied, local_file, matching, matching_note
from emotune.data.places.joined import Numbering, joined
from emotune.data.places.memory import called
from emotune.data.table import Table
from emotune.data.unlabelled import CHUNK, Chunk, Unlabelled, column_of, text_lines, usable_rows
from emotune.system.errors import DataError
from emotune.system.wording import listed, quoted

if TYPE_CHECKING:
    import pyarrow as pa


Value = TypeVar("Value")


@dataclass(frozen=True)
class _Files:
    """Files that are read as one.

    Attributes:
        paths: The files.
        tables: Their tables.
        name: Name of the whole in messages.
        reading: How they are read.
        notes: Notes on the place, one sentence each.
        identity: What tells the content from another one.
        copy: The copy that the only file is; None for files of this machine.
    """

    paths: Sequence[Path]
    tables: Sequence[Table]
    name: str
    reading: Reading
    notes: tuple[str, ...]
    identity: tuple[str | int, ...]
    copy: Copy | None = None


def open_unlabelled(
    place: str | Path,
    *,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    pairs: bool = False,
    by_training: bool = False,
    max_characters: int = MAX_CHARACTERS,
    input_format: InputFormat | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    query: str | None = None,
    sheet: str | None = None,
) -> Unlabelled:
    """Open a place of texts, ignoring labels.

    A `.txt` file has one text per line. If its first line is a header of labelled data, such as `text;label`, only the
    texts are taken from the lines. In other formats the text column is read, and the others are kept.

    Args:
        place: A file, a pattern of files that are read as one table, "-" for standard input, a pipe, or a URL of a file.
        text_column: The column of texts; None finds it by name.
        text_pair_column: The column of second texts, if rows are pairs; None finds it by name.
        pairs: True for pairs of texts. Lines of a `.txt` file then have a tab between the texts.
        by_training: True if the names of columns are those of the training data. Lines of text need not have them.
        max_characters: The longest text allowed.
        input_format: Format of what has no suffix, as for `load_data`; so are the following ones.
        encoding: Encoding of a text file.
        delimiter: Separator of fields.
        columns: Names of the columns of a file without a header.
        query: The SELECT of a database.
        sheet: The sheet of a workbook.

    Raises:
        DataError: The place cannot be opened, or has no column of texts.
        HubError: The server of a URL cannot be reached.
        ConfigError: An option is out of range.
    """
    asked = DataSource(
        source=place,
        text_column=text_column,
        max_characters=max_characters,
        input_format=input_format,
        encoding=encoding,
        delimiter=delimiter,
        columns=columns,
        query=query,
        sheet=sheet,
    )
    files = _files(place, asked)
    found = _opened(files, text_column, text_pair_column, pairs, by_training)
    return replace(found, notes=(*files.notes, *found.notes), identity=files.identity)


def _files(place: str | Path, asked: DataSource) -> _Files:
    check_input_format(asked.input_format, (place,), called(place))
    reading = asked.reading
    copy = copied(place, asked.input_format)
    if copy is not None:
        table = copy.open(lambda path: open_table(path, reading))
        return _Files([copy.path], [table], copy.name, reading, copy.notes, _content(copy), copy)
    matched = matching(place)
    paths = matched or [local_file(place)]
    tables = [open_table(path, reading) for path in paths]
    notes = (matching_note(place, matched),) if matched else ()
    name = str(place) if len(paths) > 1 else tables[0].source
    return _Files(paths, tables, name, reading, notes, tuple(part for path in paths for part in _state(path)))


def _opened(
    files: _Files, text_column: str | None, text_pair_column: str | None, pairs: bool, by_training: bool
) -> Unlabelled:
    reading = files.reading
    if by_training and all(table.format == "text" and text_column not in table.columns for table in files.tables):
        text_column = text_pair_column = None
    is_table = text_column is not None or reading.delimiter is not None or reading.columns is not None
    # The first line of text has the place of a header.
    if not is_table and not any(table.format != "text" or _is_labelled(table) for table in files.tables):
        return _of_lines(files, pairs)
    table = joined(files.tables, files.name)
    column, pair = (
        pair_columns(table, text_column, text_pair_column) if pairs else (text_only_column(table, text_column), None)
    )
    notes = (*table.notes, *text_column_note(table, column, pair))
    if table.format == "parquet":
        return replace(_of_parquet(files, table, column, pair), notes=notes)
    return replace(
        column_of(table, column, reading.max_characters, pair),
        format=table.format,
        delimiter=table.delimiter or (TAB if table.format == "tsv" else ","),
        notes=notes,
        foreign=table.foreign,
    )


def _is_labelled(table: Table) -> bool:
    return bool(known_columns(table, "text") and known_columns(table, "label"))


def _of_lines(files: _Files, pairs: bool) -> Unlabelled:
    texts = [open_text(path, files.reading) for path in files.paths]
    numbering = Numbering(files.tables)
    of_table = dict(zip(map(id, files.tables), texts, strict=True))

    def read() -> Iterator[tuple[int, str]]:
        return numbering.through(lambda table: _kept(files.copy, of_table[id(table)].lines))

    place = numbering.place if len(texts) > 1 else None
    found = text_lines(files.name, read, files.reading.max_characters, pairs=pairs, place=place)
    return replace(found, notes=tuple(note for text in texts for note in text.notes))


def _of_parquet(files: _Files, table: Table, column: str, pair: str | None) -> Unlabelled:
    import pyarrow as pa

    schema = _one_schema(files)
    places = [table.columns.index(name) for name in (column, pair) if name is not None]
    numbering = Numbering(files.tables)
    # The rows are counted by this reading of them, not by that of the table.
    table = replace(table, place=numbering.place if len(files.tables) > 1 else None)

    def chunks(start: int) -> Iterator[Chunk]:
        number = start + 1
        for held in _kept(files.copy, lambda: tables_of(files.paths, CHUNK, start, numbering.begin)):
            numbers = range(number, number + held.num_rows)
            number += held.num_rows
            cells = list(zip(*(held.column(at).to_pylist() for at in places), strict=True))
            usable, texts, skipped = usable_rows(table, numbers, cells, files.reading.max_characters)
            kept = held if len(usable) == held.num_rows else held.take(pa.array(usable, pa.int64()))
            yield Chunk(held.num_rows, tuple(numbers[at] for at in usable), texts, ArrowCells(kept), skipped)

    return Unlabelled(
        table.source,
        table.unit,
        "parquet",
        column,
        chunks,
        table=table,
        parquet=schema,
        foreign=table.foreign,
        pair=pair,
    )


def _one_schema(files: _Files) -> pa.Schema:
    """Return the columns' types of all files.

    Raises:
        DataError: They differ.
    """
    first, *others = [schema_of(path) for path in files.paths]
    for path, other in zip(files.paths[1:], others, strict=True):
        differing = [name for name in first.names if first.field(name).type != other.field(name).type]
        if differing or first.names != other.names:
            raise DataError(
                f"{files.name}: the files are read as one table, and the types of {listed(differing or other.names)} in "
                f"{quoted(files.paths[0])} and {quoted(path)} differ. Write them with the same types, or give one file."
            )
    return first


def _kept(copy: Copy | None, read: Callable[[], Iterator[Value]]) -> Iterator[Value]:
    return read() if copy is None else copy.reading(read)


def _state(path: Path) -> tuple[str | int, ...]:
    state = path.stat()
    return str(path.resolve()), state.st_size, state.st_mtime_ns


def _content(copy: Copy) -> tuple[str | int, ...]:
    """Return the identity of a copy, whose file is another one each time."""
    with copy.path.open("rb") as stream:
        return copy.name, hashlib.file_digest(stream, "sha256").hexdigest()

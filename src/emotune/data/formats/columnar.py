"""Parquet and Arrow files: tables with types, read in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.data.formats.compression import format_suffix
from emotune.data.table import Row, Table
from emotune.system.errors import DataError
from emotune.system.text import reason_of
from emotune.system.wording import escaped

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".parquet", ".arrow", ".feather")
_ARROW_FILE = b"ARROW1"


def open_columnar(path: Path) -> Table:
    """Open a Parquet or Arrow file.

    Raises:
        DataError: The file is damaged.
    """
    schema = schema_of(path)

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        number = 0
        with _opened(path) as (_, batches):
            for batch in batches(list(wanted), None):
                values = (batch.column(column).to_pylist() for column in wanted)
                for row in zip(*values, strict=True):
                    number += 1
                    yield number, row

    foreign = "" if format_suffix(path) == ".parquet" else "an Arrow file"
    return Table(
        escaped(path),
        tuple(schema.names),
        read,
        class_names=_class_names(schema),
        format="parquet",
        foreign=foreign,
    )


def schema_of(path: Path) -> pa.Schema:
    """Return the schema of a Parquet or Arrow file.

    Raises:
        DataError: The file is damaged.
    """
    with _opened(path) as (schema, _):
        return schema


def tables_of(
    paths: Sequence[Path], rows: int, start: int = 0, begin: Callable[[int, int], None] = lambda at, count: None
) -> Iterator[pa.Table]:
    """Yield the rows of Parquet or Arrow files, one after the other, in tables of `rows` rows; only the last may have fewer.

    Args:
        paths: The files, whose schemas are equal.
        rows: Rows per table.
        start: Number of rows to leave out at the beginning.
        begin: Is told the number of a file, from 0, and that of the rows before it, when the file is opened.

    Raises:
        DataError: A file is damaged.
    """
    import pyarrow as pa

    held: list[pa.Table] = []
    count = 0
    for batch in _batches_of(paths, rows, begin):
        skipped = min(start, batch.num_rows)
        start -= skipped
        table = pa.Table.from_batches([batch.slice(skipped)])
        while count + table.num_rows >= rows:
            taken = rows - count
            yield pa.concat_tables([*held, table.slice(0, taken)])
            held, count, table = [], 0, table.slice(taken)
        if table.num_rows:
            held.append(table)
            count += table.num_rows
    if held:
        yield pa.concat_tables(held)


def _batches_of(paths: Sequence[Path], rows: int, begin: Callable[[int, int], None]) -> Iterator[Any]:
    read = 0
    for at, path in enumerate(paths):
        begin(at, read)
        with _opened(path) as (_, batches):
            # A row group may be large, and its columns are decoded in pieces of this size.
            for batch in batches(None, rows):
                yield batch
                read += batch.num_rows


# Reads batches of some columns, or of all, of at most so many rows, or as they are.
_Batches = Callable[[list[str] | None, int | None], Iterator[Any]]


def _opened(path: Path) -> AbstractContextManager[tuple[pa.Schema, _Batches]]:
    return _opened_parquet(path) if format_suffix(path) == ".parquet" else _opened_arrow(path)


@contextmanager
def _opened_parquet(path: Path) -> Iterator[tuple[pa.Schema, _Batches]]:
    import pyarrow.parquet as pq

    with _reading(path, "Parquet"), pq.ParquetFile(path) as file:

        def batches(columns: list[str] | None, rows: int | None) -> Iterator[Any]:
            size = {} if rows is None else {"batch_size": rows}
            return file.iter_batches(columns=columns, **size)

        yield file.schema_arrow, batches


@contextmanager
def _opened_arrow(path: Path) -> Iterator[tuple[pa.Schema, _Batches]]:
    """Open Arrow's file format, which Feather is too, or its stream format, which the datasets library writes."""
    import pyarrow as pa

    with _reading(path, "Arrow"), pa.memory_map(str(path)) as source:
        is_file = source.read(len(_ARROW_FILE)) == _ARROW_FILE
        source.seek(0)
        with pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source) as reader:

            def batches(columns: list[str] | None, rows: int | None) -> Iterator[Any]:
                whole = (reader.get_batch(at) for at in range(reader.num_record_batches)) if is_file else iter(reader)
                for batch in whole:
                    step = rows or max(1, batch.num_rows)
                    for start in range(0, batch.num_rows, step):
                        yield batch.slice(start, step)

            yield reader.schema, batches


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    import pyarrow as pa

    article = "an" if kind == "Arrow" else "a"
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{escaped(path)} is damaged, or not {article} {kind} file: {reason_of(error)}.") from None


def _class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return the label names that the `datasets` library writes into its files, by column."""
    written = (schema.metadata or {}).get(b"huggingface")
    if written is None:
        return {}
    try:
        features = json.loads(written)["info"]["features"]
        return {
            column: tuple(str(name) for name in feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, LookupError, TypeError, AttributeError):
        # The rows do not depend on this metadata of another program: without it, labels are the numbers in the file.
        return {}

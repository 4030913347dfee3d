"""One reading of an input before its texts are predicted: counts, columns, types, and rows that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from emotune.data.cells import Cells, RowCells
from emotune.data.unlabelled import CHUNK, Chunk, Skipped, Unlabelled, nothing_usable
from emotune.system.errors import DataError
from emotune.system.wording import counted

if TYPE_CHECKING:
    import pyarrow as pa

_NAMED = 8


@dataclass(frozen=True)
class Look:
    """What reading an input once has shown.

    Attributes:
        read: Number of rows.
        columns: Names of its own columns, in order of first occurrence.
        schema: Its columns' types in Parquet; None unless it was asked for.
    """

    read: int
    columns: tuple[str, ...]
    schema: pa.Schema | None = None


def look_through(given: Unlabelled, *, stop: bool, schema: bool = False) -> Look:
    """Read an input once, before hours are spent on it.

    Args:
        given: The input.
        stop: Refuse rows that cannot be predicted.
        schema: Find the columns' types for Parquet.

    Raises:
        DataError: There is no usable row; or a row is not usable and `stop` is true; or the input is damaged.
    """
    found = given.parquet
    columns: dict[str, None] = {}
    read = usable = wrong = 0
    first: list[Skipped] = []
    for chunk in given.chunks(0):
        read += chunk.read
        usable += len(chunk.texts)
        columns.update(dict.fromkeys(chunk.cells.columns))
        mistakes = given.mistakes(chunk)
        if stop:
            _refuse_unreadable(given, mistakes)
        wrong += len(mistakes)
        first += mistakes[: _NAMED - len(first)]
        if schema and given.parquet is None and chunk.texts:
            found = _wider(found, chunk.cells, given)
    if stop and wrong:
        raise _blank(given, first, wrong)
    if not usable:
        raise nothing_usable(given, read, first)
    return Look(read, tuple(columns), found)


def look_at_first(given: Unlabelled, *, stop: bool) -> tuple[Look, Iterator[Chunk]]:
    """Read the first chunk of an input that can be read only once; arguments and errors as in `look_through`.

    Returns:
        What it shows, and all chunks.
    """
    chunks = given.chunks(0)
    first = next(chunks, None)
    if first is None:
        raise nothing_usable(given, 0, [])
    if stop:
        refuse_mistakes(given, first)
    if first.read < CHUNK and not first.texts:
        raise nothing_usable(given, first.read, given.mistakes(first))
    return Look(first.read, first.cells.columns), chain([first], chunks)


def refuse_mistakes(given: Unlabelled, chunk: Chunk) -> None:
    """Refuse a chunk with rows that cannot be predicted.

    Raises:
        DataError: There is such a row.
    """
    mistakes = given.mistakes(chunk)
    _refuse_unreadable(given, mistakes)
    if mistakes:
        raise _blank(given, mistakes[:_NAMED], len(mistakes))


def _refuse_unreadable(given: Unlabelled, mistakes: Sequence[Skipped]) -> None:
    row = next((row for row in mistakes if not row.is_blank), None)
    if row is not None:
        raise DataError(
            f"{given.at(row.number)}: {row.reason}\n"
            "Such rows can also be left out, and are then listed in a file beside the output: --on-error skip"
        )


def _blank(given: Unlabelled, first: Sequence[Skipped], count: int) -> DataError:
    numbers = [row.number for row in first]
    reasons = " or ".join(dict.fromkeys(row.reason for row in first))
    return DataError(
        f"{given.source}: {reasons} in {counted(count, 'row')}: {given.numbered(numbers, count)}. "
        "Fill or remove them, or leave them out with --on-error skip."
    )


def _wider(schema: pa.Schema | None, cells: Cells, given: Unlabelled) -> pa.Schema:
    """Return the schema that holds what another one does, and the cells."""
    import pyarrow as pa

    if isinstance(cells, RowCells):
        return schema or pa.schema([(name, pa.string()) for name in cells.columns])
    try:
        objects = list(cells.objects())
        found = pa.Table.from_pylist(
            objects,
            schema=pa.schema([(name, pa.infer_type([row.get(name) for row in objects])) for name in cells.columns]),
        ).schema
        return found if schema is None else pa.unify_schemas([schema, found], promote_options="permissive")
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"{given.source} cannot be written as Parquet, whose columns have one type each: {error}. "
            "Write it as JSON Lines: --format jsonl."
        ) from None

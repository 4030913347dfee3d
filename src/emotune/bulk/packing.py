"""Chunks of rows as bytes, for the way between the machines of a cluster: Arrow's stream format, and never pickle."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

import pyarrow as pa

from emotune.data.cells import ArrowCells, Cells, ObjectCells, RowCells
from emotune.data.unlabelled import Chunk, Skipped
from emotune.system.pairs import TextPair, sides_of

_KIND, _READ, _SKIPPED, _NAMES, _SIDES = b"kind", b"read", b"skipped", b"names", b"sides"


def packed(chunk: Chunk) -> bytes:
    """Return a chunk as bytes."""
    cells = chunk.cells
    names: list[str] = list(cells.columns)
    if isinstance(cells, ArrowCells):
        kind, own = "arrow", cells.held.columns
    elif isinstance(cells, RowCells):
        kind, own = "rows", [pa.array([row[at] for row in cells.values], pa.string()) for at in range(len(names))]
    else:
        kind, own = "objects", [pa.array([json.dumps(row) for row in cells.objects()], pa.string())]
    # Columns have numbers for names here, since two may have the same.
    sides = [side for side in sides_of(chunk.texts) if side is not None]
    columns = [pa.array(chunk.numbers, pa.int64()), *(pa.array(side, pa.string()) for side in sides), *own]
    table = pa.Table.from_arrays(columns, names=[str(at) for at in range(len(columns))])
    notes = {
        _KIND: kind,
        _READ: json.dumps(chunk.read),
        _SKIPPED: json.dumps([astuple(row) for row in chunk.skipped]),
        _NAMES: json.dumps(names),
        _SIDES: json.dumps(len(sides)),
    }
    table = table.replace_schema_metadata(notes)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def unpacked(content: bytes) -> Chunk:
    """Return the chunk of such bytes."""
    with pa.ipc.open_stream(content) as reader:
        table = reader.read_all()
    notes: dict[bytes, Any] = table.schema.metadata
    names = json.loads(notes[_NAMES])
    numbers, *rest = (table.column(at) for at in range(table.num_columns))
    sides = json.loads(notes[_SIDES])
    texts, own = [side.to_pylist() for side in rest[:sides]], rest[sides:]
    kind = notes[_KIND].decode()
    cells: Cells
    if kind == "arrow":
        cells = ArrowCells(pa.Table.from_arrays(own, names=names))
    elif kind == "rows":
        cells = RowCells(tuple(names), list(zip(*(column.to_pylist() for column in own), strict=True)))
    else:
        cells = ObjectCells([json.loads(row) for row in own[0].to_pylist()])
    return Chunk(
        read=json.loads(notes[_READ]),
        numbers=tuple(numbers.to_pylist()),
        texts=tuple(map(TextPair, *texts)) if sides > 1 else tuple(texts[0]),
        cells=cells,
        skipped=tuple(Skipped(*row) for row in json.loads(notes[_SKIPPED])),
    )

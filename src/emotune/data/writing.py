"""Formats of files of rows with predictions: CSV, TSV, JSON Lines, Parquet, and plain lines.

A file is written in parts, one after another, and joined at the end, so that an interrupted job can continue. The parts
of text formats are pieces of the file; those of Parquet are files.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, ClassVar, cast

import numpy as np

from emotune.data.cells import Cells, as_cell
from emotune.system.errors import ConfigError, DataError
from emotune.system.text import printable, reason_of
from emotune.system.wording import quoted

if TYPE_CHECKING:
    import pyarrow as pa

Added = Mapping[str, Any]
"""Columns to add to rows, by name: lists or arrays with one value per row."""
Write = Callable[[Cells, Added], None]
"""Function that writes rows with added columns."""

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
}
"""Names of formats by suffix."""

SHOWN = {"csv": "CSV", "tsv": "TSV", "jsonl": "JSON Lines", "parquet": "Parquet", "text": "lines of text"}
"""Formats in words, by name."""

# Spreadsheets take a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Decimals of a probability in CSV: enough for any comparison, and short enough to read.
_DECIMALS = 6


class Format(ABC):
    """Format of a file of rows with added columns.

    Attributes:
        name: Its name.
        nested: True if an added column may hold lists and objects.
    """

    name: ClassVar[str]
    nested: ClassVar[bool] = False

    @abstractmethod
    def open(self, stream: IO[bytes], *, first: bool) -> AbstractContextManager[Write]:
        """Open a part for writing.

        Args:
            stream: Where the part is written to.
            first: True for the first part of a file, which has the header.
        """

    def join(self, parts: Sequence[Path], stream: IO[bytes]) -> None:
        """Write the parts as one file."""
        for part in parts:
            with part.open("rb") as held:
                shutil.copyfileobj(held, stream)


class Delimited(Format):
    """CSV or TSV, with a header.

    Args:
        columns: The input's own columns.
        added: Names of the added columns.
        delimiter: Separator of the fields.
        keep_formulas: Write cells that a spreadsheet would run as formulas unchanged.
    """

    name = "csv"

    def __init__(
        self, columns: Sequence[str], added: Sequence[str], delimiter: str = ",", *, keep_formulas: bool = False
    ) -> None:
        self._columns = tuple(columns)
        self._header = (*columns, *added)
        self._delimiter = delimiter
        self._cell = as_cell if keep_formulas else lambda value: without_formula(as_cell(value))

    @contextmanager
    def open(self, stream: IO[bytes], *, first: bool) -> Iterator[Write]:
        """Open a part for writing."""
        lines = io.TextIOWrapper(cast(BinaryIO, stream), encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(lines, delimiter=self._delimiter, lineterminator="\n")
        if first:
            writer.writerow([self._cell(name) for name in self._header])

        def write(cells: Cells, added: Added) -> None:
            columns = [map(_shortened, values) for values in added.values()]
            for own, new in zip(cells.rows(self._columns), zip(*columns, strict=True), strict=True):
                writer.writerow([self._cell(value) for value in (*own, *new)])
            lines.flush()

        try:
            yield write
        finally:
            lines.detach()


class JsonLines(Format):
    """One object per line, with the input's own keys first."""

    name = "jsonl"
    nested = True

    @contextmanager
    def open(self, stream: IO[bytes], *, first: bool) -> Iterator[Write]:
        """Open a part for writing."""

        def write(cells: Cells, added: Added) -> None:
            for row, *values in zip(cells.objects(), *added.values(), strict=True):
                line = json.dumps(row | dict(zip(added, values, strict=True)), ensure_ascii=False)
                # JSON can hold half of a character, and UTF-8 cannot.
                stream.write(line.encode("utf-8", errors="backslashreplace") + b"\n")

        yield write


class Lines(Format):
    """Label, probability and text on one line, separated by tabs; control characters are escaped.

    Args:
        text: Name of the input's column of texts.
        answers: Names of the added columns of labels and probabilities.
        pair: Name of the column of second texts, which follow the first.
    """

    name = "text"

    def __init__(self, text: str, answers: tuple[str, str], pair: str | None = None) -> None:
        self._texts = (text,) if pair is None else (text, pair)
        self._answers = answers

    @contextmanager
    def open(self, stream: IO[bytes], *, first: bool) -> Iterator[Write]:
        """Open a part for writing."""

        def write(cells: Cells, added: Added) -> None:
            places = [cells.columns.index(text) for text in self._texts]
            labels, probabilities = (added[name] for name in self._answers)
            for own, label, probability in zip(cells.rows(cells.columns), labels, probabilities, strict=True):
                words = printable(as_cell(label)), f"{probability:.4f}", *(printable(str(own[at])) for at in places)
                stream.write("\t".join(words).encode() + b"\n")

        yield write


class ParquetFormat(Format):
    """Parquet, with the types of the input's own columns.

    Args:
        schema: The input's own columns.
    """

    name = "parquet"

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema

    @contextmanager
    def open(self, stream: IO[bytes], *, first: bool) -> Iterator[Write]:
        """Open a part for writing; it is a complete file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        writer: pq.ParquetWriter | None = None

        def write(cells: Cells, added: Added) -> None:
            nonlocal writer
            try:
                table = cells.table(self._schema)
            except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
                raise DataError(
                    f"The rows cannot be written as Parquet, whose columns have one type each: {reason_of(error)}. "
                    "Write them as JSON Lines: --format jsonl."
                ) from None
            for name, values in added.items():
                table = table.append_column(name, _array(values))
            if writer is None:
                writer = pq.ParquetWriter(stream, table.schema)
            writer.write_table(table)

        try:
            yield write
        finally:
            if writer is not None:
                writer.close()

    def join(self, parts: Sequence[Path], stream: IO[bytes]) -> None:
        """Write the row groups of the parts as one file."""
        import pyarrow.parquet as pq

        filled = [part for part in parts if part.stat().st_size]  # a part is empty if all its rows were left out
        with pq.ParquetFile(filled[0]) as file:
            schema = file.schema_arrow
        with pq.ParquetWriter(stream, schema) as writer:
            for part in filled:
                with pq.ParquetFile(part) as file:
                    for group in range(file.num_row_groups):
                        writer.write_table(file.read_row_group(group))


def format_of(name: str) -> str:
    """Return the format of a value of --format.

    Raises:
        ConfigError: There is no such format.
    """
    known = tuple(dict.fromkeys(FORMATS.values()))
    if name not in known:
        raise ConfigError(f"There is no format {quoted(name)}; expected one of {', '.join(known)}.")
    return name


def without_formula(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula: an apostrophe before it if it looks like one.

    Numbers such as -5 and +1.5 stay as they are. Source: OWASP, "CSV Injection".
    """
    if not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _shortened(value: object) -> object:
    return f"{value:.{_DECIMALS}f}" if isinstance(value, (float, np.floating)) else value


def _array(values: Any) -> pa.Array:
    """Return a column; of strings where every value is null, so that all parts have the same type."""
    import pyarrow as pa

    if isinstance(values, np.ndarray):
        return pa.array(values)
    first = next((value for value in values if value is not None), None)
    return pa.array(values, pa.string() if first is None or isinstance(first, str) else None)

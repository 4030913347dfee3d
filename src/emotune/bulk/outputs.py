"""Choice of the format of a file of predictions, and of its columns."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from emotune.bulk.answers import AnswerColumns
from emotune.data.formats.compression import SUFFIXES, format_suffix
from emotune.data.formats.quoting import TAB
from emotune.data.look import Look
from emotune.data.unlabelled import Unlabelled
from emotune.data.writing import FORMATS, Delimited, Format, JsonLines, Lines, ParquetFormat, format_of
from emotune.system.errors import ConfigError
from emotune.system.wording import in_full, quoted


def format_name(given: Unlabelled, output: Path | None, asked: str | None) -> str:
    """Return the name of the output's format: the one asked for, or that of its suffix, or the input's.

    Args:
        given: The input.
        output: The output file; None for standard output.
        asked: The format asked for.

    Raises:
        ConfigError: There is no such format, or it is not the one that the suffix names.
    """
    name = None if asked is None else format_of(asked)
    if output is None:
        return name or given.format
    suffix = format_suffix(output)
    by_suffix = FORMATS.get(suffix)
    if by_suffix == "text" and name is None:
        return "text"
    if name is not None and by_suffix not in (None, "text", name):
        raise ConfigError(
            f"--output {in_full(output)} names the format {by_suffix}, and --format is {name}. Leave --format out, or change the suffix."
        )
    if "parquet" in (name, by_suffix) and output.suffix.lower() in SUFFIXES:
        raise ConfigError(f"--output {in_full(output)}: Parquet is compressed inside. Name the file .parquet.")
    if name is None and by_suffix is None:
        if suffix:
            raise ConfigError(
                f"--output {in_full(output)}: no format has the suffix {quoted(suffix)}. "
                f"Expected one of {', '.join(FORMATS)}, with {', '.join(SUFFIXES)} after it to compress; or give --format NAME."
            )
        return given.format
    return name or by_suffix or given.format


def format_for(name: str, given: Unlabelled, look: Look, columns: AnswerColumns, *, keep_formulas: bool) -> Format:
    """Return the format of an output.

    Args:
        name: Its name.
        given: The input.
        look: What reading the input has shown.
        columns: The added columns.
        keep_formulas: As for `Delimited`.
    """
    if name in ("csv", "tsv"):
        # A European CSV stays one.
        delimiter = TAB if name == "tsv" else given.delimiter if given.format == "csv" else ","
        return Delimited(look.columns, columns.names, delimiter, keep_formulas=keep_formulas)
    if name == "parquet":
        return ParquetFormat(look.schema or pa.schema([(column, pa.string()) for column in look.columns]))
    if name == "jsonl":
        return JsonLines()
    return Lines(given.text, (columns.label, columns.probability), given.pair)

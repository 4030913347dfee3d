"""Open a data file of any known format as a `Table`; messages about faults name the file and the place.

The formats: lines `text;label` (`.txt`), CSV and TSV, JSON and JSON Lines, Parquet and Arrow, Excel workbooks, SQLite
databases, and ZIP archives with one of the text formats. Text formats may be compressed (`.csv.gz`) and in any encoding; UTF-8
is expected. Blank lines between rows are skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emotune.data.formats import archives, excel, sqlite
from emotune.data.formats.archives import open_content, table_in
from emotune.data.formats.columnar import open_columnar
from emotune.data.formats.compression import SUFFIXES, compression_of, format_suffix
from emotune.data.formats.delimited import open_csv, open_tsv
from emotune.data.formats.encodings import is_wide
from emotune.data.formats.excel import open_excel
from emotune.data.formats.foreign import refuse_foreign
from emotune.data.formats.json_files import open_json
from emotune.data.formats.reading import Reading
from emotune.data.formats.semicolon_lines import open_txt
from emotune.data.formats.sqlite import open_sqlite
from emotune.data.formats.text_files import TextFile, unreadable
from emotune.data.table import Table
from emotune.system.errors import DataError
from emotune.system.wording import escaped, quoted, word

_BYTES_LOOKED_AT = 65_536
_LINES_END_WITH_LF = (".txt", ".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class _Text:
    """A format of text files: what opens it, its name after "is", and the options that apply to it."""

    open: Callable[[TextFile, Reading], Table]
    name: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class _Binary:
    """A format of other files: what opens it, its name, first bytes, and the options that apply to it."""

    open: Callable[[Path, Reading], Table]
    name: str
    signatures: tuple[bytes, ...]
    options: tuple[str, ...] = ()


_FIELDS = ("encoding", "delimiter", "columns")
_PARQUET = _Binary(lambda path, _: open_columnar(path), "a Parquet file", (b"PAR1",))
_ARROW = _Binary(lambda path, _: open_columnar(path), "an Arrow file", (b"ARROW1", b"\xff\xff\xff\xff"))
_EXCEL = _Binary(open_excel, "an Excel workbook", (b"PK\x03\x04",), ("sheet",))
_SQLITE = _Binary(open_sqlite, "an SQLite database", (sqlite.SIGNATURE,), ("query",))

_FORMATS: dict[str, _Text | _Binary] = {
    ".txt": _Text(open_txt, "a file with lines of text", _FIELDS),
    ".csv": _Text(open_csv, "CSV", _FIELDS),
    ".tsv": _Text(open_tsv, "TSV", _FIELDS),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), _Text(open_json, "JSON", ("encoding",))),
    ".parquet": _PARQUET,
    **dict.fromkeys((".arrow", ".feather"), _ARROW),
    **dict.fromkeys(excel.SUFFIXES, _EXCEL),
    **dict.fromkeys(sqlite.SUFFIXES, _SQLITE),
}
KNOWN_SUFFIXES = (*_FORMATS, archives.SUFFIX)
"""Suffixes of the files that are read."""


def open_table(path: Path, reading: Reading) -> Table:
    """Open a data file: check that it can be read, and find its columns.

    Args:
        path: The file.
        reading: How it is read, as far as the file does not say it.

    Raises:
        DataError: The file is missing, unreadable, empty, of an unknown format, not what its name says, or damaged; or an option
            was given that does not apply to it.
        ConfigError: A library that reads it is not installed.
    """
    suffix, inside, start, kind = _begin(path)
    form = _FORMATS.get(suffix)
    if isinstance(form, _Binary):
        reading.refuse_all_but(form.options, f"{escaped(path)} is {form.name}")
        if kind is not None and start.startswith(form.signatures):
            raise DataError(
                f"{escaped(path)} is {form.name} compressed with {kind}, which is not read. Decompress the file, and give that."
            )
        if start.startswith(form.signatures):
            return form.open(path, reading)
        refuse_foreign(path, start, None)
        raise DataError(
            f"{escaped(path)} is not {form.name}, whatever its name says: it does not begin with {form.signatures[0]!r}."
        )
    refuse_foreign(path, start, reading.encoding)
    if form is None:
        seen = "".join(path.suffixes[-2:]) if path.suffix.lower() in SUFFIXES else path.suffix
        raise DataError(
            f"{escaped(path)}: emotune cannot tell the format from the suffix {quoted(seen)}. "
            f"It reads {', '.join(KNOWN_SUFFIXES)}, compressed or not."
        )
    reading.refuse_all_but(form.options, f"{escaped(path)} is {form.name}")
    return form.open(_text(path, suffix, inside, start, reading), reading)


def open_text(path: Path, reading: Reading) -> TextFile:
    """Open a text file whose lines are read as they are; errors as for `open_table`."""
    suffix, inside, start, _ = _begin(path)
    refuse_foreign(path, start, reading.encoding)
    return _text(path, suffix, inside, start, reading)


def _begin(path: Path) -> tuple[str, str | None, bytes, str | None]:
    """Return suffix, name in the archive, first bytes and kind of compression of a file that can be read."""
    if path.is_dir():
        raise DataError(f"{escaped(path)} is a folder; expected a file ({', '.join(KNOWN_SUFFIXES)}).")
    suffix, inside = format_suffix(path), None
    try:
        with path.open("rb") as stream:
            start = stream.read(_BYTES_LOOKED_AT)
        kind = compression_of(start)
        if suffix == archives.SUFFIX and start.startswith(b"PK"):
            inside = table_in(path)
            suffix = format_suffix(Path(inside))
        if kind is not None or inside is not None:
            with open_content(path, inside) as stream:
                start = stream.read(_BYTES_LOOKED_AT)
    except OSError as error:
        raise unreadable(path, error) from None
    named = SUFFIXES.get(path.suffix.lower())
    if start and named is not None and kind is None:
        raise DataError(
            f"{escaped(path)} is not compressed, though its name says {named}. Rename it to {quoted(path.stem)}, or copy or "
            "download it again."
        )
    if not start:
        unpacked = kind or (None if inside is None else "ZIP")
        raise DataError(
            f"{escaped(path)} is empty (0 bytes{'' if unpacked is None else f' when decompressed ({unpacked})'})."
        )
    return suffix, inside, start, kind


def _text(path: Path, suffix: str, inside: str | None, start: bytes, reading: Reading) -> TextFile:
    file = TextFile.of(path, start, reading.encoding, inside)
    if (
        suffix in _LINES_END_WITH_LF
        and not is_wide(file.encoding)
        and b"\r" in start.rstrip(b"\r\n")
        and b"\n" not in start
    ):
        raise DataError(
            f"{escaped(path)}: its lines end with carriage returns only, as on old Macs; emotune expects line feeds.\n"
            f"Convert it: tr '\\r' '\\n' < {word(path)} > {word(path.with_stem(f'{path.stem}-lines'))}"
        )
    return file

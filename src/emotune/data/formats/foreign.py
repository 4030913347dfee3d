"""Files and folders that emotune does not read: their kind, and what to do about each."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from emotune.data.formats.encodings import is_marked, is_wide, looks_like_utf16
from emotune.system.errors import DataError
from emotune.system.wording import counted, escaped, in_full, listed, word

_STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0")
# First bytes of files that are not text, and names for the files.
_SIGNATURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file (name it .parquet)",
    b"ARROW1": "an Arrow file (name it .arrow)",
    b"SQLite format 3\0": "an SQLite database (name it .db)",
}
# Limits of the search for a folder's layout, and the number of its folders that are named.
_LEVELS_LOOKED_AT, _ENTRIES_LOOKED_AT, _PATHS_NAMED = 3, 10_000, 8
_EXPECTED = "expected text, or a file of the format that its suffix names"


def refuse_foreign(path: Path, start: bytes, encoding: str | None) -> None:
    """Refuse a file whose first bytes show that it is not text.

    Args:
        path: The file.
        start: Its first bytes.
        encoding: The encoding that the user gave, if any.

    Raises:
        DataError: It is an archive, another program's, or otherwise binary; the message says what to do.
    """
    shown = escaped(path)
    if start.startswith(b"PK\x03\x04"):
        raise DataError(f"{shown} is {_zip_kind(path)}")
    if start.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise DataError(
            f"{shown} is an old or an encrypted office document, such as .xls, which is not read. "
            "Save it as .xlsx without a password, or as CSV, and give that."
        )
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and len(start) > 1:
        raise DataError(
            f"{shown} is a Python pickle, which emotune never loads, since loading one can run code. "
            "Write the rows as CSV, JSON Lines or Parquet with the program that made it."
        )
    kind = next((kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)), None)
    if kind is None and b"\0" in start and not is_marked(start) and not is_wide(encoding):
        guess = looks_like_utf16(start)
        if guess is not None:
            raise DataError(f"{shown} seems to be UTF-16 text without a byte order mark. Add --encoding {guess}.")
        kind = f"a binary file (a NUL byte at offset {start.index(0):,})"
    if kind is not None:
        raise DataError(f"{shown} is {kind}; {_EXPECTED}.")


def refuse_place(source: str | Path) -> None:
    """Refuse what is not a file on this machine where one is expected: a URL, standard input, a pattern, a pipe.

    Raises:
        DataError: It is one of these; the message says what to give instead.
    """
    name = str(source)
    scheme, separator, _ = name.partition("://")
    if separator and scheme.isalnum():
        raise DataError(
            f"{in_full(name)} is a URL, and a file is expected here. Download it and give its path: curl -LO {word(name)}"
        )
    if name in _STANDARD_INPUT:
        raise DataError(
            f"{in_full(name)} is standard input, and a file is expected here: its rows are needed more than once. "
            "Write them to a file first, and give that."
        )
    path = Path(source).expanduser()
    if path.exists():
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise DataError(
                f"{escaped(path)} is a pipe or a device, which can be read only once, and rows are needed more than once. "
                "Write them to a file first, and give that."
            )
    elif any(character in name for character in "*?["):
        found = [file for file in entries_of(path.parent) if fnmatchcase(file.name, path.name)]
        matching = f" It would match {listed(file.name for file in found)}." if found else ""
        raise DataError(f"{in_full(name)} is a pattern, and one file is expected here.{matching} Give one file.")


def refuse_folder(path: Path) -> None:
    """Refuse a folder without data files of its own that has others in it, and say what to give.

    Args:
        path: The folder.

    Raises:
        DataError: There are such folders in it.
    """
    shown = escaped(path)
    folders = [folder for folder in entries_of(path) if is_folder(folder)]
    holding = [folder for folder in folders if any(_is_table(file) for file in entries_of(folder))]
    if holding:
        raise DataError(
            f"The folder {shown} holds no data files itself, but {'a folder' if len(holding) == 1 else 'folders'} with some: "
            f"{_some_in_full(holding)}. Give one of these."
        )
    texts = _first_text(folders)
    if texts is not None:
        raise DataError(
            f"The folder {shown} holds no data files, but folders with .txt files, such as {in_full(texts.relative_to(path))}. "
            "Texts are read from one folder per class (DIR/CLASS/1.txt or DIR/train/CLASS/1.txt), with at least two classes. "
            "Give the folder that holds these."
        )


def _some_in_full(paths: Sequence[Path]) -> str:
    """Return the first paths, not shortened because the user copies them, and how many more there are."""
    rest = len(paths) - _PATHS_NAMED
    return ", ".join(map(in_full, paths[:_PATHS_NAMED])) + (f" and {rest:,} more" if rest > 0 else "")


def entries_of(folder: Path) -> list[Path]:
    """Return the sorted entries of a folder; none if it is not a folder or may not be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder to look into: neither a link nor hidden."""
    try:
        return path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    except OSError:
        return False


def _first_text(folders: Sequence[Path]) -> Path | None:
    """Return a .txt file in or below the folders, or None; the search is limited in depth and number of entries."""
    level, left = list(folders), _ENTRIES_LOOKED_AT
    for _ in range(_LEVELS_LOOKED_AT):
        below: list[Path] = []
        for folder in level:
            entries = entries_of(folder)[: max(0, left)]
            left -= len(entries)
            found = next((entry for entry in entries if entry.suffix == ".txt"), None)
            if found is not None or left <= 0:
                return found
            below += [entry for entry in entries if is_folder(entry)]
        level = below
    return None


def _is_table(file: Path) -> bool:
    return file.suffix.lower() in (".csv", ".tsv", ".jsonl", ".json", ".parquet") and not file.name.startswith(".")


def _zip_kind(path: Path) -> str:
    """Return the kind of a ZIP archive, and what to do with it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return f"a ZIP archive, or an Excel workbook, or the beginning of one; {_EXPECTED}."
    if "xl/workbook.xml" in names:
        return "an Excel workbook. Name it .xlsx, and it is read."
    if "mimetype" in names or "[Content_Types].xml" in names:
        return "an office document, which emotune does not read. Save the table as CSV in UTF-8 or as .xlsx, and give that."
    return f"a ZIP archive with {counted(len(names), 'file')} ({listed(names)}). Name it .zip, and the table in it is read."

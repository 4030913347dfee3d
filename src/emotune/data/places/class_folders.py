"""One text per file, in a folder for each class: `aclImdb/train/pos/0_7.txt`, with or without folders for the splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from emotune.data.formats.encodings import is_wide
from emotune.data.formats.foreign import entries_of, is_folder
from emotune.data.places.split_names import SPLIT_ALIASES, by_number, read_name
from emotune.data.table import Broken, Row, Table
from emotune.system.errors import DataError
from emotune.system.wording import counted, escaped, listed, quoted

MOST_FILES = 1_000_000
"""Files of one split; more are refused."""
UNLABELLED = ("unsup", "unsupervised", "unlabeled", "unlabelled")
"""Names of folders whose texts have no label."""
_SUFFIXES = (".txt", ".text", "")
_LARGEST_FILE = 40_000_000
# Entries of a folder that are looked at to see whether it holds texts.
_LOOKED_AT = 50

Classes = Mapping[str, Path]


def find_class_folders(folder: Path) -> dict[str, Classes]:
    """Return the folders of the classes by split; under "" if there are no folders for splits; nothing if it is no such layout.

    Args:
        folder: The folder.
    """
    inner = [entry for entry in entries_of(folder) if is_folder(entry)]
    splits: dict[str, Classes] = {}
    for entry in inner:
        split = read_name(entry, is_folder=True).split
        classes = _classes(entry) if split in SPLIT_ALIASES.values() else {}
        if classes and split in splits:
            return {}
        if classes:
            splits[split] = classes
    if splits:
        return splits
    classes = _classes(folder)
    if len(classes) < 2 or all(name.lower() in SPLIT_ALIASES for name in classes):
        return {}
    return {"": classes}


def open_class_folders(folder: Path, classes: Classes, encoding: str | None = None) -> tuple[Table, list[str]]:
    """Open the texts of one split; a row is a file, and its label is the name of its folder.

    Args:
        folder: The folder that holds those of the classes.
        classes: The folders by class.
        encoding: Encoding of the files; None for UTF-8.

    Returns:
        The table and notes on it.

    Raises:
        DataError: A folder holds something else than texts, or there are too many files.
    """
    files: list[tuple[Path, str]] = []
    for name in sorted(classes):
        if name.lower() not in UNLABELLED:
            files += [(file, name) for file in _texts(classes[name], MOST_FILES - len(files))]
    notes = []
    without = [name for name in classes if name.lower() in UNLABELLED]
    if without:
        notes.append(
            f"Left out, as the texts in it have no label: the folder {listed(without)} in {quoted(folder.name)}."
        )

    def read(wanted: Sequence[str]) -> Iterator[Row]:
        for number, (file, name) in enumerate(files, start=1):
            text = _text(file, encoding) if "text" in wanted else ""
            if isinstance(text, DataError):
                yield number, [Broken(text)] * len(wanted)
            else:
                yield number, [text if column == "text" else name for column in wanted]

    def place(number: int) -> str:
        return escaped(files[number - 1][0])

    return Table(escaped(folder), ("text", "label"), read, place=place), notes


def _classes(folder: Path) -> dict[str, Path]:
    """Return the folders in a folder that hold texts, by name."""
    return {entry.name: entry for entry in entries_of(folder) if is_folder(entry) and _holds_texts(entry)}


def _holds_texts(folder: Path) -> bool:
    try:
        first = islice((entry for entry in folder.iterdir() if not entry.name.startswith(".")), _LOOKED_AT)
        found = list(first)
    except OSError:
        return False
    texts = sum(entry.suffix.lower() in _SUFFIXES and entry.is_file() for entry in found)
    return 2 * texts > len(found)


def _texts(folder: Path, most: int) -> list[Path]:
    """Return the files of a class, sorted."""
    files: list[Path] = []
    strays: list[Path] = []
    try:
        for entry in folder.iterdir():
            if entry.name.startswith("."):
                continue
            (files if entry.suffix.lower() in _SUFFIXES and entry.is_file() else strays).append(entry)
            if len(files) > most:
                raise DataError(
                    f"{escaped(folder.parent)} holds more than {MOST_FILES:,} files. Put the texts into one table for each split, "
                    "such as train.csv with the columns text and label."
                )
    except OSError as error:
        raise DataError(f"The folder {escaped(folder)} cannot be read: {error.strerror or error}.") from None
    if strays:
        raise DataError(
            f"The folder {escaped(folder)} holds one text per file, and {counted(len(strays), 'entry', 'entries')} that "
            f"{'is' if len(strays) == 1 else 'are'} no text: {listed(entry.name for entry in sorted(strays))}. "
            "Expected files named .txt, or without a suffix. Move the others elsewhere."
        )
    return sorted(files, key=by_number)


def _text(file: Path, encoding: str | None) -> str | DataError:
    """Return the text of a file, or what is wrong with it."""
    shown = escaped(file)
    try:
        if file.stat().st_size > _LARGEST_FILE:
            return DataError(f"{shown}: a file of {file.stat().st_size:,} bytes; expected one text.")
        content = file.read_bytes()
    except OSError as error:
        return DataError(f"{shown}: it cannot be read ({error.strerror or error}).")
    if b"\0" in content and not is_wide(encoding):
        return DataError(
            f"{shown}: a binary file (a NUL byte at offset {content.index(0):,}); expected a text in UTF-8."
        )
    try:
        return content.decode(encoding or "utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        return DataError(
            f"{shown}: byte 0x{content[error.start]:02x} at offset {error.start:,} is not {encoding or 'UTF-8, which emotune reads'}. "
            "Name the encoding of the files with --encoding NAME, such as windows-1252."
        )

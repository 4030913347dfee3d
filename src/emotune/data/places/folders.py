"""Folders of data in all their layouts: files named after splits, shards, the Hub's, `save_to_disk`, a folder per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emotune.data.dataset import SPLIT_NAMES
from emotune.data.formats.compression import format_stem, format_suffix
from emotune.data.formats.files import KNOWN_SUFFIXES, open_table
from emotune.data.formats.foreign import entries_of, is_folder, refuse_folder
from emotune.data.options import DataSource
from emotune.data.places.class_folders import find_class_folders, open_class_folders
from emotune.data.places.found import Source
from emotune.data.places.joined import joined
from emotune.data.places.saved_datasets import is_saved_dataset, open_saved_dataset
from emotune.data.places.split_names import (
    SPLIT_ALIASES,
    WEAK_VALIDATION,
    by_number,
    claims_of,
    prefixed_claims_of,
    read_name,
    reading_note,
)
from emotune.data.table import Table
from emotune.system.errors import DataError
from emotune.system.wording import counted, escaped, listed, quoted, word

# Folder of the data in a repository of the Hub.
_HUB_FOLDER = "data"
# Files that lie beside data and are none.
_ABOUT_DATA = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "Thumbs.db")
_ABOUT = ("readme", "license", "licence", "changelog", "requirements")


def open_folder(folder: Path, name: str, asked: DataSource) -> Source:
    """Find out the layout of a folder, and open its tables.

    Args:
        folder: The folder.
        name: The name of its data.
        asked: How rows are read.

    Raises:
        DataError: It holds no data, cannot be read, or could be read in several ways; or one of its files is not valid.
    """
    if is_saved_dataset(folder):
        asked.reading.refuse_all_but((), f"{escaped(folder)} was written by save_to_disk of the datasets library")
        saved = open_saved_dataset(folder)
        if isinstance(saved, Table):
            return Source(name, {name: saved}, is_one_file=True)
        return under_our_names(name, saved)
    try:
        files = sorted(file for file in folder.iterdir() if _is_data(file))
    except OSError as error:
        raise DataError(f"The folder {escaped(folder)} cannot be read: {error.strerror or error}.") from None
    claims = claims_of(folder, files)
    if not claims and all(format_suffix(file) == ".txt" for file in files):
        classes = find_class_folders(folder)
        if classes:
            asked.reading.refuse_all_but(("encoding",), f"{escaped(folder)} has one text per file")
            return _of_classes(folder, name, classes, files, asked.encoding)
    if not files:
        return _of_inner_folders(folder, name, asked)
    return _of_files(folder, name, files, claims, asked)


def under_our_names(name: str, tables: Mapping[str, Table]) -> Source:
    """Rename the splits of a data set that has its own names for them, such as one of the Hub.

    Args:
        name: The name of the data set.
        tables: By its names of splits.

    Raises:
        DataError: Two of them would have the same name.
    """
    renamed: dict[str, Table] = {}
    notes: tuple[str, ...] = ()
    also: dict[str, str] = {}
    ours = {split: SPLIT_ALIASES.get(split.lower(), split) for split in tables}
    weak = [split for split in tables if split.lower() in WEAK_VALIDATION]
    if len(weak) == 1 and {"train", "validation"} & set(ours.values()) == {"train"}:
        also[weak[0].lower()] = "validation"
        notes = (f"Taken as the validation split: {quoted(weak[0])}.",)
        ours[weak[0]] = "validation"
    for split, table in tables.items():
        if ours[split] in renamed:
            raise DataError(
                f"{name}: several of its splits ({listed(tables)}) would be {ours[split]}. Give the splits as files."
            )
        renamed[ours[split]] = table
    return Source(name, renamed, notes=notes, also=also)


def open_shards(files: Sequence[Path], source: str, asked: DataSource) -> Table:
    """Open files with the same columns as one table.

    Args:
        files: The files in order.
        source: Name of the whole in messages.
        asked: How rows are read.

    Raises:
        DataError: One of them is not valid, or their columns differ.
    """
    return joined([open_table(file, asked.reading) for file in files], source)


def _is_data(file: Path) -> bool:
    about = file.name in _ABOUT_DATA or (file.suffix.lower() == ".txt" and file.stem.lower() in _ABOUT)
    return format_suffix(file) in KNOWN_SUFFIXES and not file.name.startswith(".") and not about and file.is_file()


# --- files named after splits -----------------------------------------------------------------------------------------


def _of_files(
    folder: Path, name: str, files: Sequence[Path], claims: Mapping[str, Sequence[Path]], asked: DataSource
) -> Source:
    """Open the data files of a folder."""
    notes: list[str] = []
    also: dict[str, str] = {}
    chosen = dict(claims)
    if not chosen and len(files) > 1:
        chosen = dict(prefixed_claims_of(folder, files))
        if not chosen:
            raise DataError(
                f"The folder {escaped(folder)} holds several data files ({listed(file.name for file in files)}), "
                f"none of them named after a split. {_what_to_do(files)}"
            )
        notes.append(reading_note(chosen))
    if not chosen:
        table = open_table(files[0], asked.reading)
        return Source(name, {files[0].name: table}, is_one_file=True)
    weak = [file for file in files if format_stem(file).lower() in WEAK_VALIDATION]
    if "train" in chosen and "validation" not in chosen and len(weak) == 1:
        chosen["validation"] = [weak[0]]
        also[format_stem(weak[0]).lower()] = "validation"
        notes.append(f"Taken as the validation split: {quoted(weak[0].name)}.")
    shards = {split: found for split, found in chosen.items() if len(found) > 1}
    if shards and not any(note.startswith("Splits by") for note in notes):
        notes.append(reading_note(shards))
    used = {file for found in chosen.values() for file in found}
    unused = [file for file in files if file not in used]
    if unused:
        parts = {split: _parts(unused, split) for split in SPLIT_NAMES if split not in chosen}
        alike = [
            f"{listed(f.name for f in found)} looks like the {split} split: give it that name"
            for split, found in parts.items()
            if len(found) == 1
        ]
        advice = f" {'; '.join(alike)}." if alike else ""
        notes.append(f"Not used, as no split has such a name: {listed(file.name for file in unused)}.{advice}")
    return Source(name, _tables(folder, chosen, asked), notes=tuple(notes), also=also)


def _tables(folder: Path, claims: Mapping[str, Sequence[Path]], asked: DataSource) -> dict[str, Table]:
    return {split: open_shards(files, f"{escaped(folder)} ({split})", asked) for split, files in claims.items()}


def _parts(files: Sequence[Path], split: str) -> list[Path]:
    """Return the files with a name of the split as a word: "emotion_val.csv"."""
    return [file for file in files if read_name(file).split == split]


def _what_to_do(files: Sequence[Path]) -> str:
    """Return the advice for a folder whose files are not named after splits, or could be read in several ways."""
    parts = {split: _parts(files, split) for split in SPLIT_NAMES}
    if len(parts["train"]) == 1:
        options = {"validation": "--validation-data", "test": "--test-data"}
        given = [f"{option} {word(parts[split][0])}" for split, option in options.items() if len(parts[split]) == 1]
        others = f" with {' '.join(given)}" if given else ""
        return f"Name them train, validation and test; or give {word(parts['train'][0])}{others}."
    if all(format_suffix(file) == ".txt" for file in files) and len(files) > len(SPLIT_NAMES):
        return (
            "One file per text is read where there is a folder for each class; give the folder that holds these folders. "
            "Or put the texts into one table, such as train.csv with the columns text and label."
        )
    pattern = word(files[0].parent / f"*{format_suffix(files[0])}")
    return f"Name them train, validation and test; or give one file, or {pattern} if they are parts of one table."


# --- other layouts ----------------------------------------------------------------------------------------------------


def _of_inner_folders(folder: Path, name: str, asked: DataSource) -> Source:
    """Open a folder without data files: those of its splits, or of the folder "data", are in folders."""
    inner = [entry for entry in entries_of(folder) if is_folder(entry)]
    holding = {entry: _tables_in(entry) for entry in inner}
    claims: dict[str, list[Path]] = {}
    for entry, files in holding.items():
        split = SPLIT_ALIASES.get(entry.name.lower())
        if split and files:
            if split in claims:
                raise DataError(
                    f"In the folder {escaped(folder)} two folders claim to be the {split} split. Rename one."
                )
            claims[split] = files
    if claims:
        parts = [f"{split} from {counted(len(files), 'file')}" for split, files in claims.items()]
        return Source(
            name, _tables(folder, claims, asked), notes=(f"Splits by the names of folders: {', '.join(parts)}.",)
        )
    if holding.get(folder / _HUB_FOLDER):
        found = open_folder(folder / _HUB_FOLDER, name, asked)
        note = f"Read from the folder {quoted(_HUB_FOLDER)} in {quoted(name)}."
        return Source(found.name, found.tables, found.is_one_file, (note, *found.notes), found.also)
    refuse_folder(folder)
    raise DataError(
        f"The folder {escaped(folder)} holds no data files. "
        f"Expected train, validation and test ({', '.join(KNOWN_SUFFIXES)})."
    )


def _tables_in(folder: Path) -> list[Path]:
    """Return the tables in a folder, by the numbers in their names; a .txt file may be one text."""
    return sorted((file for file in entries_of(folder) if _is_data(file) and file.suffix != ".txt"), key=by_number)


def _of_classes(
    folder: Path,
    name: str,
    classes: Mapping[str, Mapping[str, Path]],
    unused: Sequence[Path],
    encoding: str | None,
) -> Source:
    tables: dict[str, Table] = {}
    notes: list[str] = []
    for split, found in classes.items():
        place = next(iter(found.values())).parent
        tables[split or name], said = open_class_folders(place, found, encoding)
        notes += said
    names = sorted({label for found in classes.values() for label in found})
    notes.insert(0, f"One text per file; labels by the names of folders: {listed(names)}.")
    if unused:
        notes.append(f"Not used: {listed(file.name for file in unused)}.")
    return Source(name, tables, is_one_file="" in classes, notes=tuple(notes))

"""Sources of data: the bundled sample, a file or folder on this machine, or the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emotune.data.compression import format_stem, format_suffix
from emotune.data.dataset import SPLIT_NAMES
from emotune.data.files import KNOWN_SUFFIXES, open_table
from emotune.data.foreign import refuse_folder, refuse_place
from emotune.data.hub_dataset import open_hub_dataset
from emotune.data.memory import called, kind_of, open_tables
from emotune.data.options import DataSource
from emotune.data.table import Table
from emotune.system.errors import DataError
from emotune.system.names import is_hub_id
from emotune.system.text import reason_of
from emotune.system.wording import escaped, in_full, listed, quoted, word

SAMPLE = "bundled:sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"

_SPLIT_ALIASES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Names of a validation split that are also used for a test split: taken with a note if no other split is validation.
_WEAK_VALIDATION = ("eval", "evaluation")
# More files than this are not taken for splits.
_MOST_TABLES = 8


@dataclass(frozen=True)
class Source:
    """A source that was found, with its tables open but not read.

    Attributes:
        name: The portable name: the Hub id, "bundled:sample", or the base name of the file or folder.
        tables: By split name. A file that is not named after a split is the only table, under its own name.
        is_one_file: True if there is one table only, not named after a split.
        notes: Notes on what was chosen, one sentence each.
        also: The source's other names for a split besides the one in `tables`.
    """

    name: str
    tables: Mapping[str, Table]
    is_one_file: bool = False
    notes: tuple[str, ...] = ()
    also: Mapping[str, str] = field(default_factory=dict)


def find_source(asked: DataSource) -> Source:
    """Find out the kind of a source and open it.

    A path that exists on this machine has precedence over a Hub data set of the same name.

    Args:
        asked: The source, and how it is read.

    Raises:
        DataError: There is no such file, no data in the folder, or the files are not valid.
        HubError: The Hub cannot be reached, or does not have the data set.
    """
    source, config, revision = asked.source, asked.config, asked.revision
    if not isinstance(source, (str, Path)):
        found = _in_memory(source)
    elif isinstance(source, str) and source.startswith("bundled:"):
        if source != SAMPLE:
            raise DataError(f"There is no bundled data {quoted(source)}. What is bundled is '{SAMPLE}'.")
        found = _open_local(SAMPLE_FOLDER, asked)
        found = Source(SAMPLE, found.tables)
    else:
        path = local_path(source)
        if path is None:
            return _under_our_names(str(source), open_hub_dataset(str(source), config=config, revision=revision))
        found = _open_local(path, asked)
    for setting, value in (("config", config), ("revision", revision)):
        if value is not None:
            raise DataError(
                f"{called(source)} is not on the Hugging Face Hub, so it has no {setting} "
                f"({quoted(value)} was given). Leave it out."
            )
    return found


def _in_memory(source: object) -> Source:
    tables = open_tables(source)
    name = kind_of(source)
    if isinstance(tables, Table):
        return Source(name, {name: tables}, is_one_file=True)
    return _under_our_names(name, tables)


def split_name(name: str) -> str:
    """Return emotune's name of a split: "val", "dev" and "valid" are "validation"; unknown names are kept."""
    return _SPLIT_ALIASES.get(name.lower(), name)


def local_path(source: str | Path) -> Path | None:
    """Return the path that a source names, or None if it is the id of a Hub data set.

    Raises:
        DataError: It is neither; or nothing exists at the path, or something that can be read only once.
    """
    path = _existing(source)
    if path is not None:
        return path
    if isinstance(source, str) and is_hub_id(source) and format_suffix(Path(source)) not in KNOWN_SUFFIXES:
        return None
    raise DataError(
        f"No such file or folder: {in_full(source)}. Expected a file ({', '.join(KNOWN_SUFFIXES)}), "
        f"a folder of such files, a Hugging Face Hub id (owner/name), or '{SAMPLE}'."
    )


def local_file(path: str | Path) -> Path:
    """Return the path of a file, where neither the Hub nor bundled data is allowed.

    Raises:
        DataError: Nothing exists at the path, or something that can be read only once.
    """
    found = _existing(path)
    if found is None:
        raise DataError(
            f"No such file: {in_full(path)}. Expected a file ({', '.join(KNOWN_SUFFIXES)}), compressed or not."
        )
    return found


def _existing(source: str | Path) -> Path | None:
    """Return the path if something exists there."""
    try:
        refuse_place(source)
        path = Path(source).expanduser()
        return path if str(source) != "" and path.exists() else None
    except (OSError, RuntimeError) as error:  # a name too long, no permission on the way, an unknown ~user
        raise DataError(f"{in_full(source)} cannot be read: {reason_of(error)}.") from None


def _base_name(path: Path) -> str:
    """Return the last part of a path, also for "." and ".."."""
    return path.name if path.name not in ("", "..") else path.resolve().name


def _open_local(path: Path, asked: DataSource) -> Source:
    if not path.is_dir():
        table = open_table(path, max_characters=asked.max_characters)
        return Source(_base_name(path), {path.name: table}, is_one_file=True)
    try:
        files = sorted(file for file in path.iterdir() if _is_data(file))
        refuse_folder(path, files)
    except OSError as error:
        raise DataError(f"The folder {escaped(path)} cannot be read: {error.strerror or error}.") from None
    if not files:
        raise DataError(
            f"The folder {escaped(path)} holds no data files. "
            f"Expected train, validation and test ({', '.join(KNOWN_SUFFIXES)})."
        )
    claims: dict[str, Path] = {}
    for file in files:
        split = split_name(format_stem(file))
        if split not in _SPLIT_ALIASES.values():
            continue
        if split in claims:
            raise DataError(
                f"In the folder {escaped(path)} both {quoted(claims[split].name)} and {quoted(file.name)} "
                f"claim to be the {split} split. Remove or rename one."
            )
        claims[split] = file
    if not claims and len(files) > 1:
        raise DataError(
            f"The folder {escaped(path)} holds several data files ({listed(file.name for file in files)}), "
            f"none of them named after a split. {_what_to_do(files)}"
        )
    chosen = claims or {files[0].name: files[0]}
    notes: list[str] = []
    also: dict[str, str] = {}
    weak = [file for file in files if format_stem(file).lower() in _WEAK_VALIDATION]
    if "train" in chosen and "validation" not in chosen and len(weak) == 1:
        chosen |= {"validation": weak[0]}
        also[format_stem(weak[0]).lower()] = "validation"
        notes.append(f"Taken as the validation split: {quoted(weak[0].name)}.")
    unused = [file for file in files if file not in chosen.values()]
    if unused:
        parts = {split: _parts(unused, split) for split in SPLIT_NAMES if split not in chosen}
        joined = [
            f"{listed(f.name for f in found)} look like parts of the {split} split"
            for split, found in parts.items()
            if found
        ]
        advice = f" {'; '.join(joined)}: join them into one file of that name." if joined else ""
        notes.append(f"Not used, as no split has such a name: {listed(file.name for file in unused)}.{advice}")
    return Source(
        name=_base_name(path),
        tables={split: open_table(file, max_characters=asked.max_characters) for split, file in chosen.items()},
        is_one_file=not claims,
        notes=tuple(notes),
        also=also,
    )


def _parts(files: Sequence[Path], split: str) -> list[Path]:
    """Return the files with a name of the split as a word: "emotion_val.csv", "train-00000-of-00001.parquet"."""
    return [
        file
        for file in files
        if {_SPLIT_ALIASES.get(word) for word in re.split(r"[^a-z]+", file.stem.lower())} - {None} == {split}
    ]


def _what_to_do(files: Sequence[Path]) -> str:
    """Return the advice for a folder whose files are not named after splits."""
    parts = {split: _parts(files, split) for split in SPLIT_NAMES}
    if any(len(found) > 1 for found in parts.values()):
        split, found = next((split, found) for split, found in parts.items() if len(found) > 1)
        return f"{listed(f.name for f in found)} look like parts of one split: join them into one file, {split}{format_suffix(found[0])}."
    if parts["train"]:
        options = {"validation": "--validation-data", "test": "--test-data"}
        given = [f"{option} {word(parts[split][0])}" for split, option in options.items() if parts[split]]
        others = f" with {' '.join(given)}" if given else ""
        return f"Name them train, validation and test; or give {word(parts['train'][0])}{others}."
    if len(files) > _MOST_TABLES and all(file.suffix.lower() == ".txt" for file in files):
        return (
            "One file per text is not read. Put the texts into one table for each split, such as train.csv "
            "with the columns text and label."
        )
    return "Name them train, validation and test, or give one file."


def _is_data(file: Path) -> bool:
    return format_suffix(file) in KNOWN_SUFFIXES and not file.name.startswith(".") and file.is_file()


def _under_our_names(name: str, tables: Mapping[str, Table]) -> Source:
    """Rename the splits of a Hub data set, or of one in memory, to emotune's names."""
    renamed: dict[str, Table] = {}
    notes: tuple[str, ...] = ()
    also: dict[str, str] = {}
    weak = [split for split in tables if split.lower() in _WEAK_VALIDATION]
    if len(weak) == 1 and {"train", "validation"} & set(map(split_name, tables)) == {"train"}:
        also[weak[0].lower()] = "validation"
        notes = (f"Taken as the validation split: {quoted(weak[0])}.",)
        tables = {"validation" if split == weak[0] else split: table for split, table in tables.items()}
    for split, table in tables.items():
        if split_name(split) in renamed:
            raise DataError(
                f"{name}: several of its splits ({listed(tables)}) would be {split_name(split)}. "
                "Give the splits as files."
            )
        renamed[split_name(split)] = table
    return Source(name, renamed, notes=notes, also=also)

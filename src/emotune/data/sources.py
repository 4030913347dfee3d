"""Where data comes from: the bundled sample, a file or folder of this machine, or the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emotune.data.files import KNOWN_SUFFIXES, open_table
from emotune.data.table import Table
from emotune.data.wording import escaped, listed, quoted
from emotune.errors import DataError
from emotune.text import reason_of

SAMPLE = "bundled:sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"

_SPLIT_ALIASES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)


@dataclass(frozen=True)
class Source:
    """A source that was found, its tables open but not read.

    Attributes:
        name: The portable name: the Hub id, "bundled:sample", or the base name of the file or folder.
        tables: By split name. A file that claims no split stands alone, under its own name.
        is_one_file: Whether there is one table only, which claims no split.
        notes: What the reader must know about the choice, one sentence each.
    """

    name: str
    tables: Mapping[str, Table]
    is_one_file: bool = False
    notes: tuple[str, ...] = ()


def find_source(source: str | Path, *, config: str | None, revision: str | None, max_characters: int) -> Source:
    """Find out what a source is and open it.

    What exists on this machine wins over a Hub data set of the same name.

    Args:
        source: "bundled:sample", a path, or the id of a Hub data set.
        config: The configuration of a Hub data set; nothing else has one.
        revision: The revision of a Hub data set; nothing else has one.
        max_characters: The longest text the caller takes.

    Raises:
        DataError: There is no such file, no data in the folder, or the files are not what they should be.
        HubError: The Hub cannot be reached, or does not have the data set.
    """
    if isinstance(source, str) and source.startswith("bundled:"):
        if source != SAMPLE:
            raise DataError(f"There is no bundled data {quoted(source)}. What is bundled is '{SAMPLE}'.")
        found = _open_local(SAMPLE_FOLDER, max_characters)
        found = Source(SAMPLE, found.tables)
    else:
        path = local_path(source)
        if path is None:
            from emotune.data.hub_dataset import open_hub_dataset

            return _from_hub(str(source), open_hub_dataset(str(source), config=config, revision=revision))
        found = _open_local(path, max_characters)
    for setting, value in (("config", config), ("revision", revision)):
        if value is not None:
            raise DataError(
                f"{quoted(source)} is not on the Hugging Face Hub, so it has no {setting} "
                f"({quoted(value)} was given). Leave it out."
            )
    return found


def split_name(name: str) -> str:
    """The name emotune uses for a split: "val", "dev" and "valid" are "validation"; unknown names stay."""
    return _SPLIT_ALIASES.get(name.lower(), name)


def local_path(source: str | Path) -> Path | None:
    """The path a source means, or None where it is the id of a Hub data set.

    Raises:
        DataError: It is neither, or a path at which there is nothing.
    """
    try:
        path = Path(source).expanduser()
        exists = str(source) != "" and path.exists()
    except (OSError, RuntimeError) as error:  # a name too long, no permission on the way, an unknown ~user
        raise DataError(f"{quoted(source)} cannot be read: {reason_of(error)}.") from None
    if exists:
        return path
    if isinstance(source, str) and _HUB_ID.fullmatch(source) and path.suffix.lower() not in KNOWN_SUFFIXES:
        return None
    raise DataError(
        f"No such file or folder: {quoted(source)}. Expected a file ({', '.join(KNOWN_SUFFIXES)}), "
        f"a folder of such files, a Hugging Face Hub id (owner/name), or '{SAMPLE}'."
    )


def _base_name(path: Path) -> str:
    """The last part of a path, also of "." and ".."."""
    return path.name if path.name not in ("", "..") else path.resolve().name


def _open_local(path: Path, max_characters: int) -> Source:
    if not path.is_dir():
        return Source(_base_name(path), {path.name: open_table(path, max_characters=max_characters)}, is_one_file=True)
    try:
        files = sorted(file for file in path.iterdir() if _is_data(file))
    except OSError as error:
        raise DataError(f"The folder {escaped(path)} cannot be read: {error.strerror or error}.") from None
    if not files:
        raise DataError(
            f"The folder {escaped(path)} holds no data files. "
            f"Expected train, validation and test ({', '.join(KNOWN_SUFFIXES)})."
        )
    claims: dict[str, Path] = {}
    for file in files:
        split = split_name(file.stem)
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
            "none of them named after a split. Name them train, validation and test, or give one file."
        )
    chosen = claims or {files[0].name: files[0]}
    unused = [file.name for file in files if file not in chosen.values()]
    return Source(
        name=_base_name(path),
        tables={split: open_table(file, max_characters=max_characters) for split, file in chosen.items()},
        is_one_file=not claims,
        notes=(f"Not used, as no split has such a name: {listed(unused)}.",) if unused else (),
    )


def _is_data(file: Path) -> bool:
    return file.suffix.lower() in KNOWN_SUFFIXES and not file.name.startswith(".") and file.is_file()


def _from_hub(name: str, tables: Mapping[str, Table]) -> Source:
    """Put the splits of a Hub data set under the names emotune uses."""
    renamed: dict[str, Table] = {}
    for split, table in tables.items():
        if split_name(split) in renamed:
            raise DataError(
                f"{name}: several of its splits ({listed(tables)}) would be {split_name(split)}. "
                "Give the splits as files."
            )
        renamed[split_name(split)] = table
    return Source(name, renamed)

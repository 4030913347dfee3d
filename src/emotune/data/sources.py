"""Sources of data: the bundled sample, a file or folder on this machine, or the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from emotune.data.compression import format_suffix
from emotune.data.files import KNOWN_SUFFIXES, open_table
from emotune.data.folders import open_folder, under_our_names
from emotune.data.foreign import refuse_place
from emotune.data.found import Source
from emotune.data.hub_dataset import open_hub_dataset
from emotune.data.memory import called, kind_of, open_tables
from emotune.data.options import DataSource
from emotune.data.table import Table
from emotune.system.errors import DataError
from emotune.system.names import is_hub_id
from emotune.system.text import reason_of
from emotune.system.wording import in_full, quoted

SAMPLE = "bundled:sample"
SAMPLE_FOLDER = Path(__file__).parent / "sample"


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
            return under_our_names(str(source), open_hub_dataset(str(source), config=config, revision=revision))
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
    return under_our_names(name, tables)


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
    if path.is_dir():
        return open_folder(path, _base_name(path), asked)
    table = open_table(path, max_characters=asked.max_characters)
    return Source(_base_name(path), {path.name: table}, is_one_file=True)

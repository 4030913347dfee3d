"""Sources of data: the bundled sample, what is in memory, files, folders, patterns, streams, URLs, and the Hub."""

from __future__ import annotations

from pathlib import Path

from emotune.data.formats.compression import format_suffix
from emotune.data.formats.copies import STANDARD_INPUT
from emotune.data.formats.files import KNOWN_SUFFIXES, open_table
from emotune.data.options import DataSource
from emotune.data.places.downloads import hub_place, is_url, without_secrets
from emotune.data.places.files import (
    check_input_format,
    copied,
    existing,
    is_pattern,
    local_file,
    matching,
    matching_note,
)
from emotune.data.places.folders import open_folder, open_shards, under_our_names
from emotune.data.places.found import Source
from emotune.data.places.hub_dataset import open_hub_dataset
from emotune.data.places.memory import called, kind_of, open_object, open_tables
from emotune.data.table import Table
from emotune.system.errors import DataError
from emotune.system.names import is_hub_id
from emotune.system.wording import in_full, quoted

SAMPLE = "bundled:sample"
SAMPLE_FOLDER = Path(__file__).parents[1] / "sample"


def find_source(asked: DataSource) -> Source:
    """Find out the kind of a source and open it.

    A path that exists on this machine has precedence over a Hub data set of the same name.

    Args:
        asked: The source, and how it is read.

    Raises:
        DataError: There is no such file, no data in the folder, or the files are not valid.
        HubError: The Hub, or the server of a URL, cannot be reached, or the Hub does not have the data set.
        ConfigError: The format of a stream was given, and nothing is one.
    """
    source = asked.source
    check_input_format(asked.input_format, (source, asked.validation, asked.test), called(source))
    if not isinstance(source, (str, Path)):
        asked.reading.refuse_all_but((), f"The data is {kind_of(source)}, no file")
        found = _in_memory(source)
    elif isinstance(source, str) and source.startswith("bundled:"):
        if source != SAMPLE:
            raise DataError(f"There is no bundled data {quoted(source)}. What is bundled is '{SAMPLE}'.")
        found = open_folder(SAMPLE_FOLDER, SAMPLE, asked)
    elif isinstance(source, str) and is_url(source):
        place = hub_place(source)
        if place is not None and not place.file:
            return _of_hub(place.id, place.revision, source, asked)
        at_url = _of_copy(source, asked)
        assert at_url is not None  # it is a URL
        if place is not None:
            return at_url
        found = at_url
    else:
        local = _of_copy(source, asked) or _of_pattern(source, asked) or _of_path(source, asked)
        if local is None:
            return _of_hub(str(source), None, str(source), asked)
        found = local
    for setting, value in (("config", asked.config), ("revision", asked.revision)):
        if value is not None:
            raise DataError(
                f"{called(source)} is not on the Hugging Face Hub, so it has no {setting} "
                f"({quoted(value)} was given). Leave it out."
            )
    return found


def open_split_file(split: str, file: object, asked: DataSource) -> tuple[Table, tuple[str, ...]]:
    """Open the rows that are given for one split: one table, at any place but the Hub's data sets.

    Args:
        split: The name of the split.
        file: The place, or a table in memory.
        asked: How rows are read.

    Returns:
        The table, and notes on what was chosen.

    Raises:
        DataError: There is no such file, or it is not valid.
    """
    if not isinstance(file, (str, Path)):
        return open_object(file, f"{kind_of(file)} ({split})"), ()
    if str(file) in STANDARD_INPUT and str(asked.source) in STANDARD_INPUT:
        raise DataError(f"Standard input is the data already, so it cannot be the {split} split as well. Give a file.")
    found = _of_copy(file, asked) or _of_pattern(file, asked)
    if found is None:
        return open_table(local_file(file), asked.reading), ()
    return next(iter(found.tables.values())), found.notes


def is_portable(source: str | Path) -> bool:
    """Return whether a source can be found again by its name on another machine: one of the Hub, or a URL without secrets.

    Args:
        source: The source, as the user gave it.
    """
    name = str(source)
    if is_url(name):
        return name == without_secrets(name) and not name.startswith("file:")
    if name in STANDARD_INPUT or is_pattern(name):
        return False
    return not Path(name).expanduser().exists()


# --- kinds of places --------------------------------------------------------------------------------------------------


def _in_memory(source: object) -> Source:
    tables = open_tables(source)
    name = kind_of(source)
    if isinstance(tables, Table):
        return Source(name, {name: tables}, is_one_file=True)
    return under_our_names(name, tables)


def _of_hub(name: str, revision: str | None, given: str, asked: DataSource) -> Source:
    """Open a data set of the Hub, named by its id or by the URL of its page."""
    if revision and asked.revision not in (None, revision):
        raise DataError(
            f"{in_full(given)} names the revision {quoted(revision)}, and {quoted(asked.revision)} was given too. Give one."
        )
    asked.reading.refuse_all_but((), f"{in_full(given)} is a data set of the Hugging Face Hub")
    tables = open_hub_dataset(name, config=asked.config, revision=asked.revision or revision)
    found = under_our_names(name, tables)
    if given == name:
        return found
    note = f"{in_full(given)} is the data set {name} of the Hugging Face Hub."
    return Source(found.name, found.tables, found.is_one_file, (note, *found.notes), found.also)


def _of_copy(source: str | Path, asked: DataSource) -> Source | None:
    """Open the file at a URL, standard input or a pipe; None if it is none of these."""
    copy = copied(source, asked.input_format, asked.revision)
    if copy is None:
        return None
    table = copy.open(lambda path: open_table(path, asked.reading))
    if is_url(str(source)):
        return Source(without_secrets(str(source)), {copy.name: table}, is_one_file=True, notes=copy.notes)
    name = copy.name if str(source) in STANDARD_INPUT else Path(source).name
    return Source(name, {name: table}, is_one_file=True, notes=copy.notes)


def _of_pattern(source: str | Path, asked: DataSource) -> Source | None:
    """Open the files that a pattern matches as one table; None if it is no pattern."""
    files = matching(source)
    if not files:
        return None
    base = Path(source).name
    notes = (matching_note(source, files),)
    return Source(base, {base: open_shards(files, str(source), asked)}, is_one_file=True, notes=notes)


def _of_path(source: str | Path, asked: DataSource) -> Source | None:
    """Open a file or folder of this machine; None if it is the id of a Hub data set.

    Raises:
        DataError: It is neither; or it is a device.
    """
    path = existing(source)
    if path is not None:
        name = path.name if path.name not in ("", "..") else path.resolve().name
        if path.is_dir():
            return open_folder(path, name, asked)
        return Source(name, {path.name: open_table(path, asked.reading)}, is_one_file=True)
    if isinstance(source, str) and is_hub_id(source) and format_suffix(Path(source)) not in KNOWN_SUFFIXES:
        return None
    raise DataError(
        f"No such file or folder: {in_full(source)}. Expected a file ({', '.join(KNOWN_SUFFIXES)}), "
        f"a folder of such files, a Hugging Face Hub id (owner/name), a URL, or '{SAMPLE}'."
    )

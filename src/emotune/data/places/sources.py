"""Sources of data: the bundled sample, what is in memory, files, folders, patterns, streams, URLs, and the Hub."""

from __future__ import annotations

import glob
from pathlib import Path

from emotune.data.formats.compression import format_suffix
from emotune.data.formats.copies import STANDARD_INPUT, copy_pipe, copy_standard_input
from emotune.data.formats.files import KNOWN_SUFFIXES, open_table
from emotune.data.formats.foreign import refuse_place
from emotune.data.options import DataSource
from emotune.data.places.downloads import fetch, fetch_from_hub, hub_place, is_url, without_secrets
from emotune.data.places.folders import open_folder, open_shards, under_our_names
from emotune.data.places.found import Source
from emotune.data.places.hub_dataset import open_hub_dataset
from emotune.data.places.memory import called, kind_of, open_object, open_tables
from emotune.data.places.split_names import by_number, read_name
from emotune.data.table import Table
from emotune.system.errors import ConfigError, DataError
from emotune.system.names import is_hub_id
from emotune.system.text import reason_of
from emotune.system.wording import in_full, listed, quoted

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
    _check_input_format(asked)
    source = asked.source
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
        found = _at_url(source, asked)
        if place is not None:
            return found
    else:
        local = _of_stream(source, asked) or _of_pattern(source, asked) or _of_path(source, asked)
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
    if isinstance(file, str) and is_url(file):
        found = _at_url(file, asked)
    else:
        stream = _of_stream(file, asked) or _of_pattern(file, asked)
        if stream is None:
            return open_table(local_file(file), asked.reading), ()
        found = stream
    return next(iter(found.tables.values())), found.notes


def is_portable(source: str | Path) -> bool:
    """Return whether a source can be found again by its name on another machine: one of the Hub, or a URL without secrets.

    Args:
        source: The source, as the user gave it.
    """
    name = str(source)
    if is_url(name):
        return name == without_secrets(name) and not name.startswith("file:")
    if name in STANDARD_INPUT or _is_pattern(name):
        return False
    return not Path(name).expanduser().exists()


def reads_once(source: object) -> bool:
    """Return whether a source is a stream, which another process cannot read again."""
    return isinstance(source, (str, Path)) and (str(source) in STANDARD_INPUT or _is_pipe(source))


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


def _check_input_format(asked: DataSource) -> None:
    given = (asked.source, asked.validation, asked.test)
    if asked.input_format is not None and not any(reads_once(place) or is_url(str(place)) for place in given):
        raise ConfigError(
            f"--input-format {asked.input_format} is about standard input, pipes and URLs, and {called(asked.source)} is none of "
            "these; a file's suffix names its format. Leave it out."
        )


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


def _at_url(url: str, asked: DataSource) -> Source:
    """Open the file at a URL."""
    place = hub_place(url)
    copy = fetch(url, asked.input_format) if place is None else fetch_from_hub(place, url, asked.revision)
    table = copy.open(lambda path: open_table(path, asked.reading))
    return Source(without_secrets(url), {copy.name: table}, is_one_file=True, notes=copy.notes)


def _of_stream(source: str | Path, asked: DataSource) -> Source | None:
    """Open standard input or a pipe; None if it is neither."""
    if str(source) in STANDARD_INPUT:
        copy, name = copy_standard_input(asked.input_format), "standard input"
    elif _is_pipe(source):
        copy, name = copy_pipe(Path(source).expanduser(), asked.input_format), Path(source).name
    else:
        return None
    table = copy.open(lambda path: open_table(path, asked.reading))
    return Source(name, {name: table}, is_one_file=True, notes=copy.notes)


def _of_pattern(source: str | Path, asked: DataSource) -> Source | None:
    """Open the files that a pattern matches as one table; None if it is no pattern."""
    name = str(source)
    if not _is_pattern(name):
        return None
    found = map(Path, glob.glob(str(Path(name).expanduser())))  # noqa: PTH207 - Path.glob takes no absolute patterns
    files = sorted(
        (path for path in found if path.is_file() and format_suffix(path) in KNOWN_SUFFIXES),
        key=lambda path: (str(path.parent), by_number(path)),
    )
    if not files:
        raise DataError(
            f"{in_full(name)} is a pattern that matches no data file. Expected files such as part-1.csv and part-2.csv "
            f"({', '.join(KNOWN_SUFFIXES)})."
        )
    names = [path.name for path in files]
    splits = {split for path in files if (split := read_name(path).split)}
    if len(splits) > 1:
        raise DataError(
            f"{in_full(name)} matches {listed(names)}, files of several splits, and the files of a pattern are read as one table. "
            f"Give the folder, {in_full(files[0].parent)}, or a narrower pattern."
        )
    formats = {format_suffix(path) for path in files}
    if len(formats) > 1:
        raise DataError(f"{in_full(name)} matches files of several formats: {listed(names)}. Give a narrower pattern.")
    base = Path(name).name
    note = f"{in_full(base)} matches {listed(names)}" + ("." if len(files) == 1 else ", read as one table.")
    return Source(base, {base: open_shards(files, name, asked)}, is_one_file=True, notes=(note,))


def _of_path(source: str | Path, asked: DataSource) -> Source | None:
    """Open a file or folder of this machine; None if it is the id of a Hub data set.

    Raises:
        DataError: It is neither; or it is a device.
    """
    path = _existing(source)
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


def _existing(source: str | Path) -> Path | None:
    """Return the path if something exists there."""
    try:
        refuse_place(source)
        path = Path(source).expanduser()
        return path if str(source) != "" and path.exists() else None
    except (OSError, RuntimeError) as error:  # a name too long, no permission on the way, an unknown ~user
        raise DataError(f"{in_full(source)} cannot be read: {reason_of(error)}.") from None


def _is_pipe(source: str | Path) -> bool:
    try:
        return Path(source).expanduser().is_fifo()
    except (OSError, RuntimeError, ValueError):
        return False


def _is_pattern(name: str) -> bool:
    """Return whether a name is a pattern of files; a file whose name has such characters is none."""
    try:
        return (
            any(character in name for character in "*?[") and not is_url(name) and not Path(name).expanduser().exists()
        )
    except (OSError, RuntimeError, ValueError):
        return False

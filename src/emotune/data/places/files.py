"""Places of files: paths, patterns, standard input, pipes and URLs; what can be read only once is copied to this machine."""

from __future__ import annotations

import glob
from pathlib import Path

from emotune.data.formats.compression import format_suffix
from emotune.data.formats.copies import STANDARD_INPUT, Copy, InputFormat, copy_pipe, copy_standard_input
from emotune.data.formats.files import KNOWN_SUFFIXES
from emotune.data.formats.foreign import refuse_place
from emotune.data.places.downloads import fetch, fetch_from_hub, hub_place, is_url
from emotune.data.places.split_names import by_number, read_name
from emotune.system.errors import ConfigError, DataError
from emotune.system.text import reason_of
from emotune.system.wording import in_full, listed


def copied(place: str | Path, form: InputFormat | None, revision: str | None = None) -> Copy | None:
    """Return a copy of what a URL, a pipe or standard input holds; None if the place is none of these.

    Args:
        place: The place.
        form: Its format; None to find it out.
        revision: The revision of a file of the Hub; None for that of the URL, or the newest.

    Raises:
        DataError: It holds no file of rows.
        HubError: The server cannot be reached.
    """
    if isinstance(place, str) and is_url(place):
        found = hub_place(place)
        if found is None:
            return fetch(place, form)
        if not found.file:
            raise DataError(
                f"{in_full(place)} is a whole data set of the Hugging Face Hub. Give one of its files here, as in "
                f"hf://datasets/{found.id}/data.csv."
            )
        return fetch_from_hub(found, place, revision)
    if str(place) in STANDARD_INPUT:
        return copy_standard_input(form)
    return copy_pipe(Path(place).expanduser(), form) if is_pipe(place) else None


def check_input_format(form: InputFormat | None, places: tuple[object, ...], name: str) -> None:
    """Refuse a format that was given where the suffixes of files name theirs.

    Args:
        form: The format given, if any.
        places: All places that are read.
        name: Name of the first of them in the message.

    Raises:
        ConfigError: None of the places is a stream or a URL.
    """
    if form is not None and not any(reads_once(place) or is_url(str(place)) for place in places):
        raise ConfigError(
            f"--input-format {form} is about standard input, pipes and URLs, and {name} is none of "
            "these; a file's suffix names its format. Leave it out."
        )


def matching(place: str | Path) -> list[Path]:
    """Return the files that a pattern matches, in order, which are read as one table; none if the place is no pattern.

    Raises:
        DataError: It matches no data file, files of several splits, or of several formats.
    """
    name = str(place)
    if not is_pattern(name):
        return []
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
    return files


def matching_note(place: str | Path, files: list[Path]) -> str:
    """Say which files a pattern matches."""
    names = listed(path.name for path in files)
    return f"{in_full(Path(place).name)} matches {names}" + ("." if len(files) == 1 else ", read as one table.")


def local_file(path: str | Path) -> Path:
    """Return the path of a file, where neither the Hub nor bundled data is allowed.

    Raises:
        DataError: Nothing exists at the path, or something that can be read only once.
    """
    found = existing(path)
    if found is None:
        raise DataError(
            f"No such file: {in_full(path)}. Expected a file ({', '.join(KNOWN_SUFFIXES)}), compressed or not."
        )
    return found


def existing(source: str | Path) -> Path | None:
    """Return the path if something exists there."""
    try:
        refuse_place(source)
        path = Path(source).expanduser()
        return path if str(source) != "" and path.exists() else None
    except (OSError, RuntimeError) as error:  # a name too long, no permission on the way, an unknown ~user
        raise DataError(f"{in_full(source)} cannot be read: {reason_of(error)}.") from None


def reads_once(source: object) -> bool:
    """Return whether a source is a stream, which another process cannot read again."""
    return isinstance(source, (str, Path)) and (str(source) in STANDARD_INPUT or is_pipe(source))


def is_pipe(source: str | Path) -> bool:
    """Return whether a path is that of a pipe."""
    try:
        return Path(source).expanduser().is_fifo()
    except (OSError, RuntimeError, ValueError):
        return False


def is_pattern(name: str) -> bool:
    """Return whether a name is a pattern of files; a file whose name has such characters is none."""
    try:
        return (
            any(character in name for character in "*?[") and not is_url(name) and not Path(name).expanduser().exists()
        )
    except (OSError, RuntimeError, ValueError):
        return False

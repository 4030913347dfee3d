"""The source of the texts of `emotune predict`: files, the command line, or standard input."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.system.errors import ConfigError, DataError
from emotune.system.wording import counted, in_full, word

if TYPE_CHECKING:
    from emotune.data.unlabelled import Unlabelled

ABOUT_LINES = ("encoding", "max_characters")
"""Options of reading that are about lines of text as well as about rows."""


@dataclass(frozen=True)
class Source:
    """Where texts come from: files that a place names, the command line, or standard input."""

    file: str | None = None
    texts: tuple[str, ...] = ()

    @property
    def is_standard_input(self) -> bool:
        """True if it is neither a file nor texts of the command line."""
        return self.file is None and not self.texts


def find_source(folder: Path, given: Sequence[str], file: str | None) -> Source:
    """Return what the arguments name."""
    from emotune.data.formats.copies import STANDARD_INPUT

    if given and file is not None:
        raise ConfigError("Texts were given both as arguments and with --file. Give one of the two.")
    if file is not None:
        return Source() if file in STANDARD_INPUT else Source(file)
    if len(given) == 1 and given[0] in STANDARD_INPUT:
        return Source()
    if not given:
        if sys.stdin.isatty():
            raise ConfigError(
                "There is no text to label. Give a file, a text, or - for standard input:\n"
                f'  emotune predict {word(folder)} "I did not expect this at all"'
            )
        return Source()
    folder_name = next((text for text in given if "/" in text and _is_folder(text)), None)
    if folder_name is not None:
        raise ConfigError(
            f"{in_full(folder_name)} is a folder. Give a file; --engine ray takes folders. To label the name itself, "
            "give it on standard input."
        )
    files = [text for text in given if _names_file(text)]
    if len(given) == 1 and files:
        return Source(given[0])
    if files:
        raise ConfigError(
            f"{in_full(files[0])} names a file, and {len(given)} arguments were given. Give one file at a time, or a pattern of "
            "files in quotes; to label the name itself, give it on standard input."
        )
    for number, text in enumerate(given, start=1):
        # The shell's bytes that are not UTF-8 arrive as lone surrogates.
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise DataError(f"Text {number} of the command line is not UTF-8. Convert it, for example with iconv.")
    return Source(texts=tuple(given))


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except (OSError, ValueError):  # a text too long to be a name, or with a NUL character
        return False


def _names_file(text: str) -> bool:
    """Return whether a text is a file's name, or can only be one: a label of it would not be about the file's texts."""
    from emotune.data.formats.compression import format_suffix
    from emotune.data.formats.files import KNOWN_SUFFIXES
    from emotune.data.places.downloads import is_url

    if is_url(text):
        return not any(character.isspace() for character in text)
    path = Path(text)
    try:
        if path.is_file():
            return True
    except (OSError, ValueError):  # a text too long to be a name, or with a NUL character
        return False
    return format_suffix(path) in KNOWN_SUFFIXES and not any(character.isspace() for character in text)


def open_source(source: Source, how: Mapping[str, Any], *, rows: bool) -> Unlabelled:
    """Open the input. Lines of standard input are read as they come; rows are copied first, since they are read twice.

    Args:
        source: Where texts come from.
        how: Arguments of `open_unlabelled`, "pairs" among them.
        rows: True if an option was given that is about rows, so that standard input is not lines of text.
    """
    from emotune.data.places.texts import open_unlabelled
    from emotune.data.unlabelled import lines_of, texts_of

    if source.file is not None:
        return open_unlabelled(source.file, **how)
    if source.texts:
        return texts_of(_in_pairs(source.texts) if how["pairs"] else source.texts, "The command line")
    if rows:
        return open_unlabelled("-", **how)
    about = {name: how[name] for name in ("pairs", "encoding", "max_characters") if name in how}
    return lines_of(sys.stdin.buffer, "Standard input", **about)


def _in_pairs(texts: Sequence[str]) -> tuple[str, ...]:
    """Return texts of the command line as pairs: the first with the second, the third with the fourth."""
    from emotune.system.pairs import TextPair

    if len(texts) % 2:
        raise DataError(
            f"The model reads pairs of texts, and {counted(len(texts), 'text')} {'was' if len(texts) == 1 else 'were'} "
            "given. Give two texts for each pair: the first, then the second."
        )
    return tuple(map(TextPair, texts[::2], texts[1::2]))

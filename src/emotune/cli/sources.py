"""The source of the texts of `emotune predict`: a file, the command line, or standard input."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.system.errors import ConfigError, DataError
from emotune.system.wording import counted, in_full, word

if TYPE_CHECKING:
    from emotune.data.unlabelled import Unlabelled

_STANDARD_INPUT = ("-", "/dev/stdin")


@dataclass(frozen=True)
class Source:
    """Where texts come from: a file, the command line, or standard input."""

    path: Path | None = None
    texts: tuple[str, ...] = ()

    @property
    def is_standard_input(self) -> bool:
        """True if it is neither a file nor texts of the command line."""
        return self.path is None and not self.texts


def find_source(folder: Path, given: Sequence[str], file: Path | None) -> Source:
    """Return what the arguments name."""
    if given and file is not None:
        raise ConfigError("Texts were given both as arguments and with --file. Give one of the two.")
    if file is not None:
        return Source() if str(file) in _STANDARD_INPUT else Source(file)
    if len(given) == 1 and given[0] in _STANDARD_INPUT:
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
        return Source(Path(given[0]))
    if files:
        raise ConfigError(
            f"{in_full(files[0])} names a file, and {len(given)} arguments were given. Give one file at a time; "
            "to label the name itself, give it on standard input."
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

    path = Path(text)
    try:
        if path.is_file():
            return True
    except (OSError, ValueError):  # a text too long to be a name, or with a NUL character
        return False
    return format_suffix(path) in KNOWN_SUFFIXES and not any(character.isspace() for character in text)


@contextmanager
def open_source(source: Source, input_format: str | None, how: Mapping[str, Any]) -> Iterator[Unlabelled]:
    """Open the input; standard input of rows is copied to a temporary file, since rows are read twice.

    Args:
        source: Where texts come from.
        input_format: The format of standard input.
        how: Arguments of `open_unlabelled`, "pairs" among them.
    """
    from emotune.data.places.texts import open_unlabelled
    from emotune.data.unlabelled import lines_of, texts_of
    from emotune.data.writing import format_of

    if source.path is not None:
        yield open_unlabelled(source.path, **how)
    elif source.texts:
        yield texts_of(_in_pairs(source.texts) if how["pairs"] else source.texts, "The command line")
    elif input_format is None or format_of(input_format) == "text":
        yield lines_of(sys.stdin.buffer, "Standard input", pairs=how["pairs"])
    else:
        with tempfile.TemporaryDirectory(prefix="emotune-") as held:
            copy = Path(held) / f"standard-input.{input_format}"
            with copy.open("wb") as stream:
                while block := sys.stdin.buffer.read(1 << 20):
                    stream.write(block)
            yield open_unlabelled(copy, **how)


def _in_pairs(texts: Sequence[str]) -> tuple[str, ...]:
    """Return texts of the command line as pairs: the first with the second, the third with the fourth."""
    from emotune.system.pairs import TextPair

    if len(texts) % 2:
        raise DataError(
            f"The model reads pairs of texts, and {counted(len(texts), 'text')} {'was' if len(texts) == 1 else 'were'} "
            "given. Give two texts for each pair: the first, then the second."
        )
    return tuple(map(TextPair, texts[::2], texts[1::2]))

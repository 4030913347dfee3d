"""Encodings of text files: what a byte order mark says, what the user says, and messages where neither fits."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from emotune.system.errors import DataError
from emotune.system.wording import escaped

# The mark of UTF-32 begins with that of UTF-16, so it comes first.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    codecs.BOM_UTF8: "UTF-8",
}
_BLOCK = 1 << 20


def checked_encoding(name: str) -> str:
    """Return the name of an encoding if Python knows it.

    Raises:
        ValueError: It does not, or it is no encoding of text.
    """
    try:
        "a".encode(name)  # nothing of "" is looked at
        codecs.lookup(name).incrementaldecoder()
    except (LookupError, UnicodeError, TypeError, ValueError):
        raise ValueError("expected the name of an encoding that Python knows, such as windows-1252 or utf-16") from None
    return name


def is_wide(name: str | None) -> bool:
    """Return whether an encoding has NUL bytes in ordinary text."""
    return name is not None and codecs.lookup(name).name.startswith(("utf-16", "utf-32"))


def is_marked(start: bytes) -> bool:
    """Return whether a file begins with a byte order mark of UTF-16 or UTF-32."""
    return any(start.startswith(mark) for mark, name in _MARKS.items() if name != "UTF-8")


def encoding_of(path: Path, start: bytes, given: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the encoding of a file for Python, and notes on it.

    Args:
        path: The file.
        start: Its first bytes.
        given: The user's choice.

    Raises:
        DataError: A byte order mark contradicts the choice.
    """
    marked = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
    if given is None:
        if marked in ("UTF-16", "UTF-32"):
            return marked, (f"{escaped(path.name)}: read as {marked}, as its byte order mark says.",)
        return "utf-8-sig", ()
    name = codecs.lookup(given).name
    if marked is not None and not name.startswith(marked.lower()):
        raise DataError(
            f"{escaped(path)} begins with the byte order mark of {marked}, and --encoding is {given}. "
            "Leave --encoding out: emotune reads what the mark says."
        )
    if name == "utf-8" or (marked is not None and is_wide(name)):
        return "utf-8-sig" if marked in (None, "UTF-8") else str(marked), ()
    if not is_wide(name) and _is_probably_utf8(start):
        said = f"read as {given}, though its beginning is valid UTF-8. If letters come out wrong, leave --encoding out"
        note = f"{escaped(path.name)}: {said}."
        return given, (note,)
    return given, ()


def _is_probably_utf8(start: bytes) -> bool:
    """Return whether bytes have letters beyond ASCII, all of them valid in UTF-8; the last may be cut."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return not text.isascii()


def looks_like_utf16(start: bytes) -> str | None:
    """Return the encoding of text in UTF-16 without a byte order mark, going by its first bytes; None if it is none."""
    part = start[: len(start) // 2 * 2]
    zeros = [part[place::2].count(0) for place in (0, 1)]
    half = len(part) // 2
    for place, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if half and zeros[place] > 0.8 * half and not zeros[1 - place]:
            return name
    return None


def wrong_encoding(
    path: Path, opened: AbstractContextManager[IO[bytes]], encoding: str, *, given: str | None
) -> DataError:
    """Return the error of text that is not in its encoding, with the place of the first byte that is wrong.

    Args:
        path: The file.
        opened: Its content.
        encoding: The encoding.
        given: The user's choice; None if there was none.
    """
    with opened as stream:
        found = _first_wrong(stream, encoding)
    if found is None:
        return DataError(f"{escaped(path)} changed while it was read. Try again when it is complete.")
    line, offset, byte = found
    place = f"{escaped(path)}, line {line}: byte 0x{byte:02x} at offset {offset:,} is not"
    if given is not None or encoding != "utf-8-sig":
        return DataError(f"{place} {given or encoding}. Name the encoding that the file is in with --encoding NAME.")
    return DataError(
        f"{place} UTF-8, which emotune reads.\n"
        "If the file is in another encoding, name it: --encoding windows-1252 (or what it is in)."
    )


def _first_wrong(stream: IO[bytes], encoding: str) -> tuple[int, int, int] | None:
    """Return line, offset and value of the first byte that is not valid."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, read = 1, 0
    for block in _blocks(stream):
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            content = error.object
            before = content[: error.start].decode(encoding, errors="ignore")
            return line + before.count("\n"), read - held + error.start, content[error.start]
        line += text.count("\n")
        read += len(block)
    return None


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block
    yield b""

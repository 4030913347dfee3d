"""Splits by the names of files and folders: "train.csv", "test-00000-of-00001.parquet", "emotion_val.csv"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.data.formats.compression import format_stem, format_suffix
from emotune.system.errors import DataError
from emotune.system.wording import escaped, listed, quoted

SPLIT_ALIASES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
WEAK_VALIDATION = ("eval", "evaluation")
"""Names of a validation split that are also used for a test split: taken with a note if no other split is validation."""

# "train-00000-of-00002", "train_1", and the Hub's older "train-00000-of-00001-8ac1c5d4e2f0b7a9".
_NUMBER = re.compile(r"[-_. ]?([0-9]{1,6})(?:[-_. ]?of[-_. ]?([0-9]{1,6})(?:-[0-9a-f]{16})?)?$")


def split_name(name: str) -> str:
    """Return emotune's name of a split: "val", "dev" and "valid" are "validation"; unknown names are kept."""
    return SPLIT_ALIASES.get(name.lower(), name)


def by_number(path: Path) -> list[tuple[int, int, str]]:
    """Return a key that sorts paths by the numbers in their names: "part-2" before "part-10"."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]


@dataclass(frozen=True)
class Reading:
    """What the name of a file says.

    Attributes:
        path: The file, or a folder.
        split: The split that it names, "eval" for a weak name of validation, or "" for none or several.
        around: The rest of the name with "*" for the split; "*" if there is nothing else.
        number: Its number among the shards of the split, or None.
        total: Number of shards, if the name has it.
    """

    path: Path
    split: str
    around: str
    number: int | None
    total: int | None


def read_name(path: Path, *, is_folder: bool = False) -> Reading:
    """Return what the name of a file or folder says."""
    stem = (path.name if is_folder else format_stem(path)).lower()
    found = _NUMBER.search(stem)
    core = stem[: found.start()] if found else stem
    known = {**SPLIT_ALIASES, **dict.fromkeys(WEAK_VALIDATION, "eval")}
    pieces = re.split(r"([a-z]+)", core)
    named = [at for at, piece in enumerate(pieces) if piece in known]
    if len(named) != 1:
        return Reading(path, "", stem, None, None)
    split = known[pieces[named[0]]]
    pieces[named[0]] = "*"
    number, total = (int(found[1]), int(found[2]) if found[2] else None) if found else (None, None)
    return Reading(path, split, "".join(pieces), number, total)


def claims_of(folder: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the files whose whole name is a split's, perhaps with a number, by split and in order.

    Raises:
        DataError: Two files claim to be the same split, or shards do not fit together.
    """
    readings = [reading for file in files if (reading := read_name(file)).around == "*" and reading.split != "eval"]
    return _by_split(folder, readings)


def prefixed_claims_of(folder: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the files whose names are a split's with the same words around it, by split.

    There are none if such names can be read in several ways, or if only one split would be found among other files.

    Raises:
        DataError: As in `claims_of`.
    """
    readings = [reading for file in files if (reading := read_name(file)).split]
    if not any(reading.split == "validation" for reading in readings):
        weak = {reading.path: reading for reading in readings if reading.split == "eval"}
        readings = [
            Reading(r.path, "validation", r.around, r.number, r.total) if r.path in weak else r for r in readings
        ]
    readings = [reading for reading in readings if reading.split != "eval"]
    splits = {reading.split for reading in readings}
    if len({reading.around for reading in readings}) != 1 or (len(splits) == 1 and len(readings) < len(files)):
        return {}
    return _by_split(folder, readings)


def _by_split(folder: Path, readings: Sequence[Reading]) -> dict[str, list[Path]]:
    claims: dict[str, list[Reading]] = {}
    for reading in readings:
        claims.setdefault(reading.split, []).append(reading)
    order = ("train", "validation", "test")
    return {split: _in_order(folder, split, claims[split]) for split in order if split in claims}


def _in_order(folder: Path, split: str, found: Sequence[Reading]) -> list[Path]:
    """Return the files of a split by their numbers."""
    first, *others = found
    if others and (first.number is None or any(other.number in (None, first.number) for other in others)):
        raise DataError(
            f"In the folder {escaped(folder)} both {quoted(first.path.name)} and {quoted(others[0].path.name)} "
            f"claim to be the {split} split. Remove or rename one."
        )
    suffixes = {format_suffix(reading.path) for reading in found}
    if len(suffixes) > 1:
        names = [reading.path.name for reading in found]
        raise DataError(
            f"In the folder {escaped(folder)} the shards of the {split} split have several formats: {listed(names)}. "
            "Keep those of one."
        )
    totals = {reading.total for reading in found if reading.total is not None}
    if totals and (len(totals) > 1 or len(found) != max(totals)):
        raise DataError(
            f"In the folder {escaped(folder)} the names of the {split} split say that there are {max(totals)} files, and there "
            f"{'is' if len(found) == 1 else 'are'} {len(found)}: {listed(reading.path.name for reading in found)}. "
            "Copy or download the others, or rename these."
        )
    return [reading.path for reading in sorted(found, key=lambda reading: reading.number or 0)]


def reading_note(claims: Mapping[str, Sequence[Path]]) -> str:
    """Return a sentence that says which files are which split."""
    parts = [f"{split} from {listed(file.name for file in files)}" for split, files in claims.items()]
    return f"Splits by the names of files: {'; '.join(parts)}."

"""What `emotune.json` must hold: every entry that is used later is looked at here, before anything is done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

from emotune.system.text import is_unicode, printable

# A temperature that is fitted lies between 0.05 and 20; dividing by one that is far off gives nothing but zeros and ones, or overflows.
COLDEST, HOTTEST = 0.001, 1000.0
# Random generators take seeds below.
_SEEDS = 2**32
# Beyond, a float32 is infinite.
_LARGEST_FLOAT = 3e38
_MOST_MISTAKES = 3
_LONGEST_VALUE = 60


def mistakes_in(description: dict[str, Any]) -> str:
    """What is wrong with the entries of a description, in words.

    Args:
        description: What `emotune.json` holds.

    Returns:
        At most three mistakes, each with the entry, what it is and what was expected, and how many more there are; "" where there is none.
    """
    found = list(_mistakes(description))
    more = f"; and {len(found) - _MOST_MISTAKES} more" if len(found) > _MOST_MISTAKES else ""
    return "; ".join(found[:_MOST_MISTAKES]) + more


def _mistakes(description: dict[str, Any]) -> Iterator[str]:
    good = set()
    for name, (check, expected, required) in _ENTRIES.items():
        section, _, key = name.rpartition(".")
        if section and section not in good:  # it is missing, or a mistake itself
            continue
        holder = description[section] if section else description
        if key not in holder:
            if required:
                yield f"{name} is missing"
        elif check(holder[key]):
            good.add(name)
        else:
            yield f"{name} is {printable(repr(holder[key]), _LONGEST_VALUE)}, expected {expected}"
    if {"labels", "verification.texts", "verification.logits"} <= good:
        texts, logits = description["verification"]["texts"], description["verification"]["logits"]
        if len(logits) != len(texts) or any(len(row) != len(description["labels"]) for row in logits):
            yield "verification.logits is of another shape, expected a row a text and a number a label"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and is_unicode(value)


def _is_name(value: Any) -> bool:
    return _is_text(value) and "\0" not in value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST_FLOAT < value < _LARGEST_FLOAT


def _is_whole(value: Any, least: int, below: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < below


def _is_labels(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value)) and len(set(value)) == len(value) > 1


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) and all(map(_is_number, row)) for row in value)


def _is_file(name: str, digest: Any) -> bool:
    return _is_name(name) and PurePath(name).name == name and isinstance(digest, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


# By name: whether a value will do, what is expected in words, and whether it must be there.
_ENTRIES: dict[str, tuple[Callable[[Any], bool], str, bool]] = {
    "base_model": (_is_object, "an object", True),
    "base_model.name": (_is_name, "text", True),
    "base_model.source": (lambda value: value is None or _is_name(value), "text or null", True),
    "base_model.revision": (lambda value: value is None or _is_name(value), "text or null", True),
    "labels": (_is_labels, "a list of at least two different texts", True),
    "max_length": (lambda value: _is_whole(value, 1, _SEEDS), "a whole number of at least 1", True),
    "seed": (lambda value: _is_whole(value, 0, _SEEDS), f"a whole number from 0 to {_SEEDS - 1}", True),
    "method": (_is_object, "an object", True),
    "method.name": (_is_text, "text", True),
    "temperature": (
        lambda value: value is None or (_is_number(value) and COLDEST <= value <= HOTTEST),
        f"a number from {COLDEST:g} to {HOTTEST:g}, or null",
        False,
    ),
    "verification": (_is_object, "an object", True),
    "verification.texts": (
        lambda value: isinstance(value, list) and bool(value) and all(map(_is_text, value)),
        "a list of texts",
        True,
    ),
    "verification.logits": (_is_table, "lists of numbers", True),
    "verification.tolerance": (lambda value: _is_number(value) and value >= 0, "a number of at least 0", True),
    "files": (
        lambda value: _is_object(value) and all(_is_file(name, digest) for name, digest in value.items()),
        "checksums by the names of files",
        True,
    ),
    "versions": (
        lambda value: _is_object(value) and all(isinstance(version, str) for version in value.values()),
        "versions by the names of packages",
        False,
    ),
    "configuration": (
        lambda value: _is_object(value) and all(map(_is_object, value.values())),
        "an object of sections",
        False,
    ),
    "data": (_is_object, "an object", False),
    "data.name": (_is_text, "text", False),
    "data.fingerprint": (_is_text, "text", False),
    "data.was_local": (lambda value: isinstance(value, bool), "true or false", False),
}

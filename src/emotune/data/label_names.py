"""Label names that look alike or hold several labels, so that one class is not trained as two, or several as one.

Invisible characters and different Unicode forms are normalized as labels are read, and notes say so. Names that differ
in case, and names that hold several labels, are kept and reported.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

from emotune.system.wording import counted, last_part, listed, quoted, word

# Soft hyphen, zero-width space, direction marks, word joiner and byte order mark are no part of a name. Joiners belong
# to an emoji or a Persian word, but not at the ends.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff]")
_JOINERS = "\u200c\u200d"
_SPACES = re.compile(r"\s")
# Separators of words that differ between spellings: "very good", "very_good", "very-good".
_BETWEEN_WORDS = re.compile(r"(?<=\w)[\s_-]+(?=\w)|_+")
_QUOTES = "\"'\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_SEPARATORS = ("|", ";", ",", "/", "+", "&")
# Characters of two names that stand in an advised option.
_LONGEST_ADVICE = 120
# Number of names of a kind that are shown.
_SHOWN = 3


@lru_cache(maxsize=4096)
def clean_name(name: str) -> str:
    """Return a label's name without surrounding white space and invisible characters, in Unicode's composed form (NFC).

    Args:
        name: The name as written in the data.
    """
    if name.isascii():
        return name.strip()
    cleaned = _SPACES.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFC", name)))
    return cleaned.strip().strip(_JOINERS).strip()


def respelt_note(source: str, respelt: Mapping[str, int]) -> str:
    """Return the note on labels that `clean_name` changed.

    Args:
        source: Name of the table in messages.
        respelt: Number of rows per changed name, as written in the data.
    """
    names = sorted(respelt, key=lambda name: (-respelt[name], name))
    shown = ", ".join(f"{_spelt(name, clean_name(name))} as {quoted(clean_name(name))}" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"{last_part(source)}: labels are read without invisible characters and in one Unicode form; that changed them "
        f"in {counted(sum(respelt.values()), 'row')}: {shown}{more}."
    )


def label_findings(names: Mapping[str, int]) -> Iterator[str]:
    """Yield what is suspicious about the labels' names, one sentence each.

    Args:
        names: Number of rows per label, in all splits.
    """
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[_likeness(name)].append(name)
    several = [sorted(same) for same in alike.values() if len(same) > 1]
    for same in several[:_SHOWN]:
        names_fit = len(same[0]) + len(same[-1]) <= _LONGEST_ADVICE
        advice = f"--map {word(f'{same[0]}={same[-1]}')}" if names_fit else "--map OLD=NEW"
        spelt = [f"{_spelt(name, _compatible(name))} ({counted(names[name], 'row')})" for name in same[:_SHOWN]]
        more = f" and {counted(len(same) - _SHOWN, 'more label')}" if len(same) > _SHOWN else ""
        yield (
            f"The labels {' and '.join(spelt)}{more} differ only in case, quotes or spelling, and are separate classes. "
            f"If they mean the same: {advice}."
        )
    if len(several) > _SHOWN:
        rest = len(several) - _SHOWN
        yield f"{counted(rest, 'more group')} of labels {'differs' if rest == 1 else 'differ'} only in case, quotes or spelling."

    separator, joined = joined_by(names)
    if joined:
        rows = sum(names[name] for name in joined)
        yield (
            f"{counted(len(joined), 'label')} {'looks' if len(joined) == 1 else 'look'} like several labels in one, in "
            f"{counted(rows, 'row')}, such as {listed(joined[:_SHOWN])}: each is trained as a separate class. "
            f"Where rows have several labels (multi-label), name their separator, {separator_option(separator)}, or give lists in "
            "JSON Lines."
        )


def separator_option(separator: str) -> str:
    """Return the option that names a separator of labels, as one writes it in a shell."""
    return f"--label-separator '{separator}'"


def _likeness(name: str) -> str:
    """Return a key that is equal for names that differ in case, width, surrounding quotes, or separators of words."""
    plain = _compatible(name).casefold().strip()
    return _BETWEEN_WORDS.sub(" ", plain.strip(_QUOTES) or plain).strip()


def _compatible(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


def _spelt(name: str, plain: str) -> str:
    """Return a name as `quoted`, with escapes for the characters that `plain`, which may look the same, lacks."""
    shown = "".join(
        character if character.isascii() or character in plain else character.encode("unicode_escape").decode("ascii")
        for character in name
    )
    return quoted(shown)


def joined_by(names: Mapping[str, int], known: Collection[str] = ()) -> tuple[str, list[str]]:
    """Return names made of other names, "joy|love" or "2,3", and before them the separator that gives most of them.

    Args:
        names: The names, such as the labels with their numbers of rows.
        known: Further names that others may be made of.

    Returns:
        "" and no names where none are.
    """
    best: tuple[str, list[str]] = ("", [])
    for separator in _SEPARATORS:
        parts = {name: [part.strip() for part in name.split(separator)] for name in names if separator in name}
        parts = {name: found for name, found in parts.items() if all(found)}
        times = Counter(part for found in parts.values() for part in set(found))
        singles = (names.keys() | set(known)) - parts.keys()
        made = [name for name, found in parts.items() if all(part in singles or times[part] > 1 for part in found)]
        # Names such as "rock/pop" and "news, sport" also have a separator, but their parts are not labels.
        if (
            2 * len(made) >= len(parts)
            and any(part in singles for name in made for part in parts[name])
            and len(made) > len(best[1])
        ):
            best = (separator, made)
    return best

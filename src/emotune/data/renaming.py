"""New names for labels (--map OLD=NEW): several old ones may become one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from emotune.data.label_names import clean_name
from emotune.system.errors import DataError
from emotune.system.wording import counted, listed, quoted

# Old names that a note shows with their numbers of rows.
_SHOWN = 6


class Renaming:
    """New names of labels, and the labels that were renamed with them.

    Args:
        names: New names by old names; None for none.
    """

    def __init__(self, names: Mapping[str, str] | None) -> None:
        self._names = {clean_name(old): clean_name(new) for old, new in (names or {}).items()}
        self.found: Counter[str] = Counter()

    def __call__(self, name: str) -> str:
        """Return the new name of a label, counting it under its old one."""
        self.found[name] += 1
        return self._names.get(name, name)

    def of_classes(self, names: Sequence[str] | None) -> tuple[str, ...] | None:
        """Return the names of classes with the new ones in the place of the first old one."""
        return None if names is None else tuple(dict.fromkeys(self._names.get(name, name) for name in names))


def renaming_notes(names: Mapping[str, str] | None, found: Iterable[Mapping[str, int]]) -> list[str]:
    """Return a note on the labels that were renamed; none if nothing was asked for.

    Args:
        names: New names by old names.
        found: Number of rows per label before renaming, of each split.

    Raises:
        DataError: An old name does not occur.
    """
    if not names:
        return []
    total: Counter[str] = Counter()
    for split in found:
        total.update(split)
    missing = [old for old in names if clean_name(old) not in total]
    if missing:
        raise DataError(
            f"--map names labels that no row has: {listed(missing)}. The labels are {listed(sorted(total))}. "
            "Correct the old name, or leave it out."
        )
    parts = [
        f"{quoted(old)} to {quoted(new)} ({counted(total[clean_name(old)], 'row')})"
        for old, new in list(names.items())[:_SHOWN]
    ]
    rest = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return [f"Labels renamed: {', '.join(parts)}{rest}."]

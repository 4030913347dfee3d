"""`Source`: data that was found, with its tables open but not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emotune.data.table import Table


@dataclass(frozen=True)
class Source:
    """A source that was found, with its tables open but not read.

    Attributes:
        name: The portable name: the Hub id, "bundled:sample", a URL, or the base name of the file or folder.
        tables: By split name. Rows that are not named after a split are the only table, under their own name.
        is_one_file: True if there is one table only, not named after a split.
        notes: Notes on what was chosen, one sentence each.
        also: The source's other names for a split besides the one in `tables`.
    """

    name: str
    tables: Mapping[str, Table]
    is_one_file: bool = False
    notes: tuple[str, ...] = ()
    also: Mapping[str, str] = field(default_factory=dict)

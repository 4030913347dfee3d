"""A cleaned copy of audited data, and the list of what was left out and why; the original is never touched."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from emotune.data.audit import Audit
from emotune.data.dataset import SPLIT_NAMES
from emotune.data.located import Row
from emotune.system.errors import DataError
from emotune.system.output import written_whole

DROPPED = "dropped.csv"
OPTION = "--write-clean"


@dataclass(frozen=True)
class Dropped:
    """A row that the cleaned copy lacks, and why."""

    row: Row
    reason: str


def choose_dropped(audit: Audit) -> list[Dropped]:
    """What a cleaned copy leaves out, in the order of the data.

    A training text under different labels goes entirely, since nobody can say which is right. A repeat goes, and the first of its
    kind stays; in validation and test too, whatever its label. A text that stands in test goes from training and validation, and one
    that stands in validation from training, so that scores are of texts not seen before. Near repeats and likely label errors stay:
    they are for a person to judge.

    Args:
        audit: What was found.
    """
    reasons: dict[Row, str] = {}
    for contradiction in audit.contradictions:
        labels = ", ".join(sorted({row.label for row in contradiction.rows}))
        for row in contradiction.rows:
            reasons[row] = f"the same text stands under several labels: {labels}"
    for repeat in audit.repeats:
        if repeat.kind != "near":
            reasons.setdefault(repeat.row, f"repeats row {repeat.first.place.number}")
    kept: dict[int, Row] = {}
    for split in reversed(SPLIT_NAMES):  # test first: nothing goes from it for what the others hold
        here = [number for number, row in enumerate(audit.rows) if row.place.split == split]
        for number in here:
            other = kept.get(int(audit.groups.trivial[number]))
            if other is not None:
                reasons.setdefault(
                    audit.rows[number], f"its text stands in {other.place.split} too, row {other.place.number}"
                )
        for number in here:
            kept.setdefault(int(audit.groups.trivial[number]), audit.rows[number])
    return [Dropped(row, reasons[row]) for row in audit.rows if row in reasons]


def write_clean(audit: Audit, folder: str | Path) -> list[Dropped]:
    """Write the cleaned splits as CSV files into a new folder, and `dropped.csv` beside them: what was left out, and why.

    Args:
        audit: What was found.
        folder: Where to; it must not exist, or be empty. It is written whole or not at all.

    Returns:
        What was left out, rows that cannot be used not counted; those stand in the list as well.

    Raises:
        OutputError: The folder is not empty, or cannot be written.
        DataError: Nothing of a split would be left.
    """
    dropped = choose_dropped(audit)
    left_out = {drop.row for drop in dropped}
    with written_whole(Path(folder), overwrite=None, option=OPTION) as work:
        for split in audit.counts:
            kept = [row for row in audit.rows if row.place.split == split and row not in left_out]
            if not kept:
                raise DataError(
                    f"Nothing of {split} would be left. Look at the audit; the cleaned copy was not written."
                )
            _write(work / f"{split}.csv", ("text", "label"), ((row.text, row.label) for row in kept))
        unusable = ((split, row.number, "", "", row.reason) for split, rows in audit.unusable.items() for row in rows)
        rows = (
            (drop.row.place.split, drop.row.place.number, drop.row.label, drop.row.text, drop.reason)
            for drop in dropped
        )
        _write(work / DROPPED, ("split", "row", "label", "text", "reason"), chain(unusable, rows))
    return dropped


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        # The csv module leaves a carriage return alone unquoted, and takes it for the end of a row when it reads.
        quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        for row in rows:
            (quoting if any("\r" in str(value) for value in row) else writer).writerow(row)

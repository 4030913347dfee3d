"""A cleaned copy of audited data, and the list of the rows left out, with reasons; the original is never changed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from emotune.data.auditing.audit import Audit
from emotune.data.auditing.located import Row
from emotune.data.dataset import SPLIT_NAMES
from emotune.system.errors import DataError
from emotune.system.output import written_whole

DROPPED = "dropped.csv"
OPTION = "--write-clean"


@dataclass(frozen=True)
class Dropped:
    """A row that is not in the cleaned copy, and the reason."""

    row: Row
    reason: str


def choose_dropped(audit: Audit) -> list[Dropped]:
    """Return the rows that a cleaned copy leaves out, in the order of the data.

    - A training text with several labels is removed entirely, since it is unknown which label is right.
    - Of repeats, only the first is kept. In validation and test this holds whatever the label.
    - A text of test is removed from training and validation, and a text of validation from training, so that scores
      are of unseen texts.
    - Near repeats and likely label errors are kept: they are for a person to judge.

    Args:
        audit: The audit of the data.
    """
    reasons: dict[Row, str] = {}
    for contradiction in audit.contradictions:
        labels = ", ".join(sorted({row.label for row in contradiction.rows}))
        for row in contradiction.rows:
            reasons[row] = f"the same text has several labels: {labels}"
    for repeat in audit.repeats:
        if repeat.kind != "near":
            reasons.setdefault(repeat.row, f"repeats row {repeat.first.place.number}")
    kept: dict[int, Row] = {}
    for split in reversed(SPLIT_NAMES):  # test first: nothing is removed from it because of the other splits
        here = [number for number, row in enumerate(audit.rows) if row.place.split == split]
        for number in here:
            other = kept.get(int(audit.groups.trivial[number]))
            if other is not None:
                reasons.setdefault(
                    audit.rows[number], f"its text is also in {other.place.split}, row {other.place.number}"
                )
        for number in here:
            kept.setdefault(int(audit.groups.trivial[number]), audit.rows[number])
    return [Dropped(row, reasons[row]) for row in audit.rows if row in reasons]


def write_clean(audit: Audit, folder: str | Path) -> list[Dropped]:
    """Write the cleaned splits as CSV files into a new folder, and the rows left out, with reasons, into `dropped.csv`.

    Columns of groups and times that were read are written as well, so that splits can be cut by them.

    Args:
        audit: The audit of the data.
        folder: The folder to write; it must be empty or not exist. It is written completely or not at all.

    Returns:
        The rows left out. Rows that cannot be used are not among them, but are in `dropped.csv`.

    Raises:
        OutputError: The folder is not empty, or cannot be written.
        DataError: A split would have no rows.
    """
    if audit.several:
        raise DataError(
            "A cleaned copy is written for rows with one label each, and these rows have several. Leave --write-clean out."
        )
    dropped = choose_dropped(audit)
    left_out = {drop.row for drop in dropped}
    with written_whole(Path(folder), overwrite=None, option=OPTION) as work:
        for split in audit.counts:
            numbers = [
                number for number, row in enumerate(audit.rows) if row.place.split == split and row not in left_out
            ]
            if not numbers:
                raise DataError(
                    f"No row of {split} would be left, so the cleaned copy was not written. See the audit for the reasons."
                )
            kept = ((audit.rows[number].text, audit.rows[number].label) for number in numbers)
            further = zip(*([cells[number] for number in numbers] for cells in audit.further.values()), strict=True)
            lines = [(*row, *cells) for row, cells in zip(kept, further, strict=True)] if audit.further else kept
            names = (f"{name}_2" if name in ("text", "label") else name for name in audit.further)
            _write(work / f"{split}.csv", ("text", "label", *names), lines)
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
        # The csv module does not quote a lone carriage return, but reads it as the end of a row.
        quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        for row in rows:
            (quoting if any("\r" in str(value) for value in row) else writer).writerow(row)

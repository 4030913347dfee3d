"""A cleaned copy of audited data, and the list of the rows left out, with reasons; the original is never changed."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from emotune.data.auditing.audit import Audit
from emotune.data.auditing.located import Row
from emotune.data.dataset import SPLIT_NAMES
from emotune.system.errors import DataError
from emotune.system.output import written_whole
from emotune.system.pairs import sides_of

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
    """Write the cleaned splits as files into a new folder, and the rows left out, with reasons, into `dropped.csv`.

    They are CSV files, or JSON Lines with lists of labels if rows have several. The texts of pairs are in `text1` and
    `text2`. Columns of groups and times that were read are written as well, so that splits can be cut by them.

    Args:
        audit: The audit of the data.
        folder: The folder to write; it must be empty or not exist. It is written completely or not at all.

    Returns:
        The rows left out. Rows that cannot be used are not among them, but are in `dropped.csv`.

    Raises:
        OutputError: The folder is not empty, or cannot be written.
        DataError: A split would have no rows.
    """
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
            _write_split(work / split, audit, numbers)
        unusable = ((split, row.number, "", "", row.reason) for split, rows in audit.unusable.items() for row in rows)
        rows = (
            (drop.row.place.split, drop.row.place.number, drop.row.label, drop.row.text, drop.reason)
            for drop in dropped
        )
        _write(work / DROPPED, ("split", "row", "label", "text", "reason"), chain(unusable, rows))
    return dropped


def _write_split(path: Path, audit: Audit, numbers: Sequence[int]) -> None:
    """Write rows of an audit, given by their numbers, to the file of this name; the suffix is added."""
    firsts, seconds = sides_of([audit.rows[number].text for number in numbers])
    columns: dict[str, Sequence[object]] = {"text": firsts} if seconds is None else {"text1": firsts, "text2": seconds}
    columns["label"] = [
        audit.rows[number].label if audit.label_sets is None else audit.label_sets[number] for number in numbers
    ]
    for name, cells in audit.further.items():
        columns[f"{name}_2" if name in columns else name] = [cells[number] for number in numbers]
    rows = zip(*columns.values(), strict=True)
    if audit.label_sets is None:
        _write(path.with_suffix(".csv"), tuple(columns), rows)
        return
    with path.with_suffix(".jsonl").open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, default=str) + "\n")


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        # The csv module does not quote a lone carriage return, but reads it as the end of a row.
        quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        for row in rows:
            (quoting if any("\r" in str(value) for value in row) else writer).writerow(row)

"""Rows that are left out because the user asked for it: counted by reason, and listed in a file beside the output."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.system.atomic import whole
from emotune.system.errors import OutputError
from emotune.system.wording import counted, escaped, last_part

SKIP_KINDS = ("broken", "blank", "other")
"""Kinds of faulty rows that --on-error skip leaves out."""
UNLABELLED_KINDS = ("unlabelled", "withheld")
"""Kinds of faulty rows that --drop-unlabelled leaves out."""
_MOST_REASONS = 3


@dataclass(frozen=True)
class LeftOut:
    """A row that was left out.

    Attributes:
        place: Its place: "reviews.csv, line 7".
        reason: The reason, as a clause.
        unlabelled: True if its label is missing, and nothing else is known to be wrong with it.
    """

    place: str
    reason: str
    unlabelled: bool = False


def left_out_notes(source: str, rows: Sequence[LeftOut]) -> Iterator[str]:
    """Yield notes on rows left out of a table, counted by reason.

    Args:
        source: Name of the table.
        rows: The rows.
    """
    source = last_part(source)
    unlabelled = sum(row.unlabelled for row in rows)
    if unlabelled:
        yield f"{source}: {counted(unlabelled, 'row')} without a label left out (--drop-unlabelled)."
    reasons = Counter(_short(row.reason) for row in rows if not row.unlabelled).most_common()
    if reasons:
        parts = [f"{reason} ({count:,})" for reason, count in reasons[:_MOST_REASONS]]
        rest = sum(count for _, count in reasons[_MOST_REASONS:])
        parts += [f"other reasons ({rest:,})"] if rest else []
        total = sum(count for _, count in reasons)
        yield f"{source}: {counted(total, 'row')} left out (--on-error skip): {'; '.join(parts)}."


def left_out_file(output: Path) -> Path:
    """Return the path of the list of rows that were left out, beside an output."""
    return output.with_name(f"{output.name}.skipped.csv")


def check_left_out(output: Path, overwrite: bool) -> None:
    """Refuse to replace an earlier list beside an output, unless replacing was asked for.

    Raises:
        OutputError: There is one.
    """
    path = left_out_file(output)
    if path.exists() and not overwrite:
        raise OutputError(
            f"{escaped(path)} exists, and the rows that are skipped are listed there. Add --overwrite to replace it, "
            "or choose another --output."
        )


def write_left_out(output: Path, rows: Sequence[LeftOut]) -> Path | None:
    """Write the list beside an output, or remove that of an earlier output if no row was skipped.

    Args:
        output: The output, a file or a folder.
        rows: Rows that were left out; those that only lack a label are not listed.

    Returns:
        The path of the list, or None if there is none.
    """
    path = left_out_file(output)
    skipped = [row for row in rows if not row.unlabelled]
    if not skipped:
        path.unlink(missing_ok=True)
        return None
    with whole(path) as partial, partial.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "reason"])
        writer.writerows([row.place, " ".join(row.reason.split())] for row in skipped)
    return path


def _short(reason: str) -> str:
    """Return a reason without what is about one row."""
    return re.sub(r" \([^)]*\)", "", reason.partition(". ")[0]).removesuffix(".")

"""Drift in words: the verdict, what differs, and what the number of texts can show."""

from __future__ import annotations

from emotune.evaluation.drift import Drift, Shift
from emotune.evaluation.words.formats import LONGEST_NAME, p_number, p_value
from emotune.evaluation.words.texts import TextTable
from emotune.system.text import printable
from emotune.system.wording import counted, quoted

_MOST_LABELS = 3


def drift_sentences(drift: Drift) -> list[str]:
    """Return the verdict first, then what else differs, what these texts can show, and what drift is not."""
    points = _points(drift.least_change)
    if drift.look:
        found = [f"Look at the new texts: {'; '.join(_said(shift, drift) for shift in drift.drifted)}."]
    else:
        found = [
            f"No need to look: no property differs significantly (level {drift.level:g} for all tests together) "
            f"and by {points} or more."
        ]
    small = [shift for shift in drift.significant if shift not in drift.drifted]
    if small:
        sizes = ", ".join(f"{_name(shift)} ({_points(shift.size)}, {p_value(shift.adjusted_p)})" for shift in small)
        found.append(f"Significant, but smaller than {points}: {sizes}.")
    if drift.detectable > drift.least_change:
        least = (
            f"a difference below {_points(drift.detectable)} cannot be"
            if drift.detectable < 1
            else "no difference can be"
        )
        found.append(
            f"With {counted(drift.rows, 'new text')} and {counted(drift.reference_rows, 'reference text')} "
            f"{least} significant in confidence or length. More texts would show smaller ones."
        )
    if drift.skipped:
        found.append(drift.skipped)
    if drift.look:
        found.append(
            "Drift says that the texts differ, not that the labels are wrong. Label some of them and score these with "
            "emotune evaluate."
        )
    return found


def drift_tables(drift: Drift) -> list[TextTable]:
    """Return the table of properties, and the table of label shares."""
    properties = TextTable(
        "New texts against the reference",
        ["property", "reference", "new", "size, points", "p"],
        [
            (
                f"{_name(shift)}{f' ({shift.unit})' if shift.unit else ''}",
                _figure(shift, shift.reference),
                _figure(shift, shift.new),
                f"{100 * shift.size:.1f}",
                p_number(shift.adjusted_p),
            )
            for shift in drift.shifts
        ],
        "Size: share of texts by which the two differ. p: chi-square for labels and unseen words (texts by their number "
        f"of them), Kolmogorov-Smirnov for confidence and length, corrected for {len(drift.shifts)} tests (Holm).",
    )
    labels = TextTable(
        "Predicted labels",
        ["label", "reference", "new", "difference, points"],
        [
            (printable(label, LONGEST_NAME), _percent(old), _percent(new), f"{100 * (new - old):+z.1f}")
            for label, (old, new) in drift.shares.items()
        ],
    )
    return [properties, labels]


def unseen_line(drift: Drift) -> str:
    """Return the new words that most new texts have, or ""."""
    words = ", ".join(f"'{printable(word, LONGEST_NAME)}' ({count:,})" for word, count in drift.unseen.items())
    return f"Most frequent words that no training text has, with their number of new texts: {words}." if words else ""


def _said(shift: Shift, drift: Drift) -> str:
    """Return one clause on a property that has drifted."""
    evidence = f"{_points(shift.size)}, {p_value(shift.adjusted_p)}"
    if shift.reference is not None and shift.new is not None:
        unit = " words per text" if shift.unit == "words per text" else ""
        change = f"{_figure(shift, shift.reference)}{unit} in the reference, {_figure(shift, shift.new)} now"
        verb = "differ" if shift.name.endswith("s") else "differs"
        return f"{_name(shift)} {verb} by {evidence} ({change})"
    own = {label: found for label, found in drift.shares.items() if shift.name == f"label '{label}'"}
    shares = own or drift.shares
    changes = sorted(shares.items(), key=lambda item: -abs(item[1][1] - item[1][0]))[:_MOST_LABELS]
    labels = ", ".join(
        f"{'' if own else quoted(printable(label, LONGEST_NAME)) + ' '}{_percent(old)} in the reference, {_percent(new)} now"
        for label, (old, new) in changes
    )
    return f"{_name(shift)} {'differs' if own else 'differ'} by {evidence} ({labels})"


def _name(shift: Shift) -> str:
    """Return the property's name for a terminal: that of a label is from the data."""
    return printable(shift.name, LONGEST_NAME)


def _figure(shift: Shift, value: float | None) -> str:
    if value is None:
        return ""
    if shift.unit == "share of words":
        return f"{100 * value:.2f} %"
    return f"{value:.1f}" if shift.unit == "words per text" else f"{value:.3f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _points(value: float) -> str:
    return f"{100 * value:.3g} points"

"""Tables whose rows are all wrong in one way: the message says so once, and its advice makes them readable."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.load import load_data
from emotune.data.options import DataSource
from emotune.system.errors import DataError

LABELS = ("joy", "anger")
DAYS = [date(2024, 1, 5) + timedelta(days=9 * i) for i in range(60)]


def flags(one: Any, zero: Any, rows: int = 60) -> list[dict[str, Any]]:
    return [
        {"text": f"text number {i}", "joy": one if i % 2 else zero, "anger": one if i % 3 else zero}
        for i in range(rows)
    ]


def times(cells: list[str]) -> list[dict[str, Any]]:
    return [{"text": f"text number {i} {i * i}", "label": "ab"[i % 2], "when": cell} for i, cell in enumerate(cells)]


def said(rows: Any, **arguments: Any) -> str:
    with pytest.raises(DataError) as loaded:
        load_data(rows, **arguments)
    with pytest.raises(DataError) as audited:
        audit_source(DataSource(source=rows, **arguments), label_errors=False)
    assert str(loaded.value) == str(audited.value)
    return str(loaded.value)


@pytest.mark.parametrize(
    ("one", "zero", "words"),
    [
        ("yes", "no", "'yes' or 'no'"),
        ("Y", "N", "'Y' or 'N'"),
        ("T", "F", "'T' or 'F'"),
        ("x", "", "'x' or nothing"),
        ("x", None, "'x' or nothing"),
    ],
)
def test_words_for_one_and_zero(one: Any, zero: Any, words: str) -> None:
    found = said(flags(one, zero), label_columns=LABELS)
    assert "row 1: the column 'joy' holds " in found
    assert found.endswith(f"\nAll 60 rows hold {words} there: write 1 and 0.")
    data = load_data(flags(1, 0), label_columns=LABELS)
    assert sum(split.counts["joy"] for split in data.splits) == 30


def test_one_column_of_words() -> None:
    rows = [{**row, "anger": i % 2} for i, row in enumerate(flags("yes", "no"))]
    assert "All 60 rows hold 'yes' or 'no' there" in said(rows, label_columns=LABELS)


@pytest.mark.parametrize("other", ["maybe", "2"])
def test_other_words_get_no_advice_on_all(other: str) -> None:
    rows = flags("yes", other)
    with pytest.raises(DataError) as refused:
        load_data(rows, label_columns=LABELS)
    assert "All 60 rows" not in str(refused.value)


def test_some_rows_of_words_are_listed() -> None:
    rows = [*flags(1, 0), *flags("yes", "no", 3)]
    with pytest.raises(DataError, match="3 rows cannot be read or used: rows 61, 62, 63") as refused:
        load_data(rows, label_columns=LABELS)
    assert "write 1 and 0" not in str(refused.value)


@pytest.mark.parametrize(
    ("form", "example"),
    [
        ("%m/%d/%Y", "2024-01-14 for '01/14/2024'"),
        ("%d/%m/%Y", "2024-01-14 for '14/01/2024'"),
        ("%d.%m.%Y", "2024-01-05 for '05.01.2024'"),
        ("%m/%d/%Y %I:%M %p", "2024-01-14 09:05:00 for '01/14/2024 09:05 AM'"),
        ("%B %d, %Y", None),
    ],
)
def test_dates_of_another_form(form: str, example: str | None) -> None:
    cells = [datetime(day.year, day.month, day.day, 9, 5).strftime(form) for day in DAYS]
    found = said(times(cells), time_column="when")
    assert f"row 1: the time in column 'when' is '{cells[0]}', and all 60 rows have this form.\nWrite them as " in found
    if example is not None:
        assert f"Write them as {example}, or name another column with --time-column." in found
    # As the message says, they are read.
    advised = re.search(r"Write them as (\d{4}-\d\d-\d\d)", found)
    assert advised is not None
    load_data(times([day.isoformat() for day in DAYS]), time_column="when")


def test_dates_that_may_be_of_either_order_are_not_guessed() -> None:
    found = said(times([f"{1 + i % 12:02}/{1 + i // 12:02}/2024" for i in range(60)]), time_column="when")
    assert "all 60 rows have this form.\nWrite them as 2024-01-13, or name" in found


@pytest.mark.parametrize("cells", [["soon", "01/13/2024"], ["", ""], ["01/13/2024", "2024-01-14"]])
def test_times_that_fail_otherwise(cells: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Correct or remove the row") as refused:
        load_data(times(cells * 20), time_column="when")
    assert "this form" not in str(refused.value)

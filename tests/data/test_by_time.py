"""Splits by time: train on the past, validate on what follows, test on the newest; every kind of time, and no other."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from emotune.data.auditing.audit import audit_data, audit_source
from emotune.data.duplicates import find_duplicates
from emotune.data.load import load_data
from emotune.data.options import DataSource
from emotune.data.splits.times import DATE, DATETIME, NUMBER, ZONED, read_times
from emotune.system.errors import DataError

from ..facts import facts, one_states

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
START = datetime(2021, 3, 5, 7, 30, 15)


def rows_of(count: int, times: list[Any], seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {"text": f"{' '.join(rng.choices(WORDS, k=9))} {i} {i * i}", "label": "ab"[i % 2], "when": times[i]}
        for i in range(count)
    ]


def shuffled_days(count: int) -> list[date]:
    days = [date(2022, 1, 1) + timedelta(days=i) for i in range(count)]
    random.Random(1).shuffle(days)
    return days


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (lambda day: day.isoformat(), DATE),
        (lambda day: day, DATE),
        (lambda day: datetime.combine(day, START.time()), DATETIME),
        (lambda day: f"{day.isoformat()} 18:30", DATETIME),
        (lambda day: f"{day.isoformat()}T18:30:00Z", ZONED),
        (lambda day: datetime.combine(day, START.time(), UTC).timestamp(), "Unix seconds"),
        (lambda day: str(int(datetime.combine(day, START.time(), UTC).timestamp())), "Unix seconds"),
        (lambda day: int(datetime.combine(day, START.time(), UTC).timestamp() * 1000), "Unix milliseconds"),
        (lambda day: day.toordinal(), NUMBER),
        (lambda day: day.strftime("%Y%m%d"), NUMBER),
    ],
)
def test_every_kind_cuts_at_the_same_days(write: Any, kind: str) -> None:
    days = shuffled_days(200)
    data = load_data(rows_of(200, [write(day) for day in days]), time_column="when")
    assert [len(split) for split in data.splits] == [140, 30, 30]
    day_of = {row["text"]: row["when"] for row in rows_of(200, days)}
    train, validation, test = ([day_of[text] for text in split.texts] for split in data.splits)
    assert max(train) < min(validation) <= max(validation) < min(test)
    assert one_states(data.notes, f"read as {kind}", "train", "validation", "test")
    assert list(data.periods) == ["train", "validation", "test"]
    assert train == [day for day in days if day <= max(train)]  # in the order of the source


def test_times_are_shown_as_times() -> None:
    def shown(*cells: object) -> str:
        times = read_times(cells, ["here"] * len(cells), "when")
        return times.shown(int(times.keys.max()))

    moment = START.replace(tzinfo=UTC)
    assert shown("2021-03-05") == "2021-03-05"
    assert shown("2021-03-05T07:30:15") == "2021-03-05 07:30:15"
    assert shown("2021-03-05T09:30:15+02:00") == "2021-03-05 07:30:15 UTC"
    assert shown(int(moment.timestamp())) == "2021-03-05 07:30:15 UTC"
    assert shown(int(moment.timestamp()) * 1000 + 250) == "2021-03-05 07:30:15.250 UTC"
    assert shown(3, 17.0, "5") == "17"


def test_zones_are_compared_as_moments() -> None:
    cells = ["2024-01-01T12:00:00+00:00", "2024-01-01T12:30:00+02:00", "2024-01-01T09:00:00-05:00"]
    expected = [datetime.fromisoformat(cell).timestamp() for cell in cells]
    assert np.argsort(read_times(cells, cells, "when").keys).tolist() == np.argsort(expected).tolist()


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("yesterday", ("'yesterday'", "ISO date")),
        ("05/31/2024", ("'05/31/2024'",)),
        ("2024-02-30", ("'2024-02-30'",)),
        ("1.5", ("'1.5'",)),
        ("", ("is missing",)),
        ("2024-01-05 10:00", ("dates with times", "those before it are dates", "one kind")),
        ("1700000000", ("whole numbers", "those before it are dates")),
    ],
)
def test_what_is_no_time_or_another_kind_is_refused_with_its_line(tmp_path: Path, cell: str, parts: tuple[str]) -> None:
    lines = [f"text {i},{'ab'[i % 2]},2024-01-{1 + i % 28:02d}" for i in range(40)]
    lines[7] = f"text 7,b,{cell}"
    file = tmp_path / "d.csv"
    file.write_text("\n".join(["text,label,when", *lines]), encoding="utf-8")
    with pytest.raises(DataError, match=facts("d.csv, line 9", "'when'", *parts)):
        load_data(file, time_column="when")
    asked = DataSource(source=file, time_column="when")
    if "one kind" in parts or "those before it are dates" in parts:
        with pytest.raises(DataError, match=facts("d.csv, line 9")):
            audit_source(asked, label_errors=False)
    else:
        found = audit_source(asked, label_errors=False).unusable["train"]
        assert [(row.number, "'when'" in row.reason) for row in found] == [(9, True)]
        data = load_data(file, time_column="when", on_error="skip")
        assert [row.place for row in data.left_out] == [f"{file}, line 9"]


@pytest.mark.parametrize(("skip", "rows"), [(None, 0), ("skip", 39)])
def test_an_object_without_the_key_of_the_time_has_no_time(
    tmp_path: Path, skip: Literal["skip"] | None, rows: int
) -> None:
    objects: list[dict[str, str]] = [
        {"text": f"text {i}", "label": "ab"[i % 2], "when": f"2024-01-{1 + i % 28:02d}"} for i in range(40)
    ]
    del objects[7]["when"]
    file = tmp_path / "d.jsonl"
    file.write_text("\n".join(map(json.dumps, objects)), encoding="utf-8")
    if skip is None:
        with pytest.raises(
            DataError, match=facts("d.jsonl, line 8", "'when' is missing", "ISO date", "remove the row")
        ):
            load_data(file, time_column="when")
    else:
        data = load_data(file, time_column="when", on_error=skip)
        assert [row.place for row in data.left_out] == [f"{file}, line 8"]
        assert "text 7" not in {text for split in data.splits for text in split.texts}


def test_a_zone_on_some_rows_only_is_refused() -> None:
    with pytest.raises(DataError, match=facts("row 2", "time zones", "those before it are dates with times")):
        read_times(["2024-01-01 10:00", "2024-01-01 10:00Z"], ["row 1", "row 2"], "when")


def test_seconds_and_milliseconds_mixed_are_refused() -> None:
    with pytest.raises(DataError, match=facts("row 2", "milliseconds", "one unit")):
        read_times([1_700_000_000, 1_700_000_000_000], ["row 1", "row 2"], "when")


def test_ties_at_a_cut_stay_on_one_side() -> None:
    times = [2000 + i // 20 for i in range(200)]  # twenty rows a year
    data = load_data(rows_of(200, times), time_column="when")
    year = {row["text"]: row["when"] for row in rows_of(200, times)}
    years = [{year[text] for text in split.texts} for split in data.splits]
    assert sorted(len(found) for found in years) == [2, 2, 6]  # whole years, 30 rows being one and a half
    assert sum(len(found) for found in years) == len(set.union(*years)) == 10


def test_one_time_for_all_rows_and_a_time_of_most_rows_are_refused() -> None:
    with pytest.raises(DataError, match=facts("All 100 rows", "2024-01-01", "test")):
        load_data(rows_of(100, ["2024-01-01"] * 100), time_column="when")
    with pytest.raises(DataError, match=facts("15 rows was asked for", "90 rows", "2024-01-02 has 90 of the 100")):
        load_data(rows_of(100, ["2024-01-01"] * 10 + ["2024-01-02"] * 90), time_column="when")


def test_later_copies_are_left_out_and_said() -> None:
    rows = rows_of(200, [date(2022, 1, 1) + timedelta(days=i) for i in range(200)])
    for row in (175, 180, 190):
        rows[row]["text"] = f"RT @someone: {rows[row - 170]['text'].upper()}!"  # of training
    rows[199]["text"] = rows[150]["text"]  # of validation
    rows[145]["text"] = rows[2]["text"]
    data = load_data(rows, time_column="when")
    assert [len(split) for split in data.splits] == [140, 29, 26]
    audit = audit_data(data)
    assert audit.leaks == ()
    assert audit.validation_leaks == ()
    assert one_states(data.notes, "Left out", "1 row of validation", "4 rows of test")
    fresh = find_duplicates([text for split in data.splits for text in split.texts])
    assert np.array_equal(audit.groups.near, fresh.near)


def test_a_class_that_comes_later_is_refused_by_name() -> None:
    rows = rows_of(100, list(range(100)))
    for row in rows[90:]:
        row["label"] = "new"
    with pytest.raises(DataError, match=facts("'new'", "training ends at 69")):
        load_data(rows, time_column="when")


def test_a_class_that_test_lacks_is_said() -> None:
    rows = rows_of(100, list(range(100)))
    for row in rows[:60:3]:
        row["label"] = "old"
    data = load_data(rows, time_column="when")
    assert one_states(data.notes, "No row of test has the label 'old'")


class TestGivenSplits:
    def test_validation_is_cut_before_a_given_test(self) -> None:
        rows = rows_of(140, shuffled_days(140))
        newer = rows_of(160, [date(2023, 1, 1)] * 160, seed=1)[140:]
        newer[0]["text"] = max(rows, key=lambda row: row["when"])["text"]
        data = load_data(rows, test=newer, time_column="when")
        assert [len(split) for split in data.splits] == [119, 20, 20]  # the copy of a row of test is left out
        assert data.periods["test"] == ("2023-01-01", "2023-01-01")
        assert not any("not newer" in note for note in data.notes)

    def test_rows_out_of_order_are_counted(self) -> None:
        rows = rows_of(100, list(range(100)))
        data = load_data(
            rows[:80], validation=rows[80:90], test=[*rows[90:], dict(rows[5], text="a new text")], time_column="when"
        )
        assert one_states(data.notes, "1 row of test is not newer than the last of train (79)")
        assert data.known_groups is None

    def test_an_audit_says_from_when_to_when(self) -> None:
        rows = rows_of(100, list(range(100)))
        audit = audit_source(
            DataSource(source={"train": rows[:80], "test": rows[70:]}, time_column="when"), label_errors=False
        )
        assert one_states(audit.notes, "train 0 to 79", "test 70 to 99")
        assert one_states(audit.notes, "10 rows of test are not newer")

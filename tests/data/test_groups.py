"""Rows of one group are never on both sides of a cut; groups that cross given splits are counted."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from emotune.cli import app
from emotune.data.auditing.audit import audit_data, audit_source
from emotune.data.auditing.clean import write_clean
from emotune.data.dataset import TextDataset
from emotune.data.duplicates import find_duplicates
from emotune.data.groups import Crossing, crossings, group_names, group_numbers, united
from emotune.data.load import load_data
from emotune.data.options import DataSource
from emotune.report.audit_tables import audit_lines
from emotune.system.errors import ConfigError, DataError

from ..facts import facts, one_states

LABELS = ("calm", "glad", "sad")
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def rows_of(count: int, authors: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "text": f"{' '.join(rng.choices(WORDS, k=9))} {i} {i * i}",
            "label": rng.choice(LABELS),
            "author": f"author {rng.randrange(authors)}",
        }
        for i in range(count)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def splits_by_author(data: TextDataset) -> Counter[str]:
    """In how many splits each author is."""
    return Counter(name for split in data.splits for name in set(split.groups) - {None} if name is not None)


@pytest.mark.parametrize("seed", range(4))
def test_no_group_is_in_two_splits_and_classes_are_near_their_shares(seed: int) -> None:
    rows = rows_of(600, 40, seed)
    data = load_data(rows, group_column="author", seed=seed)
    assert set(splits_by_author(data).values()) == {1}
    assert sum(len(split) for split in data.splits) == 600
    for split in (data.validation, data.test):
        assert 72 <= len(split) <= 108
        for label, count in data.train.counts.items():
            assert split.counts[label] / len(split) == pytest.approx(count / len(data.train), abs=0.08)
    by_text = {row["text"]: row["author"] for row in rows}
    assert all(
        name == by_text[text] for split in data.splits for text, name in zip(split.texts, split.groups, strict=True)
    )
    assert one_states(data.notes, "Shares of the classes in train / validation / test", "'calm'")


def test_groups_and_copies_chain() -> None:
    rows = rows_of(300, 300)
    for one in range(0, 100, 2):  # authors 0 and 1 share a text, as do 2 and 3, and so on
        rows[one + 1]["text"] = rows[one]["text"].upper()
    for row in range(100):
        rows[row]["author"] = f"pair {(row + 1) // 2}"  # and text 1 is of the author of text 2: one chain
    data = load_data(rows, group_column="author")
    near = find_duplicates([text for split in data.splits for text in split.texts]).near
    where = np.repeat(np.arange(3), [len(split) for split in data.splits])
    assert len(set(zip(near.tolist(), where.tolist(), strict=True))) == len(set(near.tolist()))
    assert max(splits_by_author(data).values()) == 1
    chain = [split.name for split in data.splits for name in split.groups if name is not None and "pair" in name]
    assert len(set(chain)) == 1
    assert one_states(data.notes, "the largest has 100 rows")


def test_the_union_is_that_of_merging_sets() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        one, other = rng.integers(0, 12, size=(2, 20))
        sets = [{row} for row in range(20)]
        for relation in (one, other):
            for a in range(20):
                for b in range(a):
                    if relation[a] == relation[b]:
                        merged = sets[a] | sets[b]
                        for row in merged:
                            sets[row] = merged
        found = united(one, other)
        assert all((found[a] == found[b]) == (b in sets[a]) for a in range(20) for b in range(20))
    assert len(united(np.empty(0, np.int64), np.empty(0, np.int64))) == 0


def test_missing_groups_are_groups_of_their_own_and_said_once() -> None:
    rows = rows_of(200, 20)
    for row in range(30):
        rows[row]["author"] = (None, "", "  ", float("nan"))[row % 4]
    data = load_data(rows, group_column="author")
    assert sum(name is None for split in data.splits for name in split.groups) == 30
    assert sum("is empty in 30 rows" in note for note in data.notes) == 1


def test_an_object_without_the_key_of_the_group_is_a_group_of_its_own(tmp_path: Path) -> None:
    objects = [{"text": f"text {i}", "label": "ab"[i % 2], "author": f"a{i % 12}"} for i in range(60)]
    del objects[5]["author"]
    lines, table = tmp_path / "d.jsonl", tmp_path / "d.csv"
    lines.write_text("\n".join(map(json.dumps, objects)), encoding="utf-8")
    table.write_text(
        "\n".join(["text,label,author", *(f"{o['text']},{o['label']},{o.get('author', '')}" for o in objects)]),
        encoding="utf-8",
    )
    found, expected = (load_data(file, group_column="author") for file in (lines, table))
    assert [split.texts for split in found.splits] == [split.texts for split in expected.splits]
    assert "'author' is empty in 1 row: it is a group of its own." in found.notes


def test_numbers_of_several_formats_are_one_group() -> None:
    assert group_names([7, 7.0, "7", " 7 ", None, True], ["here"] * 6) == ("7", "7", "7", "7", None, "True")
    assert group_numbers(["a", None, "a", None]).tolist() == [0, 1, 0, 3]
    with pytest.raises(DataError, match=facts("d.jsonl, line 3", "list", "--group-column")):
        group_names(["a", ["b"]], ["d.jsonl, line 2", "d.jsonl, line 3"])


def test_too_few_groups_are_refused_with_numbers() -> None:
    with pytest.raises(DataError, match=facts("100 training rows", "2 groups by 'author'", "at least 3")):
        load_data(rows_of(100, 2), group_column="author")


def test_a_class_of_too_few_groups_is_refused_with_numbers() -> None:
    rows = rows_of(100, 20)
    rows += [{"text": f"another text {i} of {i} words", "label": "rare", "author": f"rare {i % 2}"} for i in range(8)]
    with pytest.raises(DataError, match=facts("'rare'", "8 rows in 2 groups by 'author'", "at least 3 groups")):
        load_data(rows, group_column="author")


def test_a_group_that_is_too_large_is_refused_with_numbers() -> None:
    rows = rows_of(100, 1) + [dict(row, author=f"other {i % 4}") for i, row in enumerate(rows_of(110, 1, 1)[100:])]
    with pytest.raises(DataError, match=facts("16 rows was asked for", "largest group", "100 of the", "'author'")):
        load_data(rows, group_column="author")


def test_a_column_that_is_not_there_or_holds_the_texts(tmp_path: Path) -> None:
    file = write(tmp_path / "d.csv", rows_of(50, 10))
    with pytest.raises(DataError, match=facts("no column 'writer'", "'author'")):
        load_data(file, group_column="writer")
    with pytest.raises(DataError, match=facts("'text'", "cannot also split")):
        load_data(file, group_column="text")


def test_groups_and_times_together_are_refused() -> None:
    with pytest.raises(ConfigError, match=facts("group_column", "time_column", "one of them")):
        load_data(rows_of(50, 10), group_column="author", time_column="label")


class TestGivenSplits:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        rows = rows_of(200, 30)
        for row in rows[150:170]:
            row["author"] = "author 1"
        write(tmp_path / "train.csv", rows[:150])
        write(tmp_path / "test.csv", rows[150:])
        return tmp_path

    def expected(self, folder: Path) -> tuple[int, int]:
        """Rows of test whose author is in train.csv, and their authors, counted by hand."""
        train, test = (read(folder / f"{name}.csv") for name in ("train", "test"))
        known = {row["author"] for row in train}
        crossing = [row["author"] for row in test if row["author"] in known]
        return len(crossing), len(set(crossing))

    def test_that_groups_cross_is_counted_in_the_audit(self, folder: Path) -> None:
        rows, groups = self.expected(folder)
        audit = audit_source(DataSource(source=folder, group_column="author"), label_errors=False)
        assert audit.crossings == (Crossing("test", "train", rows, groups, "author 1"),)
        assert one_states(audit_lines(audit), f"{rows} rows of test", f"{groups} groups", "'author'", "training")

    def test_and_in_a_run(self, folder: Path) -> None:
        data = load_data(folder, group_column="author")
        audit = audit_data(data)
        assert audit.group_column == "author"
        assert sum(found.rows for found in audit.crossings if found.split == "test") >= self.expected(folder)[0]
        assert one_states(audit_lines(audit), "rows of test", "'author'")

    def test_and_by_the_command(self, folder: Path) -> None:
        rows, groups = self.expected(folder)
        shown = CliRunner().invoke(app, ["audit", str(folder), "--group-column", "author", "--no-label-errors"])
        assert shown.exit_code == 0, shown.stderr
        assert "is of a group that is also in training" in shown.stdout
        done = CliRunner().invoke(
            app, ["audit", str(folder), "--group-column", "author", "--no-label-errors", "--json"]
        )
        assert json.loads(done.stdout)["group_leaks"][0] | {"example": ""} == {
            "split": "test",
            "into": "train",
            "rows": rows,
            "groups": groups,
            "example": "",
        }

    def test_without_the_column_nothing_is_said_of_groups(self, folder: Path) -> None:
        audit = audit_source(DataSource(source=folder), label_errors=False)
        assert audit.crossings == ()
        assert audit_data(load_data(folder)).group_column is None

    def test_a_cleaned_copy_keeps_the_column(self, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        clean = tmp_path_factory.mktemp("clean") / "clean"
        write_clean(audit_source(DataSource(source=folder, group_column="author"), label_errors=False), clean)
        before = {row["text"]: row["author"] for row in read(folder / "train.csv")}
        after = read(clean / "train.csv")
        assert len(after) > 100
        assert all(before[row["text"]] == row["author"] for row in after)


def test_crossings_name_the_largest_group() -> None:
    names = {"train": ("a", "b", None), "validation": ("b", None), "test": ("b", "a", "a", "c", None)}
    assert list(crossings(names)) == [
        Crossing("validation", "train", 1, 1, "b"),
        Crossing("test", "train", 3, 2, "a"),
        Crossing("test", "validation", 1, 1, "b"),
    ]

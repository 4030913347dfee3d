"""The audit finds every problem that was planted, and what is known of the real data."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emotune.data.auditing.audit import Audit, audit_data, audit_source
from emotune.data.auditing.clean import DROPPED, write_clean
from emotune.data.dataset import TextDataset
from emotune.data.load import load_data
from emotune.report.audit_tables import audit_lines, finding_counts
from emotune.system.errors import DataError, OutputError

if TYPE_CHECKING:
    from emotune.data.auditing.audit import Repeat

PLANTED = 12


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("text", "label"), *rows])


def change_word(text: str) -> str:
    """A word in the middle changed, which occurs nowhere else."""
    words = text.split()
    words[len(words) // 2] = "zebrafish"
    return " ".join(words)


class Planted:
    """The bundled messages with problems planted: seven kinds, a dozen of each."""

    def __init__(self, folder: Path) -> None:
        sample = load_data("bundled:sample")
        train = self._rows(sample, "train")
        test = self._rows(sample, "test")
        rng = random.Random(0)
        long = [row for row in train if len(row[0].split()) >= 12]
        chosen = rng.sample(long, 6 * PLANTED)
        kinds = [chosen[i * PLANTED : (i + 1) * PLANTED] for i in range(6)]
        self.exact, self.case, self.word, self.contradicted, leaked_exact, leaked_case = kinds
        other = {label: sample.labels[(i + 1) % 6] for i, label in enumerate(sample.labels)}
        train += self.exact
        train += [(text.upper().replace(",", " ;"), label) for text, label in self.case]
        train += [(change_word(text), label) for text, label in self.word]
        train += [(text, other[label]) for text, label in self.contradicted]
        leaks = [*leaked_exact, *((text.title() + "!", label) for text, label in leaked_case)]
        self.first_planted_test = len(test) + 2  # lines, the header counted
        test += leaks
        self.first_unusable = len(train) + 2
        train += [(" ", "joy")] * PLANTED + [("fine as it is", "")] * PLANTED
        self.folder = folder
        write(folder / "train.csv", train)
        write(folder / "test.csv", test)

    def _rows(self, sample: TextDataset, name: str) -> list[tuple[str, str]]:
        split = getattr(sample, name)
        return [(text, split.labels[label]) for text, label in zip(split.texts, split.label_ids, strict=True)]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return Planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def found(planted: Planted) -> Audit:
    return audit_source(planted.folder, label_errors=False)


def texts(repeats: list[Repeat]) -> set[str]:
    return {repeat.first.text for repeat in repeats}


class TestPlanted:
    def test_repeats(self, planted: Planted, found: Audit) -> None:
        originals = {text for text, _ in (*planted.exact, *planted.contradicted)}
        assert texts(found.repeated("train", ("exact",))) == originals
        assert texts(found.repeated("train", ("trivial",))) == {text for text, _ in planted.case}
        assert texts(found.repeated("train", ("near",))) == {text for text, _ in planted.word}

    def test_leaks(self, planted: Planted, found: Audit) -> None:
        lines = found.leaked("test", ("exact", "trivial"))
        assert lines == list(range(planted.first_planted_test, planted.first_planted_test + 2 * PLANTED))
        assert len(found.leaked("test", ("exact",))) == PLANTED

    def test_contradictions(self, planted: Planted, found: Audit) -> None:
        assert {c.text for c in found.contradictions} == {text for text, _ in planted.contradicted}
        assert all(len({row.label for row in c.rows}) == 2 for c in found.contradictions)

    def test_rows_that_cannot_be_used(self, planted: Planted, found: Audit) -> None:
        unusable = found.unusable["train"]
        assert [row.number for row in unusable] == list(
            range(planted.first_unusable, planted.first_unusable + 2 * PLANTED)
        )
        assert {row.reason for row in unusable} == {"the text is empty or blank", "the label is missing"}

    def test_nothing_is_found_in_data_without_repeats(self) -> None:
        clean = audit_source("bundled:sample", label_errors=False)
        assert (clean.repeats, clean.leaks, clean.validation_leaks, clean.contradictions) == ((), (), (), ())
        assert not any(clean.unusable.values())

    def test_lengths_and_counts(self, found: Audit) -> None:
        assert found.lengths["test"].least >= 1
        assert found.lengths["train"].least <= found.lengths["train"].median <= found.lengths["train"].most
        assert set(found.counts) == {"train", "test"}


class TestCleanCopy:
    def test_has_none_of_it_any_more_and_says_what_went(self, planted: Planted, found: Audit, tmp_path: Path) -> None:
        before = (planted.folder / "train.csv").read_bytes()
        dropped = write_clean(found, tmp_path / "clean")
        assert (planted.folder / "train.csv").read_bytes() == before
        again = audit_source(tmp_path / "clean", label_errors=False)
        assert not again.repeated("train", ("exact", "trivial"))
        assert not again.leaked("test", ("exact", "trivial"))
        assert again.contradictions == ()
        with (tmp_path / "clean" / DROPPED).open(encoding="utf-8", newline="") as file:
            listed = list(csv.DictReader(file))
        assert len(listed) == len(dropped) + 2 * PLANTED
        assert all(row["reason"] for row in listed)
        kept = sum(sum(counts.values()) for counts in again.counts.values())
        assert kept + len(dropped) == len(found.rows)

    def test_keeps_test_and_takes_leaks_out_of_training(self, planted: Planted, found: Audit, tmp_path: Path) -> None:
        write_clean(found, tmp_path / "clean")
        test = load_data(tmp_path / "clean").test
        assert len(test) == sum(found.counts["test"].values())

    def test_can_be_loaded(self, found: Audit, tmp_path: Path) -> None:
        write_clean(found, tmp_path / "clean")
        data = load_data(tmp_path / "clean")
        assert {row.text for row in found.rows} >= set(data.train.texts)

    def test_is_not_written_over_anything(self, found: Audit, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("x", encoding="utf-8")
        with pytest.raises(OutputError, match="not empty"):
            write_clean(found, tmp_path)

    def test_of_nothing_is_refused(self, tmp_path: Path) -> None:
        write(tmp_path / "train.csv", [("one and the same text", "a"), ("one and the same text", "b")])
        audit = audit_source(tmp_path / "train.csv", label_errors=False)
        with pytest.raises(DataError, match="No row of train would be left"):
            write_clean(audit, tmp_path / "clean")
        assert not (tmp_path / "clean").exists()


SAME = "the very same long text that stands in several of the splits"


@pytest.fixture
def between(tmp_path: Path) -> Audit:
    """Test rows that repeat validation: exactly, but for case, but for one word; one of them stands in training too."""
    both = "another text altogether, which all of the three splits hold"
    write(tmp_path / "train.csv", [(both, "a"), ("only here and nowhere else at all", "b")])
    write(
        tmp_path / "validation.csv",
        [(SAME, "a"), (both, "b"), ("rain fell on the old town all day", "a"), ("the shop was shut when we came", "b")],
    )
    write(
        tmp_path / "test.csv",
        [
            ("what nobody else has written before", "a"),
            (SAME, "b"),
            (both, "a"),
            ("RAIN fell on the old town, all day!", "a"),
            ("the shop was open when we came", "b"),
        ],
    )
    return audit_source(tmp_path, label_errors=False)


class TestValidationAndTest:
    def test_leaks_are_found(self, between: Audit) -> None:
        found = [
            (leak.row.place.number, leak.first.place.split, leak.first.place.number, leak.kind)
            for leak in between.validation_leaks
        ]
        assert found == [
            (3, "validation", 2, "exact"),
            (4, "validation", 3, "exact"),
            (5, "validation", 4, "trivial"),
            (6, "validation", 5, "near"),
        ]
        assert all(leak.row.place.split == "test" for leak in between.validation_leaks)

    def test_they_are_none_of_training(self, between: Audit) -> None:
        assert between.leaked("test") == [4]
        assert between.leaked("validation") == [3]

    def test_the_cleaned_copy_keeps_them_in_test(self, between: Audit, tmp_path: Path) -> None:
        write_clean(between, tmp_path / "clean")
        again = audit_source(tmp_path / "clean", label_errors=False)
        assert {split: sum(counts.values()) for split, counts in again.counts.items()} == {
            "train": 1,
            "validation": 1,
            "test": 5,
        }
        assert [leak.kind for leak in again.validation_leaks] == ["near"]
        with (tmp_path / "clean" / DROPPED).open(encoding="utf-8", newline="") as file:
            reasons = {(row["split"], int(row["row"])): row["reason"] for row in csv.DictReader(file)}
        assert reasons == {
            ("train", 2): "its text is also in test, row 4",
            ("validation", 2): "its text is also in test, row 3",
            ("validation", 3): "its text is also in test, row 4",
            ("validation", 4): "its text is also in test, row 5",
        }

    def test_are_shown(self, between: Audit) -> None:
        counts = dict(finding_counts(between))
        assert counts["is also in validation: identical"] == {"test": 2}
        assert counts["is also in validation: the same but for case and punctuation"] == {"test": 1}
        assert counts["is also in validation: nearly the same"] == {"test": 1}
        lines = list(audit_lines(between))
        counts_in_words = "2 identical, 1 the same but for case and punctuation, 1 nearly the same"
        assert f"4 rows of test are also in validation ({counts_in_words})" in lines
        (line,) = (line for line in lines if "validation is also in training" in line)
        assert line.startswith("1 row of validation is also in training (")
        assert "(epoch, settings, temperature)" in line


@pytest.mark.slow
@pytest.mark.real
def test_finds_what_is_known_of_the_real_data(real_data: str) -> None:
    data = load_data(real_data)
    found = audit_data(data)
    assert len(found.repeated("train", ("exact",))) == 31
    assert len(found.contradictions) == 30
    assert len(found.leaked("test", ("exact",))) == 11
    held = set(data.validation.texts)
    assert sum(leak.kind == "exact" for leak in found.validation_leaks) == sum(text in held for text in data.test.texts)


def test_a_text_of_characters_without_width_cannot_be_used(tmp_path: Path) -> None:
    rows = ["text,label", "fine,joy", "\u200b\u2060,joy", "\u00ad,fear", "bad,fear"]
    (tmp_path / "d.csv").write_text("\n".join(rows), encoding="utf-8")
    found = audit_source(str(tmp_path / "d.csv"), label_errors=False)
    assert [(row.number, row.reason) for row in found.unusable["train"]] == [
        (3, "the text is empty or blank"),
        (4, "the text is empty or blank"),
    ]

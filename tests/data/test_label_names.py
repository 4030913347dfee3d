"""Labels that look alike are one class or a finding; several labels in a cell are a finding, and lists of them no data for a run."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

from emotune.data.auditing.audit import audit_data, audit_source
from emotune.data.label_names import clean_name, label_findings
from emotune.data.load import load_data, load_split
from emotune.report.audit_tables import audit_lines

COMPOSED, DECOMPOSED = "col\u00e8re", "cole\u0300re"


def write(path: Path, labels: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        rng = random.Random(0)
        rows = [(" ".join("".join(rng.choices("bdfgklm", k=5)) for _ in range(9)), label) for label in labels]
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


class TestOneClass:
    @pytest.mark.parametrize(
        ("name", "cleaned"),
        [
            ("joy", "joy"),
            (" joy\t", "joy"),
            ("joy\u200b", "joy"),
            ("\ufeffjoy", "joy"),
            ("j\u00adoy", "joy"),
            ("joy\u00a0", "joy"),
            ("great\u00a0joy", "great joy"),
            ("great joy", "great joy"),
            (DECOMPOSED, COMPOSED),
            ("joy\u200d", "joy"),
            ("\u200f\u0634\u0627\u062f\u06cc", "\u0634\u0627\u062f\u06cc"),
            ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
            ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
            ("Joy", "Joy"),
        ],
    )
    def test_names_lose_what_cannot_be_seen_and_nothing_else(self, name: str, cleaned: str) -> None:
        assert clean_name(name) == cleaned

    def test_forms_and_invisible_characters_are_one_class_and_it_is_said(self, tmp_path: Path) -> None:
        labels = [COMPOSED, DECOMPOSED, "joie", "joie\u200b", "joie\u00a0"] * 12
        data = load_data(write(tmp_path / "d.csv", labels))
        assert data.labels == (COMPOSED, "joie")
        (note,) = [note for note in data.notes if "Unicode" in note]
        assert "in 24 rows: 'cole\\u0300re' as 'col\u00e8re', 'joie\\u200b' as 'joie'." in note
        audit = audit_source(tmp_path / "d.csv", label_errors=False)
        assert audit.counts["train"] == {COMPOSED: 24, "joie": 36}
        assert note in audit.notes

    def test_of_names_that_are_clean_nothing_is_said(self, tmp_path: Path) -> None:
        data = load_data(write(tmp_path / "d.csv", [COMPOSED, "joie", " joie ", "joie\u00a0"] * 12))
        assert not any("Unicode" in note for note in data.notes)

    def test_a_model_of_another_form_is_scored_on_either(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", [COMPOSED, DECOMPOSED, "joie"])
        for name in (COMPOSED, DECOMPOSED):
            split = load_split(path, labels=(name, "joie"))
            assert split.label_ids.tolist() == [0, 0, 1]

    def test_labels_asked_for_may_be_of_another_form(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", [COMPOSED, "joie"] * 12)
        assert load_data(path, labels=["joie", DECOMPOSED]).labels == ("joie", COMPOSED)


class TestAlike:
    def test_case_is_a_finding_and_two_classes(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", ["joy", "Joy", "fear", "FEAR", "love"] * 12)
        data = load_data(path)
        assert len(data.labels) == 5
        lines = list(audit_lines(audit_data(data)))
        assert [line for line in lines if "case" in line] == [
            "The labels 'Joy' (12 rows) and 'joy' (12 rows) differ only in case, quotes or spelling, and are separate classes. "
            "If they mean the same: --map Joy=joy.",
            "The labels 'FEAR' (12 rows) and 'fear' (12 rows) differ only in case, quotes or spelling, and are separate classes. "
            "If they mean the same: --map FEAR=fear.",
        ]

    @pytest.mark.parametrize(
        ("names", "alike"),
        [
            (("very good", "very_good"), True),
            (("very good", "Very-Good"), True),
            (("\uff2a\uff4f\uff59", "joy"), True),
            (('"joy"', "joy"), True),
            (("\u201cjoy\u201d", "Joy"), True),
            (('"', "'"), False),
            (("-1", "1"), False),
            (("1-2", "12"), False),
            (("joy", "joyful"), False),
            (("\u0131", "i"), False),
            (("C", "C++"), False),
        ],
    )
    def test_what_is_alike(self, names: tuple[str, str], alike: bool) -> None:
        assert bool(list(label_findings(dict.fromkeys(names, 3)))) == alike

    def test_groups_and_names_are_shown_up_to_a_few(self) -> None:
        many = [form for word in ("joy", "love", "fear", "anger", "hope") for form in (word, word.upper())]
        found = list(label_findings(dict.fromkeys([*many, "Joy", "jOy", "joY"], 3)))
        assert len(found) == 4
        assert "2 more labels differ" in found[0]
        assert found[-1].startswith("2 more groups of labels differ")

    def test_letters_are_shown_as_they_are_and_what_may_look_the_same_is_not(self) -> None:
        (found,) = label_findings({"\u559c\u60a6 a": 3, "\u559c\u60a6_a": 3})
        assert "\u559c\u60a6 a" in found
        (found,) = label_findings({"\ufb01ne": 3, "fine": 3})
        assert r"'\ufb01ne'" in found

    def test_long_names_are_cut(self) -> None:
        (found,) = label_findings({"x" * 500: 3, "X" * 500: 3})
        assert len(found) < 400


class TestSeveral:
    @pytest.mark.parametrize(
        "labels",
        [
            ["['joy', 'love']", "['joy']", "['fear']"],
            ['["joy", "love"]', '["joy"]', '["fear"]'],
            ["('joy', 'love')", "('joy',)", "('fear',)"],
            ["['joy' 'love']", "['joy']", "['fear']"],
        ],
    )
    def test_written_lists_are_read(self, tmp_path: Path, labels: list[str]) -> None:
        path = write(tmp_path / "d.csv", labels * 8)
        data = load_data(path)
        assert data.labels == ("fear", "joy", "love")
        counts = [sum(split.counts[label] for split in data.splits) for label in data.labels]
        assert counts == [8, 16, 8]
        assert audit_source(path, label_errors=False).label_findings == ()

    @pytest.mark.parametrize(
        ("names", "joined"),
        [
            (["joy", "love", "joy|love", "fear"], 1),
            (["2", "3", "2,3", "4,5", "4", "5"], 2),
            (["2", "3", "27", "2,3", "3,27"], 2),
            (["joy", "love; joy", "fear; love", "love"], 1),
            (["rock/pop", "news", "jazz"], 0),
            (["news, sport", "arts, books", "travel"], 0),
            (["N/A", "yes", "no"], 0),
            (["C", "C++", "C#"], 0),
            (["R&B", "rap"], 0),
            (["[unknown]", "known"], 0),
            (["a", "b"], 0),
        ],
    )
    def test_joined_ones_are_a_finding_where_their_parts_are_labels(self, names: list[str], joined: int) -> None:
        found = list(label_findings(dict.fromkeys(names, 4)))
        assert len(found) == (joined > 0)
        if joined:
            separator = next(one for one in "|;," if any(one in name for name in names))
            assert f"name their separator, --label-separator '{separator}'," in found[0]
            assert found[0].startswith(
                f"{joined} label{'s look' if joined > 1 else ' looks'} like several labels in one, in {4 * joined} rows"
            )

    def test_joined_ones_are_said_by_a_run(self, tmp_path: Path) -> None:
        data = load_data(write(tmp_path / "d.csv", ["joy", "love", "joy|love"] * 12))
        (line,) = [line for line in audit_lines(audit_data(data)) if "several labels in one" in line]
        assert "such as 'joy|love': each is trained as a separate class." in line


class TestMissingInWords:
    WORDS = ("nan", "None", "NULL", "#N/A", "<NA>", "NaT", " nan ")

    def test_texts_are_a_finding(self, tmp_path: Path) -> None:
        path = tmp_path / "d.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = [(f"none of these is missing, {i}", "ab"[i % 2]) for i in range(30)]
            csv.writer(file).writerows([("text", "label"), *rows, *((word, "a") for word in self.WORDS)])
        audit = audit_source(path, label_errors=False)
        assert [row.text for row in audit.placeholders] == list(self.WORDS)
        assert "7 texts of train are 'nan', 'None' or the like, which usually stand for a missing text" in list(
            audit_lines(audit)
        )

    def test_of_other_texts_nothing_is_said(self, tmp_path: Path) -> None:
        audit = audit_source(write(tmp_path / "d.csv", ["a", "b"] * 9), label_errors=False)
        assert audit.placeholders == ()
        assert audit.label_findings == ()


def test_findings_are_in_the_json(tmp_path: Path) -> None:
    from emotune.cli.audit import _findings

    path = tmp_path / "d.csv"
    path.write_text("text,label\nnan,joy\nfine,Joy\nbad,fear\n", encoding="utf-8")
    found = json.loads(json.dumps(_findings(audit_source(path, label_errors=False))))
    assert found["placeholders"][0]["text"] == "nan"
    assert len(found["label_findings"]) == 1

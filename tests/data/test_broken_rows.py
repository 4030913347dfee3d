"""Rows that cannot be read: an audit lists every one and goes on, a run stops and says how many there are and on which lines."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.load import load_data, load_split
from emotune.data.table import Table
from emotune.system.errors import DataError
from tests.data.reading import load_texts

from ..facts import facts

GOOD = [("so kind of you", "joy"), ("it was all dark", "fear"), ("what a day", "joy"), ("do not go in", "fear")]

FILES = {
    "comma.csv": (
        "text,label\nso kind of you,joy\nwell, it was dark,fear\nwhat a day,joy\nno, not, there,fear\ndo not go in,fear\n",
        [3, 5],
        ["3 fields, but the header has 2", "4 fields, but the header has 2"],
    ),
    "quote.csv": (
        'text,label\nso kind of you,joy\n"great" she said,joy\nwhat a day,joy\n"no" and, "no",fear\ndo not go in,fear\n',
        [3, 5],
        ["misplaced quote in this row", "misplaced quote in this row"],
    ),
    "tab.tsv": (
        "text\tlabel\nso kind of you\tjoy\nno label here\nwhat a day\tjoy\nnor\there\tfear\ndo not go in\tfear\n",
        [3, 5],
        ["1 field, but the header has 2", "3 fields, but the header has 2"],
    ),
    "semicolon.txt": (
        "text;label\nso kind of you;joy\nno label here\nwhat a day;joy\nnor here\ndo not go in;fear\n",
        [3, 5],
        ["no semicolon in 'no label here'", "no semicolon in 'nor here'"],
    ),
    "keys.jsonl": (
        '{"text": "so kind of you", "label": "joy"}\n{"text": "it was all dark"}\n{"text": "what a day", "label": "joy"}\n'
        '{"text": "cut of\n{"text": "do not go in", "label": "fear"}\n{"text": "a", "text": "b", "label": "fear"}\n[1, 2]\n',
        [2, 4, 6, 7],
        ["no key 'label' in this object", "not a JSON object", "the key 'text' occurs twice", "not a JSON object"],
    ),
}


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[int], list[str]]:
    content, lines, reasons = FILES[request.param]
    path = tmp_path / request.param
    path.write_text(content, encoding="utf-8")
    return path, lines, reasons


def test_an_audit_lists_them_all_and_reads_the_others(file: tuple[Path, list[int], list[str]]) -> None:
    path, lines, reasons = file
    found = audit_source(path, label_errors=False)
    assert [row.number for row in found.unusable["train"]] == lines
    for row, reason in zip(found.unusable["train"], reasons, strict=True):
        assert row.reason.startswith(reason)
        assert str(path) not in row.reason
    assert [row.text for row in found.rows] == ["so kind of you", "what a day", "do not go in"]


def test_a_run_stops_and_names_their_lines(file: tuple[Path, list[int], list[str]]) -> None:
    path, lines, reasons = file
    with pytest.raises(DataError) as caught:
        load_data(path)
    message = str(caught.value)
    assert f"{path}, line {lines[0]}: {reasons[0]}" in message
    assert f"{len(lines)} rows cannot be read or used: lines {', '.join(map(str, lines))}." in message
    assert "emotune audit" in message
    assert message.count("\n") <= 2


def test_one_is_named_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,label\na,joy\nb, c,joy\nd,fear\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_data(path)
    assert "rows cannot" not in str(caught.value)
    assert "line 3: 3 fields" in str(caught.value)


def test_of_many_lines_some_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,label\na,joy\n" + "b, c,joy\n" * 20 + "d,fear\n", encoding="utf-8")
    with pytest.raises(DataError, match=facts("20 rows", "lines 3, 4, 5, 6, 7, 8, 9, 10 and 12 more")):
        load_data(path)


def test_rows_with_other_mistakes_are_counted_with_them(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(f"text,label\na,joy\nb, c,joy\n{'x' * 300},joy\nd,1.5\ne,fear\n", encoding="utf-8")
    with pytest.raises(DataError, match=facts("line 3: 3 fields", "3 rows", "lines 3, 4, 5.")):
        load_data(path, max_characters=200)
    found = audit_source(path, label_errors=False)
    assert [row.number for row in found.unusable["train"]] == [3, 5]


def test_rows_to_score_are_treated_alike(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,label\na,joy\nb, c,joy\nd, e,joy\n", encoding="utf-8")
    with pytest.raises(DataError, match=facts("2 rows", "lines 3, 4.")):
        load_split(path, labels=("joy", "fear"))


def test_texts_without_labels_are_read_up_to_the_first(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,label\na,joy\nb, c,joy\nd, e,joy\n", encoding="utf-8")
    texts = load_texts(path)
    assert next(texts) == "a"
    with pytest.raises(DataError, match="line 3: 3 fields"):
        next(texts)


def test_a_quote_that_swallows_rows_ends_the_audit(tmp_path: Path) -> None:
    """What follows may be the inside of a text."""
    path = tmp_path / "d.csv"
    path.write_text('text,label\na,joy\n"b,joy\nc, c,fear\nd" e,joy\nf,fear\n', encoding="utf-8")
    with pytest.raises(DataError, match="misplaced quote in this row"):
        audit_source(path, label_errors=False)


def test_a_file_of_which_no_row_can_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text("one\ntwo\n", encoding="utf-8")
    for read in (load_data, audit_source):
        with pytest.raises(DataError, match="line 1: not a JSON object"):
            read(path)


def test_a_file_most_of_whose_rows_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Tab-separated rows under a header with a semicolon: those with a semicolon in the text would be read as rows."""
    path = tmp_path / "d.txt"
    rows = [f"so kind\tof you{' ; and more' if number % 3 == 0 else ''}\tjoy" for number in range(60)]
    path.write_text("\n".join(["text;label", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=facts("line 3", "no semicolon", ".tsv", "40 rows of 60")):
        audit_source(path, label_errors=False)


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


class TestAdvice:
    def test_lists_as_many_as_there_are_and_says_all_that_a_clean_copy_lacks(self, tmp_path: Path) -> None:
        path = write(tmp_path / "d.csv", "text,label\na,joy\n" + "b, c,joy\n" * 12 + "d,fear\n")
        with pytest.raises(DataError) as caught:
            load_data(path)
        message = str(caught.value)
        assert "emotune audit DATA --examples 12" in message
        for left_out in ("repeats", "contradictions", "leaks"):
            assert left_out in message

    @pytest.mark.parametrize("rows", [[("a", "x"), ("b", None)] * 3, [("a", "x"), ("b", "1.5")] * 3])
    def test_of_rows_in_memory_names_no_command(self, rows: object) -> None:
        with pytest.raises(DataError) as caught:
            load_data(rows)
        assert "emotune" not in str(caught.value)

    @pytest.mark.parametrize("rows", ["b, c,joy\n" * 30 + "a,joy\nd,fear\n", "a,\nb,\n", "a,1.5\nb,2.5\n"])
    def test_names_no_audit_that_would_refuse_the_file_too(self, tmp_path: Path, rows: str) -> None:
        path = write(tmp_path / "d.csv", f"text,label\n{rows}")
        with pytest.raises(DataError):
            audit_source(path, label_errors=False)
        with pytest.raises(DataError) as caught:
            load_data(path)
        assert "emotune" not in str(caught.value)


class TestWithheldLabels:
    HEADER = "text,label\n"

    def rows(self, labels: list[int]) -> object:
        import datasets

        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["joy", "fear"])}
        )
        pairs = [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)]
        return datasets.Dataset.from_list(pairs, features=features)

    def test_among_others_are_faulty_rows(self) -> None:
        with pytest.raises(DataError, match=facts("row 2", "label id is -1", "2 rows", "rows 2, 5")) as caught:
            load_data({"train": self.rows([0, 1] * 3), "test": self.rows([0, -1, 1, 0, -1])})
        assert "has no labels" not in str(caught.value)

    def test_alone_are_a_split_without_labels(self) -> None:
        data = load_data({"train": self.rows([0, 1] * 30), "test": self.rows([-1, -1])})
        assert data.notes[0].startswith("The test split has no labels and is left out (in memory (test), row 1: ")
        assert len(data.test) == 9


class TestTextsOfSeveralLines:
    def test_are_compared_with_one_set_of_labels(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A set for each text would take time that grows with the square of the rows."""
        from emotune.data import rows

        path = write(tmp_path / "d.csv", "text,label\n" + '"two\nlines",joy\n"two more\nlines",fear\n' * 5)
        seen: list[Set[str]] = []

        def note(table: Table, text: str, column: str, labels: Set[str]) -> str:
            seen.append(labels)
            return ""

        monkeypatch.setattr(rows, "_holds_rows", note)
        load_split(path, labels=("joy", "fear"))
        assert len(seen) == 10
        assert all(labels is seen[0] for labels in seen)

    def test_are_not_looked_at_where_there_are_no_fields(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from emotune.data import rows

        monkeypatch.setattr(rows, "_holds_rows", None)
        load_split([("two\nlines", "joy"), ("two\nmore", "fear")], labels=("joy", "fear"))

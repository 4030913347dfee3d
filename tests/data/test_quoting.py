"""What the quotes of a tab-separated file are: quoting, or text. The references are the csv module's writer and plain lines."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.load import load_data
from emotune.system.errors import DataError
from tests.data.reading import load_texts

ROWS = [(f"message {i}", "joy" if i % 2 else "anger") for i in range(12)]


def texts_of(path: Path) -> list[str]:
    return [row.text for row in audit_source(path, label_errors=False).rows]


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_bytes("".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *rows]).encode())
    return path


def written_by_csv(rows: list[tuple[str, str]], quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter="\t", quoting=quoting, lineterminator="\n").writerows([("text", "label"), *rows])  # type: ignore[arg-type]
    return file.getvalue().encode()


@pytest.mark.parametrize("name", ["d.tsv", "d.csv"])
def test_a_text_that_begins_with_a_quote_swallows_no_rows(tmp_path: Path, name: str) -> None:
    rows = [*ROWS[:4], ('"I was glad', "joy"), *ROWS[4:8], ('and she left"', "anger"), *ROWS[8:]]
    assert texts_of(write(tmp_path / name, rows)) == [text for text, _ in rows]
    assert sum(map(len, load_data(tmp_path / name).splits)) == len(rows)


def test_the_smallest_case(tmp_path: Path) -> None:
    rows = [('"I was glad', "joy"), ("so sad", "sadness"), ("so low", "sadness"), ('and she left"', "anger")]
    rows.append(("fine day", "joy"))
    assert texts_of(write(tmp_path / "d.tsv", rows)) == [text for text, _ in rows]


@pytest.mark.parametrize("text", ['"great" she said', 'she said "great"', '"', '"a" and "b"', 'five " long'])
def test_quotes_are_text_where_lines_are_rows(tmp_path: Path, text: str) -> None:
    rows = [(text, "joy"), ('a "plain" one', "joy"), *ROWS]
    found = audit_source(write(tmp_path / "d.tsv", rows), label_errors=False)
    assert [row.text for row in found.rows] == [text for text, _ in rows]
    assert not [note for note in found.notes if "quot" in note]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize(
    "text", ['she said "great", twice', "two\nlines", "a\ttab", 'all "of"\n\tit', "first,\n\nthird"]
)
def test_what_a_csv_writer_wrote_comes_back(tmp_path: Path, quoting: int, text: str) -> None:
    rows = [*ROWS[:3], (text, "joy"), *ROWS[3:]]
    (tmp_path / "d.tsv").write_bytes(written_by_csv(rows, quoting))
    found = audit_source(tmp_path / "d.tsv", label_errors=False)
    assert [(row.text, row.label) for row in found.rows] == rows
    assert [note for note in found.notes if "quotes are read as quoting" in note]
    assert [note for note in load_data(tmp_path / "d.tsv").notes if "quotes are read as quoting" in note]


def test_a_ragged_row_does_not_turn_quotes_into_quoting(tmp_path: Path) -> None:
    """With quoting, the whole file would parse: the row with a tab too many stands inside what is swallowed."""
    rows = [*ROWS[:4], ('"I was glad', "joy"), ("one\ttwo", "joy"), *ROWS[4:8], ('and she left"', "anger")]
    with pytest.raises(DataError) as caught:
        load_data(write(tmp_path / "d.tsv", rows))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'd.tsv'}, line 7: 3 fields, but the header has 2.")
    assert "lines 6 to 12" in message


def test_texts_alone_are_read_alike(tmp_path: Path) -> None:
    write(tmp_path / "d.tsv", [('"I was glad', "joy"), ("so sad", "joy"), ('and she left"', "anger")])
    assert list(load_texts(tmp_path / "d.tsv")) == ['"I was glad', "so sad", 'and she left"']


@pytest.mark.parametrize(("header", "row"), [("text,label", "{0},{1}"), ("label;id;text", "{1};7;{0}")])
def test_a_csv_text_that_holds_whole_rows_is_refused(tmp_path: Path, header: str, row: str) -> None:
    """In CSV a quote quotes, but a field that holds rows with labels of the data was opened by mistake."""
    rows = [*ROWS[:4], ('"I was glad', "joy"), *ROWS[4:8], ('and she left"', "anger"), *ROWS[8:]]
    lines = [header, *(row.format(*cells) for cells in rows)]
    (tmp_path / "d.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_data(tmp_path / "d.csv")
    assert "d.csv, line 6: the text holds" in str(caught.value)
    assert "look like rows of their own" in str(caught.value)
    found = audit_source(tmp_path / "d.csv", label_errors=False)
    assert [row.number for row in found.unusable["train"]] == [6]


def test_a_csv_text_of_several_lines_is_a_text(tmp_path: Path) -> None:
    letter = "Dear all,\nI am glad, really,\nand so is she, joy or not\nYours, Ann"
    rows = [(letter, "joy"), *ROWS]
    lines = ["text,label", *(f'"{text}",{label}' for text, label in rows)]
    (tmp_path / "d.csv").write_text("\n".join(lines), encoding="utf-8")
    assert texts_of(tmp_path / "d.csv") == [text for text, _ in rows]


def test_fields_that_keep_their_quotes_are_counted(tmp_path: Path) -> None:
    rows = [('"so kind"', "joy"), ('"so ""kind"""', "joy"), ('"a" and "b"', "joy"), ('five " long', '"joy"'), *ROWS]
    found = audit_source(write(tmp_path / "d.tsv", rows), label_errors=False)
    assert found.rows[0].text == '"so kind"'
    (note,) = [note for note in found.notes if "quotes are read as text" in note]
    assert note.startswith("d.tsv: ")
    assert "3 fields begin and end with one" in note


def test_fields_that_keep_their_quotes_are_counted_where_neither_reading_fits(tmp_path: Path) -> None:
    path = write(tmp_path / "d.tsv", [('"so kind"', "joy"), *ROWS, ("one\tmore", "joy")])
    (note,) = [note for note in audit_source(path, label_errors=False).notes if "quotes are read as text" in note]
    assert "1 field begins and ends with one" in note
    assert "would have 3 fields" in note

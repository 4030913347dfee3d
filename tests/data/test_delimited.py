"""Separators, dialects, headers and encodings of delimited text: what reads, what is said of it, and what is refused."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.options import DataSource
from emotune.data.places.texts import open_unlabelled
from emotune.system.errors import ConfigError, DataError

from ..facts import states

ROWS = [(f"message {i}", "joy" if i % 3 else "anger") for i in range(12)]


def read(path: Path, content: str | bytes, **options: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Write a file, and give its rows and the notes on reading it."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = audit_source(DataSource(source=path, **options), label_errors=False)
    assert not any(found.unusable.values())
    return [(row.text, row.label) for row in found.rows], [note for note in found.notes if note.startswith(path.name)]


def refusal(path: Path, content: str | bytes, **options: Any) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        audit_source(DataSource(source=path, **options), label_errors=False)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).count("\n") <= 2
    return str(caught.value)


def plain(rows: list[tuple[str, str]], separator: str = ",", header: str = "text,label", end: str = "") -> str:
    return "".join(separator.join(row) + f"{end}\n" for row in [header.split(","), *rows] if row != [""])


class TestSeparators:
    @pytest.mark.parametrize(
        ("name", "separator", "said"),
        [
            ("d.csv", ";", ""),
            ("d.csv", "\t", "tabs"),
            ("d.csv", "|", "pipes"),
            ("d.tsv", ",", "commas"),
            ("d.tsv", ";", "semicolons"),
            ("d.tsv", "|", "pipes"),
            ("d.txt", "\t", "tabs"),
            ("d.txt", ",", "commas"),
            ("d.txt", "|", "pipes"),
        ],
    )
    def test_are_found_and_said(self, tmp_path: Path, name: str, separator: str, said: str) -> None:
        rows, notes = read(tmp_path / name, plain(ROWS, separator))
        assert rows == ROWS
        assert notes == ([f"{name}: {said} separate its columns."] if said else [])

    def test_with_names_that_nobody_knows_are_found_by_the_rows(self, tmp_path: Path) -> None:
        content = plain(ROWS, "|", "body,mood")
        rows, _ = read(tmp_path / "d.tsv", content, text_column="body", label_column="mood")
        assert rows == ROWS

    @pytest.mark.parametrize("given", ["~", "tab", "\\t", "\t"])
    def test_are_what_is_given(self, tmp_path: Path, given: str) -> None:
        separator = given if len(given) == 1 else "\t"
        rows, _ = read(tmp_path / "d.txt", plain([("a, b; c", "joy"), *ROWS], separator), delimiter=given)
        assert rows == [("a, b; c", "joy"), *ROWS]

    @pytest.mark.parametrize("given", [";;", "", '"', "\n", "x", "1"])
    def test_are_one_character_that_is_no_letter(self, given: str) -> None:
        with pytest.raises(ConfigError, match="expected one character that separates fields"):
            DataSource(delimiter=given)

    @pytest.mark.parametrize("name", ["d.csv", "d.tsv", "d.txt"])
    @pytest.mark.parametrize("separator", [";", "|", "\t", ","])
    def test_of_the_line_for_excel(self, tmp_path: Path, name: str, separator: str) -> None:
        rows, notes = read(tmp_path / name, f"sep={separator}\r\n" + plain(ROWS, separator))
        assert rows == ROWS
        assert "its first line names the separator for Excel, and is not read" in notes[0]

    def test_of_the_line_for_excel_do_not_shift_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "d.csv"
        path.write_text("sep=;\n" + plain([*ROWS, ("a;b", "joy")], ";"), encoding="utf-8")
        (row,) = audit_source(path, label_errors=False).unusable["train"]
        assert row.number == path.read_text(encoding="utf-8").splitlines().index("a;b;joy") + 1

    def test_in_a_column_of_texts_alone_are_none(self, tmp_path: Path) -> None:
        (tmp_path / "d.tsv").write_text("text\na, b\nc; d|e\n", encoding="utf-8")
        (chunk,) = open_unlabelled(tmp_path / "d.tsv").chunks(0)
        assert chunk.texts == ("a, b", "c; d|e")

    def test_in_lines_of_text_are_text(self, tmp_path: Path) -> None:
        (tmp_path / "d.txt").write_text("hello\tthere\nsecond\tline\n", encoding="utf-8")
        given = open_unlabelled(tmp_path / "d.txt")
        assert next(given.chunks(0)).texts == ("hello\tthere", "second\tline")
        assert given.notes == ()


class TestEmptyFieldsAtTheEnd:
    @pytest.mark.parametrize("name", ["d.csv", "d.tsv"])
    @pytest.mark.parametrize("count", [1, 3])
    def test_of_every_row_are_not_read(self, tmp_path: Path, name: str, count: int) -> None:
        separator = "," if name == "d.csv" else "\t"
        content = plain(ROWS, separator, end=separator * count).replace(f"label{separator * count}", "label")
        rows, notes = read(tmp_path / name, content)
        assert rows == ROWS
        assert "after the last column" in notes[0]

    def test_of_some_rows_are_refused(self, tmp_path: Path) -> None:
        content = plain(ROWS) + "a,joy,,\n" * 30
        assert states(refusal(tmp_path / "d.csv", content), "4 fields", "2 commas too many")

    def test_that_are_not_empty_in_one_row_are_refused(self, tmp_path: Path) -> None:
        content = plain(ROWS, end=",").replace("label,", "label") + "a,joy,more\n"
        assert states(refusal(tmp_path / "d.csv", content), "3 fields", "1 comma too many")

    @pytest.mark.parametrize("header", ["text;label", "text;label;"])
    def test_of_lines_are_not_read(self, tmp_path: Path, header: str) -> None:
        rows, notes = read(tmp_path / "d.txt", f"{header}\n" + "".join(f"a; {t};{k};\n" for t, k in ROWS))
        assert rows == [(f"a; {t}", k) for t, k in ROWS]
        assert notes == ["d.txt: every line ends with a semicolon, which is not read."]


class TestDialects:
    def test_with_single_quotes(self, tmp_path: Path) -> None:
        file = io.StringIO(newline="")
        rows = [("it's, well", "joy"), ("one\ntwo, three", "anger"), *ROWS]
        csv.writer(file, quotechar="'", lineterminator="\n").writerows([("text", "label"), *rows])
        found, notes = read(tmp_path / "d.csv", file.getvalue())
        assert found == rows
        assert notes == ["d.csv: single quotes are read as quoting, since only so every row is whole."]

    def test_with_backslashes(self, tmp_path: Path) -> None:
        rows = [('she said "hi", ok', "joy"), ("a, b", "anger"), ("a \\ b", "joy"), *ROWS]
        file = io.StringIO(newline="")
        writer = csv.writer(file, doublequote=False, escapechar="\\", lineterminator="\n")
        writer.writerows([("text", "label"), *rows])
        found, notes = read(tmp_path / "d.csv", file.getvalue())
        assert found == rows
        assert notes == ["d.csv: backslashes are read as escapes, since only so every row is whole."]

    def test_with_stray_quotes(self, tmp_path: Path) -> None:
        rows = [('"great" she said', "joy"), ('"never closed', "joy"), ('five " long', "anger"), *ROWS]
        found, notes = read(tmp_path / "d.csv", plain(rows))
        assert found == rows
        assert notes == ["d.csv: quotes are read as text, since only so every row is whole."]

    @pytest.mark.parametrize(
        "content",
        [
            plain(
                [*ROWS, ('"great" she said', "joy"), ('"so kind"', "joy")]
            ),  # quotes that quote, and one that does not
            plain([*ROWS, ('"great, yes" she said', "joy")]),
            plain([*ROWS, ('"C:\\new" folder, here', "joy")]),
            plain([*ROWS, ("'so, kind'", "joy"), ('"great" she said', "joy")]).replace("kind'", 'kind"'),
        ],
    )
    def test_that_fit_only_a_part_of_the_file_are_not_taken(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "d.csv").write_text(content, encoding="utf-8")
        found = audit_source(tmp_path / "d.csv", label_errors=False)
        assert found.unusable["train"]
        assert not [note for note in found.notes if "only so" in note]

    def test_that_would_swallow_rows_are_not_taken(self, tmp_path: Path) -> None:
        rows = [*ROWS[:4], ("'cause I said so", "joy"), ("a, b", "joy"), *ROWS[4:], ("it is his'", "anger")]
        assert "3 fields" in refusal(tmp_path / "d.csv", plain(rows) + "a, b,joy\n" * 30)

    def test_of_ordinary_files_keep_apostrophes_and_backslashes(self, tmp_path: Path) -> None:
        rows = [("'twas late", "joy"), ("'so kind'", "joy"), ("C:\\new, they said", "anger"), *ROWS]
        file = io.StringIO(newline="")
        csv.writer(file, lineterminator="\n").writerows([("text", "label"), *rows])
        assert read(tmp_path / "d.csv", file.getvalue()) == (rows, [])


class TestFilesWithoutAHeader:
    @pytest.mark.parametrize(
        ("name", "separator", "said"),
        [("d.csv", ",", ""), ("d.csv", ";", ""), ("d.tsv", "\t", ""), ("d.txt", "\t", "tabs"), ("d.csv", "|", "pipes")],
    )
    @pytest.mark.parametrize("names", [("text", "label"), ("label", "text")])
    def test_have_the_names_given(
        self, tmp_path: Path, name: str, separator: str, said: str, names: tuple[str, str]
    ) -> None:
        written = ROWS if names[0] == "text" else [(label, text) for text, label in ROWS]
        rows, notes = read(tmp_path / name, plain(written, separator, ""), columns=names)
        assert rows == ROWS
        assert notes == ([f"{name}: {said} separate its columns."] if said else [])

    def test_of_lines_are_cut_at_the_side_of_the_label(self, tmp_path: Path) -> None:
        rows, _ = read(tmp_path / "d.txt", "a; b;joy\nc;anger\n", columns=("text", "label"))
        assert rows == [("a; b", "joy"), ("c", "anger")]
        rows, _ = read(tmp_path / "d.txt", "joy;a; b\nanger;c\n", columns=("label", "text"))
        assert rows == [("a; b", "joy"), ("c", "anger")]
        rows, _ = read(tmp_path / "d.txt", "label;text\njoy;a; b\nanger;c\n")
        assert rows == [("a; b", "joy"), ("c", "anger")]

    def test_with_more_columns(self, tmp_path: Path) -> None:
        content = "".join(f"{i};{text};{label}\n" for i, (text, label) in enumerate(ROWS))
        for name in ("d.txt", "d.csv"):
            assert read(tmp_path / name, content, columns=("n", "text", "label"))[0] == ROWS

    @pytest.mark.parametrize("names", [("text",), ("a", "text", "label")])
    def test_and_a_wrong_number_of_names_are_refused(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        message = refusal(tmp_path / "d.csv", plain(ROWS, ",", ""), columns=names)
        if len(names) > 1:
            assert states(message, "names 3 columns", "2 fields", "message 0,anger")
        else:
            assert "no column is named like one of labels" in message

    @pytest.mark.parametrize("name", ["d.csv", "d.txt"])
    def test_are_not_those_with_one(self, tmp_path: Path, name: str) -> None:
        content = plain(ROWS, "," if name == "d.csv" else ";")
        assert states(
            refusal(tmp_path / name, content, columns=("text", "label")), "has a header", "--columns", "Leave it out"
        )

    def test_have_names_that_differ(self) -> None:
        with pytest.raises(ConfigError, match="none of them twice"):
            DataSource(columns=("text", "text"))

    def test_name_a_ragged_row(self, tmp_path: Path) -> None:
        path = tmp_path / "d.csv"
        path.write_text(plain(ROWS, ",", "") + "a, b,joy\n", encoding="utf-8")
        found = audit_source(DataSource(source=path, columns=("text", "label")), label_errors=False)
        assert "3 fields, but --columns names 2" in found.unusable["train"][0].reason


class TestEncodings:
    ROWS = (("café crème", "joy"), ("naïve, ça", "anger"), *ROWS)

    def content(self) -> str:
        file = io.StringIO(newline="")
        csv.writer(file, lineterminator="\n").writerows([("text", "label"), *self.ROWS])
        return file.getvalue()

    @pytest.mark.parametrize("encoding", ["windows-1252", "latin-1", "utf-16-le", "utf-16", "utf-8", "utf-32", "cp437"])
    def test_that_are_given(self, tmp_path: Path, encoding: str) -> None:
        rows, _ = read(tmp_path / "d.csv", self.content().encode(encoding), encoding=encoding)
        assert rows == list(self.ROWS)

    @pytest.mark.parametrize(("encoding", "shown"), [("utf-16", "UTF-16"), ("utf-32", "UTF-32")])
    @pytest.mark.parametrize("name", ["d.csv", "d.jsonl"])
    def test_with_a_byte_order_mark_are_read_and_said(
        self, tmp_path: Path, encoding: str, shown: str, name: str
    ) -> None:
        content = self.content() if name == "d.csv" else '{"text": "café", "label": "joy"}\n{"text": "b", "label": "x"}'
        rows, notes = read(tmp_path / name, content.encode(encoding))
        assert rows[0][0].startswith("café")
        assert notes == [f"{name}: read as {shown}, as its byte order mark says."]

    @pytest.mark.parametrize("name", ["utf-99", "base64", "hex", "undefined", "zip"])
    def test_that_python_lacks_or_that_are_none_are_refused(self, name: str) -> None:
        with pytest.raises(ConfigError, match="expected the name of an encoding that Python knows"):
            DataSource(encoding=name)

    @pytest.mark.parametrize("encoding", ["ascii", "utf-16-le", "shift_jis"])
    def test_that_do_not_fit_are_refused(self, tmp_path: Path, encoding: str) -> None:
        content = b"text,label\n" + b"good,joy\n" * 5 + "caf\xe9 \xff,joy".encode("latin-1")
        message = refusal(tmp_path / "d.csv", content, encoding=encoding)
        assert f"is not {encoding}" in message or "no column" in message or "NUL" in message

    def test_that_a_mark_contradicts_are_refused(self, tmp_path: Path) -> None:
        for content, mark in ((self.content().encode("utf-16"), "UTF-16"), (b"\xef\xbb\xbftext,label\na,b\n", "UTF-8")):
            message = refusal(tmp_path / "d.csv", content, encoding="windows-1252")
            assert states(message, f"byte order mark of {mark}", "Leave --encoding out")

    def test_that_are_probably_wrong_are_said(self, tmp_path: Path) -> None:
        rows, notes = read(tmp_path / "d.csv", self.content().encode(), encoding="windows-1252")
        assert rows[0][0] == "cafÃ© crÃ¨me"
        assert "its beginning is valid UTF-8" in notes[0]

    def test_of_the_first_wrong_byte_name_line_and_offset(self, tmp_path: Path) -> None:
        content = b"text,label\n" + b"x,y\n" * 400_000
        message = refusal(tmp_path / "d.csv", content + b"caf\xe9,joy\n")
        assert states(message, "line 400002", "0xe9", f"offset {len(content) + 3:,}")

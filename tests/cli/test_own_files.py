"""Files of all kinds through the commands: options, what is said, and in which format predictions are written."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emotune.cli import app
from emotune.data.places.texts import open_unlabelled

ROWS = [(f"message {i} and more", "joy" if i % 3 else "anger") for i in range(12)]
CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)


def run(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def audit(path: Path, *options: str) -> int:
    code, shown, error = run("audit", path, "--no-label-errors", "--json", *options)
    assert code == 0, error
    return sum(json.loads(shown)["rows"]["train"].values())


@pytest.fixture
def predicted(tiny_saved: Path, tiny_bert: Path) -> object:
    def predict(*words: str | Path) -> tuple[int, str, str]:
        return run("predict", tiny_saved, "--base", tiny_bert, "--precision", "fp32", "--device", "cpu", *words)

    return predict


def workbook(path: Path) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [("text", "label"), *ROWS]:
        book.active.append(row)
    book.save(path)
    return path


def database(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE messages (body TEXT, mood TEXT, n INTEGER, picture BLOB)")
    connection.executemany("INSERT INTO messages VALUES (?, ?, 1, x'00ff')", ROWS)
    connection.commit()
    connection.close()
    return path


def arrow(path: Path) -> Path:
    import pyarrow as pa

    table = pa.table({"text": [text for text, _ in ROWS], "n": [*range(12)]})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    return path


class TestAudit:
    def test_of_a_file_without_a_header_in_another_encoding(self, tmp_path: Path) -> None:
        path = tmp_path / "d.csv"
        path.write_bytes("".join(f"{label}~café {text}\n" for text, label in ROWS).encode("windows-1252"))
        options = ("--columns", "label,text", "--delimiter", "~", "--encoding", "windows-1252")
        assert audit(path, *options) == 12

    def test_of_a_query(self, tmp_path: Path) -> None:
        path = database(tmp_path / "d.db")
        assert audit(path, "--query", "SELECT body AS text, mood AS label FROM messages WHERE n = 1") == 12

    def test_of_a_sheet(self, tmp_path: Path) -> None:
        assert audit(workbook(tmp_path / "d.xlsx"), "--sheet", "Sheet") == 12

    @pytest.mark.parametrize(
        ("option", "value", "said"),
        [
            ("--delimiter", ";;", "--delimiter is ';;'; expected one character"),
            ("--encoding", "utf-99", "--encoding is 'utf-99'; expected the name of an encoding"),
            ("--columns", "text,text", "none of them twice"),
            ("--columns", "text", "label"),
            ("--query", "SELECT 1", "--query ('SELECT 1' was given) is about SQLite databases"),
            ("--sheet", "One", "is about Excel workbooks"),
        ],
    )
    def test_with_a_mistake_ends_with_a_message(self, tmp_path: Path, option: str, value: str, said: str) -> None:
        (tmp_path / "d.csv").write_text(CSV, encoding="utf-8")
        code, _, error = run("audit", tmp_path / "d.csv", option, value)
        assert code == 2
        assert said in error.replace("\n", " ")


@pytest.mark.slow
class TestPredict:
    @pytest.mark.parametrize(
        ("name", "kind", "written"),
        [
            ("d.xlsx", "an Excel workbook", "CSV"),
            ("d.db", "an SQLite database", "CSV"),
            ("d.json", "a JSON array", "JSON Lines"),
        ],
    )
    def test_says_the_format_where_it_is_not_that_of_the_file(
        self, tmp_path: Path, predicted: object, name: str, kind: str, written: str
    ) -> None:
        path = tmp_path / name
        if name == "d.xlsx":
            workbook(path)
        elif name == "d.db":
            database(path)
        else:
            path.write_text(json.dumps([{"text": text} for text, _ in ROWS], indent=1), encoding="utf-8")
        column = ("--text-column", "body") if name == "d.db" else ()
        assert callable(predicted)
        code, shown, error = predicted(path, *column)
        assert code == 0, error
        assert f"is {kind}, which is not written: the predictions are {written}." in error
        lines = shown.splitlines()
        assert len(lines) == (13 if written == "CSV" else 12)
        assert lines[0].startswith(
            {"d.xlsx": "text,label,", "d.db": "body,mood,n,picture,", "d.json": '{"text":'}[name]
        )
        code, _, error = predicted(path, *column, "-o", tmp_path / "out.jsonl")
        assert code == 0, error
        assert "which is not written" not in error
        assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 12

    def test_writes_parquet_of_an_arrow_file_and_of_a_database(self, tmp_path: Path, predicted: object) -> None:
        import pyarrow.parquet as pq

        assert callable(predicted)
        for path, column in ((arrow(tmp_path / "a.arrow"), "text"), (database(tmp_path / "b.db"), "body")):
            out = tmp_path / f"{path.stem}.parquet"
            code, _, error = predicted(path, "--text-column", column, "-o", out)
            assert code == 0, error
            table = pq.read_table(out)
            assert table.num_rows == 12
            assert str(table.schema.field("n").type) == "int64"

    def test_keeps_the_separator_found_and_names_the_columns_given(self, tmp_path: Path, predicted: object) -> None:
        assert callable(predicted)
        path = tmp_path / "d.csv"
        path.write_bytes("".join(f"{i}|café {text}\n" for i, (text, _) in enumerate(ROWS)).encode("utf-16"))
        code, shown, error = predicted(path, "--columns", "id,text")
        assert code == 0, error
        assert "pipes separate its columns" in error
        assert shown.splitlines()[0] == "id|text|label|probability"
        assert shown.splitlines()[1].startswith("0|café message 0 and more|")

    def test_refuses_an_excel_workbook_as_output(self, tmp_path: Path, predicted: object) -> None:
        assert callable(predicted)
        (tmp_path / "d.csv").write_text(CSV, encoding="utf-8")
        code, _, error = predicted(tmp_path / "d.csv", "-o", tmp_path / "out.xlsx")
        assert code == 2
        assert "no format has the suffix '.xlsx'" in error

    def test_refuses_options_of_files_for_texts(self, predicted: object) -> None:
        assert callable(predicted)
        code, _, error = predicted("one text", "--encoding", "latin-1")
        assert code == 2
        assert "--encoding is about the rows of a file" in error


def test_lines_of_text_are_read_in_their_encoding(tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_bytes("café\nthé\n".encode("windows-1252"))
    given = open_unlabelled(tmp_path / "m.txt", encoding="windows-1252")
    assert next(given.chunks(0)).texts == ("café", "thé")

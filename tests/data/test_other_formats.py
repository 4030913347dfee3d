"""Workbooks, databases, archives, Arrow files and JSON values: their rows, what is said of them, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from emotune.data.auditing.audit import audit_source
from emotune.data.load import load_data
from emotune.data.options import DataSource
from emotune.data.places.texts import open_unlabelled
from emotune.system.errors import ConfigError, DataError

from ..facts import states

ROWS = [(f"message {i}", "joy" if i % 3 else "anger") for i in range(12)]
CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)


def read(path: Path, **options: Any) -> list[tuple[str, str]]:
    found = audit_source(DataSource(source=path, **options), label_errors=False)
    assert not any(found.unusable.values())
    return [(row.text, row.label) for row in found.rows]


def notes(path: Path, **options: Any) -> list[str]:
    found = audit_source(DataSource(source=path, **options), label_errors=False).notes
    return [note for note in found if note.startswith(path.name)]


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        audit_source(DataSource(source=path, **options), label_errors=False)
    assert str(caught.value).count("\n") <= 2
    return str(caught.value)


# --- Excel ------------------------------------------------------------------------------------------------------------

Fill = Callable[[Any], None]


def workbook(path: Path, *fills: Fill) -> Path:
    """Write a workbook with one sheet per function that fills one."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for number, fill in enumerate(fills):
        fill(book.active if number == 0 else book.create_sheet(f"Sheet{number + 1}"))
    book.active.title = "Sheet1"
    book.save(path)
    return path


def rows(sheet: Any) -> None:
    sheet.append(["text", "label"])
    for row in ROWS:
        sheet.append(row)


def nothing(sheet: Any) -> None:
    pass


def with_cached_value(path: Path, value: str) -> None:
    """Give every formula of a workbook a value, as a spreadsheet program does."""
    content = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content[name] = archive.read(name)
    sheet = content["xl/worksheets/sheet1.xml"].decode()
    assert "</f><v" in sheet
    sheet = sheet.replace("</f><v />", f"</f><v>{value}</v>").replace("</f><v></v>", f"</f><v>{value}</v>")
    content["xl/worksheets/sheet1.xml"] = sheet.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, held in content.items():
            archive.writestr(name, held)


class TestExcel:
    def test_rows_are_read(self, tmp_path: Path) -> None:
        path = workbook(tmp_path / "d.xlsx", rows)
        assert read(path) == ROWS
        assert notes(path) == []

    def test_cells_are_as_in_csv(self, tmp_path: Path) -> None:
        def fill(sheet: Any) -> None:
            sheet.append([None, None, None])
            sheet.append(["text", "label", "when"])
            sheet.append([5, True, datetime(2026, 5, 1, 12, 30)])
            sheet.append([None, None, None])
            sheet.append(["b", False, None])
            sheet.append(["two\nlines", 1, None])

        path = workbook(tmp_path / "d.xlsx", fill)
        assert read(path) == [("5", "true"), ("b", "false"), ("two\nlines", "1")]
        (chunk,) = open_unlabelled(path).chunks(0)
        assert chunk.numbers == (3, 5, 6)
        assert next(chunk.cells.objects()) == {"text": "5", "label": "true", "when": "2026-05-01T12:30:00"}

    def test_empty_sheets_do_not_count(self, tmp_path: Path) -> None:
        assert read(workbook(tmp_path / "d.xlsx", nothing, rows, nothing)) == ROWS

    def test_one_of_several_sheets_is_named(self, tmp_path: Path) -> None:
        path = workbook(tmp_path / "d.xlsx", rows, rows)
        assert states(refusal(path), "several sheets", "'Sheet1', 'Sheet2'", "--sheet NAME")
        assert read(path, sheet="Sheet2") == ROWS
        assert states(refusal(path, sheet="Other"), "no sheet 'Other'", "'Sheet1', 'Sheet2'")

    @pytest.mark.parametrize("merged", ["A2:A4", "B3:B4", "A1:B1"])
    def test_merged_cells_are_refused_with_their_place(self, tmp_path: Path, merged: str) -> None:
        def fill(sheet: Any) -> None:
            rows(sheet)
            sheet.merge_cells(merged)

        assert states(
            refusal(workbook(tmp_path / "d.xlsx", fill)), "(Sheet1)", f"the cells {merged} are merged", "Unmerge"
        )

    def test_merged_cells_beside_the_rows_are_no_matter(self, tmp_path: Path) -> None:
        def fill(sheet: Any) -> None:
            rows(sheet)
            sheet.merge_cells("D2:E4")

        assert read(workbook(tmp_path / "d.xlsx", fill)) == ROWS

    def test_formulas_give_their_values(self, tmp_path: Path) -> None:
        def fill(sheet: Any) -> None:
            rows(sheet)
            sheet["B3"] = '="j"&"oy"'

        path = workbook(tmp_path / "d.xlsx", fill)
        (row,) = audit_source(path, label_errors=False).unusable["train"]
        assert row.number == 3
        assert "the cell B3 is a formula whose value was never saved" in row.reason
        with_cached_value(path, "7")
        assert read(path)[1] == ("message 1", "7")

    def test_errors_and_cells_without_a_column_are_named(self, tmp_path: Path) -> None:
        def fill(sheet: Any) -> None:
            rows(sheet)
            sheet["B3"] = "#N/A"
            sheet["D5"] = "stray"

        found = audit_source(workbook(tmp_path / "d.xlsx", fill), label_errors=False).unusable["train"]
        assert [row.number for row in found] == [3, 5]
        assert "the cell B3 holds the error #N/A" in found[0].reason
        assert "the cell D5 is right of the last named column" in found[1].reason

    def test_one_without_a_header_is_refused(self, tmp_path: Path) -> None:
        def fill(sheet: Any) -> None:
            for row in ROWS:
                sheet.append(row)

        message = refusal(workbook(tmp_path / "d.xlsx", fill))
        assert states(message, "no column is named like", "'message 0', 'anger'", "insert a row with their names")
        assert "--columns" not in message

    def test_a_damaged_one_is_refused(self, tmp_path: Path) -> None:
        path = workbook(tmp_path / "d.xlsx", rows)
        path.write_bytes(path.read_bytes()[:-300])
        assert "damaged, or not an Excel workbook" in refusal(path)
        (tmp_path / "e.xlsx").write_text("text,label\na,b\n")
        assert "is not an Excel workbook, whatever its name says" in refusal(tmp_path / "e.xlsx")

    def test_one_that_unpacks_to_very_much_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = workbook(tmp_path / "d.xlsx", rows)
        monkeypatch.setattr("emotune.data.formats.excel._LARGEST", 1000)
        assert "when unpacked; at most 1,000" in refusal(path)

    def test_under_another_name_is_refused_with_the_name(self, tmp_path: Path) -> None:
        path = workbook(tmp_path / "d.xlsx", rows).rename(tmp_path / "d.csv")
        assert states(refusal(path), "an Excel workbook", "Name it .xlsx")

    def test_without_openpyxl_says_what_to_install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = workbook(tmp_path / "d.xlsx", rows)
        monkeypatch.setattr("emotune.system.extras.find_spec", lambda module: None)
        with pytest.raises(ConfigError, match=r"pip install 'emotune\[excel\]'"):
            load_data(path)


# --- SQLite -----------------------------------------------------------------------------------------------------------


def database(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, text TEXT, label TEXT)")
    connection.executemany("INSERT INTO messages (text, label) VALUES (?, ?)", ROWS)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


OTHERS = (
    "CREATE TABLE authors (id, name)",
    'CREATE TABLE "my texts" (text, label)',
    "INSERT INTO \"my texts\" VALUES ('a', 'b')",
)


class TestSqlite:
    @pytest.mark.parametrize("suffix", [".db", ".sqlite", ".sqlite3"])
    def test_the_only_table_is_read(self, tmp_path: Path, suffix: str) -> None:
        path = database(tmp_path / f"my data{suffix}")
        before = path.read_bytes()
        assert read(path) == ROWS
        assert notes(path) == []
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == [path.name]

    def test_the_only_table_with_texts_is_read_and_said(self, tmp_path: Path) -> None:
        path = database(tmp_path / "d.db", OTHERS[0])
        assert read(path) == ROWS
        assert notes(path) == ["d.db: read from the table 'messages'; not used: 'authors'."]

    def test_of_several_one_is_asked_for(self, tmp_path: Path) -> None:
        path = database(tmp_path / "d.db", *OTHERS)
        assert states(
            refusal(path), "'authors', 'messages', 'my texts'", "several of them could hold the rows", "--query"
        )
        assert read(path, query="SELECT * FROM messages") == ROWS

    @pytest.mark.parametrize(
        "query",
        [
            "select text, label from messages order by id;",
            "WITH m AS (SELECT * FROM messages) SELECT upper(label) AS label, text FROM m",
            "SELECT m.text, m.label FROM messages m LEFT JOIN authors a ON a.id = m.id",
        ],
    )
    def test_a_select_is_run(self, tmp_path: Path, query: str) -> None:
        found = read(database(tmp_path / "d.db", OTHERS[0]), query=query)
        assert [(text, label.lower()) for text, label in found] == ROWS

    @pytest.mark.parametrize(
        "query",
        [
            "DELETE FROM messages",
            "INSERT INTO messages (text) VALUES ('x') RETURNING text, label",
            "DROP TABLE messages",
            "PRAGMA writable_schema = 1",
            "ATTACH 'other.db' AS other",
            "VACUUM INTO 'copy.db'",
            "SELECT text, label FROM messages; DELETE FROM messages",
            "CREATE TABLE t AS SELECT * FROM messages",
            "BEGIN",
            "-- nothing",
        ],
    )
    def test_a_query_that_does_more_is_refused(
        self, tmp_path: Path, query: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        path = database(tmp_path / "d.db")
        before = path.read_bytes()
        assert "expected one SELECT" in refusal(path, query=query)
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["d.db"]

    def test_a_query_that_is_wrong_is_refused(self, tmp_path: Path) -> None:
        path = database(tmp_path / "d.db")
        assert states(refusal(path, query="SELECT text FROM absent"), "cannot be run", "no such table: absent")
        assert states(refusal(path, query="SELECT id, label FROM messages"), "no column is named like", "AS text")
        assert "syntax error" in refusal(path, query="SELEKT 1")

    def test_a_database_without_texts_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "d.db"
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE a (x, y)")
        connection.execute("CREATE TABLE b (x, y)")
        connection.commit()
        connection.close()
        assert states(refusal(path), "'a', 'b'", "none has a column of texts", "--query 'SELECT text, label FROM a'")

    def test_one_that_is_damaged_or_none_is_refused(self, tmp_path: Path) -> None:
        path = database(tmp_path / "d.db")
        path.write_bytes(path.read_bytes()[:3000])
        assert "cannot be read" in refusal(path)
        (tmp_path / "e.db").write_text("text,label\na,b\n")
        assert "is not an SQLite database, whatever its name says" in refusal(tmp_path / "e.db")
        (tmp_path / "f.db.gz").write_bytes(gzip.compress(database(tmp_path / "g.db").read_bytes()))
        assert "compressed with gzip" in refusal(tmp_path / "f.db.gz")


# --- ZIP --------------------------------------------------------------------------------------------------------------


def archive(path: Path, compression: int = zipfile.ZIP_DEFLATED, **contents: bytes | str) -> Path:
    with zipfile.ZipFile(path, "w", compression) as held:
        for name, content in contents.items():
            held.writestr(name.replace("__", ".").replace("___", "/"), content)
    return path


class TestArchives:
    @pytest.mark.parametrize(
        "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    def test_the_only_table_is_read_and_said(self, tmp_path: Path, compression: int) -> None:
        path = archive(
            tmp_path / "d.csv.zip", compression, README__txt="about", inner__csv=CSV, picture__png=b"\x89PNG"
        )
        assert read(path) == ROWS
        assert notes(path) == ["d.csv.zip: read from inner.csv in it."]

    @pytest.mark.parametrize("name", ["d__jsonl", "d__json", "d__tsv", "d__txt"])
    def test_of_every_format_of_text(self, tmp_path: Path, name: str) -> None:
        lines = "\n".join(json.dumps({"text": text, "label": label}) for text, label in ROWS)
        content = lines if "json" in name else CSV.replace(",", "\t" if "tsv" in name else ";")
        assert read(archive(tmp_path / "d.zip", zipfile.ZIP_DEFLATED, **{name: content})) == ROWS

    def test_two_tables_are_refused_with_their_names(self, tmp_path: Path) -> None:
        path = archive(tmp_path / "d.zip", train__csv=CSV, test__csv=CSV)
        assert states(refusal(path), "2 tables", "'train.csv', 'test.csv'", "unzip")

    def test_no_table_is_refused(self, tmp_path: Path) -> None:
        assert states(refusal(archive(tmp_path / "d.zip", a__png=b"x")), "no table", "'a.png'")
        assert "empty" in refusal(archive(tmp_path / "e.zip"))

    def test_a_table_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        assert states(refusal(archive(tmp_path / "d.zip", a__parquet=b"PAR1")), "'a.parquet'", "unzip")

    def test_what_would_be_very_large_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("emotune.data.formats.archives._LARGEST_AT_ANY_RATIO", 1000)
        path = archive(tmp_path / "d.zip", a__csv="text,label\n" + "a" * 1_000_000)
        assert states(refusal(path), "1,000,011 bytes", "more than is unpacked")

    def test_a_size_that_is_not_true_is_refused(self, tmp_path: Path) -> None:
        """The directory of the archive says that there is less in it than there is."""
        path = archive(tmp_path / "d.zip", a__csv=CSV)
        size = len(CSV).to_bytes(4, "little")
        path.write_bytes(path.read_bytes().replace(size, (40).to_bytes(4, "little")))
        assert "damaged" in refusal(path)

    def test_a_damaged_one_is_refused(self, tmp_path: Path) -> None:
        path = archive(tmp_path / "d.zip", a__csv=CSV)
        path.write_bytes(path.read_bytes()[:-30])
        assert "damaged, or not a ZIP archive" in refusal(path)

    def test_under_another_name_is_refused_with_the_name(self, tmp_path: Path) -> None:
        path = archive(tmp_path / "d.zip", a__csv=CSV).rename(tmp_path / "d.csv")
        assert "Name it .zip" in refusal(path)


# --- Arrow ------------------------------------------------------------------------------------------------------------


class TestArrow:
    @pytest.mark.parametrize("kind", ["file", "stream"])
    @pytest.mark.parametrize("suffix", [".arrow", ".feather"])
    def test_rows_are_read(self, kind: str, suffix: str, tmp_path: Path) -> None:
        import pyarrow as pa

        table = pa.table({"text": [t for t, _ in ROWS], "label": pa.array([k for _, k in ROWS]).dictionary_encode()})
        new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with new(str(tmp_path / f"d{suffix}"), table.schema) as writer:
            writer.write_table(table, max_chunksize=5)
        assert read(tmp_path / f"d{suffix}") == ROWS
        given = open_unlabelled(tmp_path / f"d{suffix}")
        assert [text for chunk in given.chunks(0) for text in chunk.texts] == [text for text, _ in ROWS]
        assert (given.format, given.foreign) == ("parquet", "an Arrow file")

    def test_names_of_classes_are_those_of_the_datasets_library(self, tmp_path: Path) -> None:
        import datasets
        import pyarrow as pa

        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["low", "high"])}
        )
        made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
        with pa.ipc.new_stream(str(tmp_path / "d.arrow"), made.data.table.schema) as writer:
            writer.write_table(made.data.table)
        assert read(tmp_path / "d.arrow") == [("a", "high"), ("b", "low")]

    def test_a_damaged_one_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "d.arrow").write_bytes(b"ARROW1\0\0 and so on")
        assert "is damaged, or not an Arrow file" in refusal(tmp_path / "d.arrow")


# --- JSON -------------------------------------------------------------------------------------------------------------

OBJECTS = [{"text": text, "label": label} for text, label in ROWS]
BY_COLUMN = {name: [row[name] for row in OBJECTS] for name in ("text", "label")}
VALUES: dict[str, tuple[object, str]] = {
    "records": (OBJECTS, ""),
    "pairs": ([list(row) for row in ROWS], "its pairs are taken as text and label"),
    "columns": ({c: {str(i): v for i, v in enumerate(held)} for c, held in BY_COLUMN.items()}, "column by column"),
    "lists": (BY_COLUMN, "column by column"),
    "index": ({str(i): row for i, row in enumerate(OBJECTS)}, "its 12 rows are the objects under its keys"),
    "split": ({"columns": ["text", "label"], "index": [*range(12)], "data": [list(row) for row in ROWS]}, "'columns'"),
    "table": ({"schema": {"fields": []}, "data": OBJECTS}, "its rows are under 'data'"),
    "a key": ({"version": "1", "tags": ["a"], "examples": OBJECTS}, "its rows are under 'examples'"),
}


class TestJson:
    @pytest.mark.parametrize("suffix", [".json", ".jsonl"])
    @pytest.mark.parametrize("indent", [None, 1])
    @pytest.mark.parametrize("name", VALUES)
    def test_values_of_all_forms_are_read_and_said(
        self, tmp_path: Path, name: str, indent: int | None, suffix: str
    ) -> None:
        value, said = VALUES[name]
        path = tmp_path / f"d{suffix}"
        path.write_text(json.dumps(value, indent=indent), encoding="utf-8")
        assert read(path) == ROWS
        found = notes(path)
        assert (said in found[0]) if said else not found

    @pytest.mark.parametrize("orient", ["records", "columns", "index", "split", "table"])
    def test_what_pandas_writes_is_read(self, tmp_path: Path, orient: Any) -> None:
        pandas = pytest.importorskip("pandas")
        pandas.DataFrame(OBJECTS).to_json(tmp_path / "d.json", orient=orient)
        assert read(tmp_path / "d.json") == ROWS

    def test_objects_of_several_lines_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "d.jsonl").write_text("\n".join(json.dumps(row, indent=2) for row in OBJECTS), encoding="utf-8")
        assert read(tmp_path / "d.jsonl") == ROWS

    def test_compressed_ones_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "d.json.gz").write_bytes(gzip.compress(json.dumps(OBJECTS, indent=1).encode()))
        assert read(tmp_path / "d.json.gz") == ROWS

    def test_one_line_is_one_row(self, tmp_path: Path) -> None:
        (tmp_path / "d.jsonl").write_text('{"text": "a", "label": "b", "tags": ["x", "y"]}\n', encoding="utf-8")
        assert read(tmp_path / "d.jsonl") == [("a", "b")]

    @pytest.mark.parametrize("as_lines", [True, False])
    def test_keys_inside_others_are_named_with_a_point(self, tmp_path: Path, as_lines: bool) -> None:
        nested = [{"id": 1, "review": {"by": {"text": t}}, "label": {"name": k}} for t, k in ROWS]
        content = "\n".join(map(json.dumps, nested)) if as_lines else json.dumps(nested)
        path = tmp_path / "d.json"
        path.write_text(content, encoding="utf-8")
        assert read(path, text_column="review.by.text", label_column="label.name") == ROWS
        assert "has no column 'review.by.body'" in refusal(
            path, text_column="review.by.body", label_column="label.name"
        )
        (chunk,) = open_unlabelled(path, text_column="review.by.text").chunks(0)
        assert chunk.texts == tuple(text for text, _ in ROWS)

    def test_a_row_without_the_inner_key_is_named(self, tmp_path: Path) -> None:
        rows = [{"review": {"text": "a"}, "label": "x"}, {"review": {}, "label": "y"}, {"review": None, "label": "y"}]
        (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        found = audit_source(DataSource(source=tmp_path / "d.jsonl", text_column="review.text"), label_errors=False)
        assert [row.number for row in found.unusable["train"]] == [2, 3]
        assert "no key 'review.text'" in found.unusable["train"][0].reason

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (json.dumps(OBJECTS, indent=1)[:-40], ("damaged or incomplete", "line ")),
            (json.dumps({"train": OBJECTS, "test": OBJECTS}), ("several keys", "'train', 'test'")),
            (json.dumps({"a": 1, "b": [2]}, indent=1), ("holds no rows", "'a', 'b'")),
            ("[]", ("has no rows",)),
            ("[1, 2]", ("row 1", "is not an object")),
            ("5", ("line 1", "not a JSON object")),
            ('[{"text": "a", "text": "b"}]', ("'text' occurs twice",)),
            ("[" * 100_000, ("damaged",)),
        ],
    )
    def test_what_holds_no_rows_is_refused(self, tmp_path: Path, content: str, said: tuple[str, ...]) -> None:
        (tmp_path / "d.json").write_text(content, encoding="utf-8")
        assert states(refusal(tmp_path / "d.json"), *said)

    def test_an_element_that_is_no_object_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "d.json").write_text(json.dumps([*OBJECTS, 5, {"text": "a"}]), encoding="utf-8")
        found = audit_source(tmp_path / "d.json", label_errors=False).unusable["train"]
        assert [row.number for row in found] == [13, 14]


# --- options that do not apply ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("d.csv", {"query": "SELECT 1"}),
        ("d.csv", {"sheet": "One"}),
        ("d.jsonl", {"delimiter": ";"}),
        ("d.jsonl", {"columns": ("text", "label")}),
        ("d.parquet", {"encoding": "latin-1"}),
        ("d.db", {"delimiter": ";"}),
        ("d.xlsx", {"query": "SELECT 1"}),
    ],
)
def test_an_option_of_another_format_is_refused(tmp_path: Path, name: str, option: dict[str, Any]) -> None:
    path = tmp_path / name
    start = {".parquet": b"PAR1", ".db": b"SQLite format 3\0", ".xlsx": b"PK\x03\x04"}.get(path.suffix, CSV.encode())
    path.write_bytes(start)
    (said,) = option
    assert states(refusal(path, **option), f"{path} is ", f"--{said}", "Leave it out")


@pytest.mark.parametrize("option", [{"encoding": "latin-1"}, {"columns": ("a", "b")}, {"query": "SELECT 1"}])
def test_options_of_files_are_refused_for_rows_in_memory(option: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="no file, and --"):
        load_data(ROWS, **option)


def test_a_stream_of_bytes_is_never_left_open(tmp_path: Path) -> None:
    """ResourceWarnings are errors in the tests; a reader that is given up early must close its file."""
    path = archive(tmp_path / "d.zip", a__csv=CSV)
    chunks = open_unlabelled(path).chunks(0)
    assert next(chunks).read == 12
    assert io.BytesIO(path.read_bytes()).read(2) == b"PK"

"""Texts to predict are read in chunks with the rows' own columns; what cannot be predicted is named or left out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emotune.data.look import look_at_first, look_through
from emotune.data.places.texts import open_unlabelled
from emotune.data.unlabelled import CHUNK, Unlabelled, lines_of, texts_of
from emotune.system.errors import DataError

from ..facts import states


def table_of(given: Unlabelled, start: int = 0) -> list[tuple[int, str]]:
    return [
        row for chunk in given.chunks(start) for row in zip(chunk.numbers, chunk.texts, strict=True)
    ]  # fmt: skip


@pytest.fixture(params=["csv", "tsv", "jsonl", "parquet", "txt"])
def long_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """More rows than two chunks, with a blank text in the second."""
    frame = pd.DataFrame({"id": range(2 * CHUNK + 10), "text": [f"text {i}" for i in range(2 * CHUNK + 10)]})
    frame.loc[CHUNK + 5, "text"] = " "
    path = tmp_path / f"rows.{request.param}"
    if path.suffix in (".csv", ".tsv"):
        frame.to_csv(path, index=False, sep="," if path.suffix == ".csv" else "\t")
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pandas(frame), path, row_group_size=1000)
    else:
        path.write_text("".join(f"{text}\n" for text in frame.text), encoding="utf-8")
    return path


def test_chunks_hold_the_same_rows_wherever_reading_starts(long_file: Path) -> None:
    given = open_unlabelled(long_file)
    chunks = list(given.chunks(0))
    assert [chunk.read for chunk in chunks] == [CHUNK, CHUNK, 10]
    assert [len(chunk.texts) for chunk in chunks] == [CHUNK, CHUNK - 1, 10]
    assert chunks[1].skipped[0].is_blank
    for start in (CHUNK, 2 * CHUNK):
        again = list(given.chunks(start))
        first = chunks[start // CHUNK]
        assert (again[0].texts, again[0].numbers, again[0].skipped) == (first.texts, first.numbers, first.skipped)
        assert list(again[0].cells.objects()) == list(first.cells.objects())


def test_own_columns_are_kept(long_file: Path) -> None:
    chunk = next(open_unlabelled(long_file).chunks(0))
    row = next(chunk.cells.objects())
    assert row["text"] == "text 0"
    assert ("id" in row) == (long_file.suffix != ".txt")


def test_a_blank_text_stops_unless_it_is_a_line(long_file: Path) -> None:
    given = open_unlabelled(long_file)
    if long_file.suffix == ".txt":
        assert look_through(given, stop=True).read == 2 * CHUNK + 10
        return
    with pytest.raises(DataError) as caught:
        look_through(given, stop=True)
    number = given.unit + " " + str(CHUNK + (6 if long_file.suffix in (".jsonl", ".parquet") else 7))
    assert states(str(caught.value), "blank in 1 row", number, "--on-error skip")
    assert look_through(given, stop=False).read == 2 * CHUNK + 10


def test_unreadable_rows_are_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text\n1,a\n2,b,c\n3,d\n", encoding="utf-8")
    given = open_unlabelled(tmp_path / "t.csv")
    with pytest.raises(DataError) as caught:
        look_through(given, stop=True)
    assert states(str(caught.value), "line 3", "3 fields", "--on-error skip")
    (chunk,) = given.chunks(0)
    assert chunk.texts == ("a", "d")
    ((number, reason),) = [(row.number, row.reason) for row in chunk.skipped]
    assert number == 3
    assert reason.startswith("3 fields, but the header has 2")


def test_reasons_of_json_lines(tmp_path: Path) -> None:
    lines = ['{"text": "a"}', "[1]", '{"other": 1}', '{"text": 5}', '{"text": null}', '{"text": "b", "more": [1]}']
    (tmp_path / "t.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (chunk,) = open_unlabelled(tmp_path / "t.jsonl").chunks(0)
    assert chunk.texts == ("a", "b")
    assert list(chunk.cells.objects()) == [{"text": "a"}, {"text": "b", "more": [1]}]
    assert [row.number for row in chunk.skipped] == [2, 3, 4, 5]
    assert [row.is_blank for row in chunk.skipped] == [False, False, False, True]


def test_columns_come_from_all_rows(tmp_path: Path) -> None:
    """Files of JSON Lines may get a new key after years."""
    rows = [{"text": f"t{i}"} for i in range(CHUNK + 3)] + [{"text": "last", "late": 1.5}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    look = look_through(open_unlabelled(tmp_path / "t.jsonl"), stop=True, schema=True)
    assert look.columns == ("text", "late")
    assert look.schema == pa.schema([("text", pa.string()), ("late", pa.float64())])


def test_types_of_json_that_do_not_fit_a_column(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a", "n": 1}\n{"text": "b", "n": "x"}\n', encoding="utf-8")
    given = open_unlabelled(tmp_path / "t.jsonl")
    assert look_through(given, stop=True).read == 2
    with pytest.raises(DataError, match="--format jsonl"):
        look_through(given, stop=True, schema=True)


def test_two_columns_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",,text\n1,2,a\n", encoding="utf-8")
    (chunk,) = open_unlabelled(tmp_path / "t.csv").chunks(0)
    assert list(chunk.cells.rows(chunk.cells.columns)) == [["1", "2", "a"]]


class TestStreams:
    def test_lines_are_read_as_needed(self) -> None:
        given = lines_of(io.BytesIO(b"\xef\xbb\xbffine\r\n" + b"fine\n" * (CHUNK - 1) + b"\xe9\n"), "Standard input")
        look, chunks = look_at_first(given, stop=True)
        assert (look.read, next(chunks).texts[0]) == (CHUNK, "fine")
        with pytest.raises(DataError, match=f"line {CHUNK + 1:,}: not UTF-8"):
            next(chunks)

    @pytest.mark.parametrize(("content", "seen"), [(b"", "is empty"), (b"\n \n", "nothing but blank lines")])
    def test_without_texts(self, content: bytes, seen: str) -> None:
        with pytest.raises(DataError, match=seen):
            look_at_first(lines_of(io.BytesIO(content), "Standard input"), stop=True)


def test_texts_in_memory() -> None:
    given = texts_of(["a", " "], "The command line")
    with pytest.raises(DataError, match="The command line: the text is empty or blank in 1 row: row 2"):
        look_through(given, stop=True)
    assert table_of(texts_of(["a", "b"], "x")) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("t.txt", "text\none;two\n", ["text", "one;two"]),
        ("t.txt", "text;label\none;joy\n", ["one"]),
        ("t.jsonl", '{"message": "a"}\n', ["a"]),
    ],
)
def test_which_texts(tmp_path: Path, name: str, content: str, texts: list[str]) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert [text for _, text in table_of(open_unlabelled(tmp_path / name))] == texts


def test_a_file_without_usable_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text\n1,\n2, \n", encoding="utf-8")
    with pytest.raises(DataError, match="none of its 2 rows can be used"):
        look_through(open_unlabelled(tmp_path / "t.csv"), stop=False)
    (tmp_path / "t.csv").write_text("id,text\n", encoding="utf-8")
    with pytest.raises(DataError, match="has a header and no rows"):
        look_through(open_unlabelled(tmp_path / "t.csv"), stop=False)

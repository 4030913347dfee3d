"""Pairs of texts without labels: from tables, lines, the command line, and on the way between machines."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from emotune.bulk.packing import packed, unpacked
from emotune.data.places.texts import open_unlabelled
from emotune.data.unlabelled import Unlabelled, all_texts, lines_of, texts_of
from emotune.system.errors import DataError
from emotune.system.pairs import TextPair

ROWS = [("a man", "somebody"), ("a dog", "nobody")]


def write(folder: Path, name: str) -> Path:
    path = folder / name
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"premise": [a for a, _ in ROWS], "hypothesis": [b for _, b in ROWS]}), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f'{{"premise": "{a}", "hypothesis": "{b}"}}\n' for a, b in ROWS), encoding="utf-8")
    elif path.suffix == ".txt":
        path.write_text("".join(f"{a}\t{b}\n" for a, b in ROWS), encoding="utf-8")
    else:
        path.write_text("premise,hypothesis\n" + "".join(f"{a},{b}\n" for a, b in ROWS), encoding="utf-8")
    return path


def pairs_of(given: Unlabelled) -> list[tuple[str, str]]:
    texts = [text for _, text in all_texts(given)]
    assert all(isinstance(text, TextPair) for text in texts)
    return [(text.first, text.second) for text in texts if isinstance(text, TextPair)]


@pytest.mark.parametrize("name", ["d.csv", "d.jsonl", "d.parquet", "d.txt"])
def test_files(tmp_path: Path, name: str) -> None:
    assert pairs_of(open_unlabelled(write(tmp_path, name), pairs=True)) == ROWS


def test_lines_need_not_have_the_columns_of_training(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"text_column": "premise", "text_pair_column": "hypothesis"}
    assert pairs_of(open_unlabelled(write(tmp_path, "d.txt"), pairs=True, by_training=True, **columns)) == ROWS
    with pytest.raises(DataError, match="has no column 'premise'"):
        open_unlabelled(tmp_path / "d.txt", pairs=True, **columns)
    headed = tmp_path / "headed.txt"
    headed.write_text("premise\thypothesis\na\tb\n", encoding="utf-8")
    assert pairs_of(open_unlabelled(headed, pairs=True, by_training=True, **columns)) == [("a", "b")]


def test_lines_and_the_command_line() -> None:
    assert pairs_of(lines_of(io.BytesIO(b"a man\tsomebody\n\na dog\tnobody\n"), "stdin", pairs=True)) == ROWS
    assert pairs_of(texts_of([TextPair(*row) for row in ROWS], "here")) == ROWS


@pytest.mark.parametrize(
    ("line", "said"),
    [("a man", "line 1: 0 tabs; expected one"), ("a\tb\tc", "line 1: 2 tabs"), ("a\t ", "the second text is empty")],
)
def test_a_line_that_is_no_pair_is_no_blank_line(line: str, said: str) -> None:
    given = lines_of(io.BytesIO(f"{line}\nx\ty\n".encode()), "stdin", pairs=True)
    with pytest.raises(DataError, match=said):
        list(all_texts(given))


def test_a_missing_second_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,other\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match="the model reads pairs of texts, and only 'text'"):
        open_unlabelled(path, pairs=True)
    assert pairs_of(open_unlabelled(path, pairs=True, text_pair_column="other")) == [("a", "b")]


@pytest.mark.parametrize("name", ["d.csv", "d.jsonl", "d.parquet"])
def test_chunks_of_pairs_are_packed_and_unpacked(tmp_path: Path, name: str) -> None:
    (chunk,) = open_unlabelled(write(tmp_path, name), pairs=True).chunks(0)
    again = unpacked(packed(chunk))
    assert [(text.first, text.second) for text in again.texts if isinstance(text, TextPair)] == ROWS
    assert list(again.cells.objects()) == list(chunk.cells.objects())

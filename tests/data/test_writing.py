"""Rows written with predictions beside them are what pandas, csv and json read; parts joined are the file written at once."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotune.data.cells import ArrowCells, Cells, ObjectCells, RowCells
from emotune.data.writing import Delimited, Format, JsonLines, Lines, ParquetFormat, format_of, without_formula
from emotune.system.errors import ConfigError, DataError

ADDED = {"label": ["joy", None], "probability": np.array([0.75, 0.5])}


def written(form: Format, *chunks: tuple[Cells, dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    with form.open(stream, first=True) as write:
        for cells, added in chunks:
            write(cells, added)
    return stream.getvalue()


def rows(*values: Sequence[object], names: tuple[str, ...] = ("id", "text")) -> RowCells:
    return RowCells(names, values)


class TestDelimited:
    def test_pandas_reads_it(self) -> None:
        cells = rows(["1", 'she said "no, never"\nand left'], ["2", "rain"])
        frame = pd.read_csv(io.BytesIO(written(Delimited(cells.names, tuple(ADDED)), (cells, ADDED))))
        assert list(frame) == ["id", "text", "label", "probability"]
        assert list(frame.text) == ['she said "no, never"\nand left', "rain"]
        assert list(frame.probability) == [0.75, 0.5]
        assert list(frame.label.isna()) == [False, True]

    def test_the_delimiter_of_the_input(self) -> None:
        cells = rows(["1", "a;b"], ["2", "c"])
        text = written(Delimited(cells.names, tuple(ADDED), ";"), (cells, ADDED)).decode()
        assert text.splitlines() == ["id;text;label;probability", '1;"a;b";joy;0.750000', "2;c;;0.500000"]

    def test_values_of_parquet(self) -> None:
        table = pa.table({"n": [1, None], "t": [True, False], "l": [[1, 2], None], "d": [datetime(2026, 1, 2), None]})
        text = written(Delimited(table.column_names, tuple(ADDED)), (ArrowCells(table), ADDED)).decode()
        found = list(csv.reader(io.StringIO(text)))
        assert found[1][:4] == ["1", "true", "[1, 2]", "2026-01-02T00:00:00"]
        assert found[2][:4] == ["", "false", "", ""]

    def test_keys_that_a_row_lacks_are_empty(self) -> None:
        cells = ObjectCells([{"a": 1}, {"b": "x"}])
        text = written(Delimited(("a", "b"), tuple(ADDED)), (cells, ADDED)).decode()
        assert text.splitlines()[1:] == ["1,,joy,0.750000", ",x,,0.500000"]

    def test_formulas_are_escaped_and_numbers_are_not(self) -> None:
        cells = rows(["-5", "=1+1"], ["+1.5e3", "@cmd"])
        text = written(Delimited(cells.names, tuple(ADDED)), (cells, ADDED)).decode()
        assert text.splitlines()[1:] == ["-5,'=1+1,joy,0.750000", "+1.5e3,'@cmd,,0.500000"]
        kept = written(Delimited(cells.names, tuple(ADDED), keep_formulas=True), (cells, ADDED)).decode()
        assert "'=1+1" not in kept

    @given(st.text())
    def test_no_cell_begins_as_a_formula(self, text: str) -> None:
        cell = without_formula(text)
        try:
            float(cell)
        except ValueError:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert cell.removeprefix("'") == text.removeprefix("'") or cell == text

    def test_later_parts_have_no_header(self) -> None:
        stream = io.BytesIO()
        form = Delimited(("id", "text"), tuple(ADDED))
        with form.open(stream, first=False) as write:
            write(rows(["1", "a"], ["2", "b"]), ADDED)
        assert stream.getvalue().startswith(b"1,a,joy")


class TestJsonLines:
    def test_rows_keep_their_own_keys(self) -> None:
        objects: list[dict[str, Any]] = [{"text": "tränen", "deep": {"a": [1, None]}}, {"text": "rain", "other": 1.5}]
        lines = written(JsonLines(), (ObjectCells(objects), {"label": ["joy", None]})).decode().splitlines()
        assert [json.loads(line) for line in lines] == [
            {**objects[0], "label": "joy"},
            {**objects[1], "label": None},
        ]
        assert "tränen" in lines[0]

    def test_values_of_parquet(self) -> None:
        table = pa.table(
            {
                "x": [float("nan")],
                "b": [b"\x00\xff"],
                "c": [Decimal("1.50")],
                "d": [datetime(2026, 1, 2, 3)],
                "s": [{"k": 1}],
            }
        )
        (line,) = written(JsonLines(), (ArrowCells(table), {"label": ["joy"]})).splitlines()
        assert json.loads(line) == {
            "x": None, "b": "AP8=", "c": "1.50", "d": "2026-01-02T03:00:00", "s": {"k": 1}, "label": "joy"
        }  # fmt: skip

    def test_half_a_character_in_another_column_does_no_harm(self) -> None:
        cells = ObjectCells([{"text": "a", "x": "\ud83d"}])
        assert b"\\ud83d" in written(JsonLines(), (cells, {"label": ["joy"]}))


class TestParquet:
    def test_types_of_the_input_are_kept(self, tmp_path: Path) -> None:
        table = pa.table({"id": pa.array([1, 2], pa.int16()), "text": ["a", "b"], "tags": [["x"], []]})
        content = written(ParquetFormat(table.schema), (ArrowCells(table), ADDED))
        found = pq.read_table(io.BytesIO(content))
        assert found.select(table.column_names).equals(table)
        assert found.schema.field("probability").type == pa.float64()
        assert found.column("label").to_pylist() == ["joy", None]

    def test_a_part_without_any_label_has_the_type_of_the_others(self, tmp_path: Path) -> None:
        table = pa.table({"text": ["a", "b"]})
        form = ParquetFormat(table.schema)
        parts = []
        for number, labels in enumerate((["joy", "joy"], [None, None])):
            parts.append(tmp_path / str(number))
            parts[-1].write_bytes(written(form, (ArrowCells(table), {"label": labels})))
        parts.append(tmp_path / "none")
        parts[-1].write_bytes(b"")
        with (tmp_path / "joined").open("wb") as stream:
            form.join(parts, stream)
        assert pq.read_table(tmp_path / "joined").column("label").to_pylist() == ["joy", "joy", None, None]

    def test_a_cell_of_another_type_is_refused(self) -> None:
        form = ParquetFormat(pa.schema([("n", pa.int64())]))
        with pytest.raises(DataError, match="--format jsonl"):
            written(form, (ObjectCells([{"n": "many"}]), {"label": ["joy"]}))


def test_plain_lines() -> None:
    cells = rows(["1", "tab\tand\x1b[31m"], ["2", "rain"])
    form = Lines("text", ("label", "probability"))
    assert written(form, (cells, ADDED)).decode() == "joy\t0.7500\ttab\\tand\\x1b[31m\n\t0.5000\train\n"


def test_text_parts_joined_are_the_file(tmp_path: Path) -> None:
    form = Delimited(("id", "text"), tuple(ADDED))
    chunks = [(rows(["1", "a"], ["2", "b"]), ADDED), (rows(["3", "c"], ["4", "d"]), ADDED)]
    parts = []
    for number, (cells, added) in enumerate(chunks):
        parts.append(tmp_path / str(number))
        with parts[-1].open("wb") as stream, form.open(stream, first=number == 0) as write:
            write(cells, added)
    with (tmp_path / "joined").open("wb") as stream:
        form.join(parts, stream)
    assert (tmp_path / "joined").read_bytes() == written(form, *chunks)


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'xlsx'.*csv, tsv, jsonl, parquet, text"):
        format_of("xlsx")

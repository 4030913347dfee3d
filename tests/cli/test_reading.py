"""Every command that reads rows has all options of reading, and reads the same places."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
import typer

from emotune.cli import app
from emotune.cli.arguments import READING
from emotune.cli.run import FLAGS
from emotune.data.options import DataSource

from .conftest import Invoke

COMMANDS = ("run", "sweep", "audit", "evaluate", "predict", "drift", "export")
TEXTS = ["so kind of you", "do not go in — naïve", "what a day"]
pytestmark = pytest.mark.usefixtures("saved")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_reads_rows_has_all_options_of_reading(command: str) -> None:
    found = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    names = {name for option in found.params for name in option.opts}
    assert {f"--{name.replace('_', '-')}" for name in READING} <= names
    assert {"--text-column"} <= names


def test_their_help_is_that_of_the_settings() -> None:
    for name, annotation in READING.items():
        if name != "max_characters":  # whose help has the default
            assert annotation.__metadata__[0].help == DataSource.model_fields[name].description
        assert FLAGS[name].key == f"data.{name}"


def rows_of(result: object) -> list[str]:
    return [json.loads(line)["text"] for line in result.stdout.splitlines()]  # type: ignore[attr-defined]


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"text": TEXTS, "id": [1, 2, 3]})


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["csv", "json", "xlsx", "sqlite", "parquet", "windows"])
def test_rows_of_standard_input_in_every_format(
    invoke: Invoke, tmp_path: Path, frame: pd.DataFrame, kind: str, compressed: bool
) -> None:
    path = tmp_path / "rows"
    options = ["--text-column", "text"]
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "windows":
        frame.to_csv(path, index=False, encoding="windows-1252")
        options += ["--encoding", "windows-1252"]
    elif kind == "json":
        frame.to_json(path, orient="records")
    elif kind == "xlsx":
        with path.open("wb") as stream:
            frame.to_excel(stream, index=False, engine="openpyxl")
    elif kind == "sqlite":
        with sqlite3.connect(path) as connection:
            frame.to_sql("rows", connection, index=False)
    else:
        with path.open("wb") as stream:
            frame.to_parquet(stream)
    content = path.read_bytes()
    if compressed:
        if kind in ("xlsx", "sqlite", "parquet"):
            pytest.skip("such files are compressed inside, or not read compressed")
        content = gzip.compress(content)
    result = invoke("predict", "tuned", "-", *options, "--format", "jsonl", stdin=content)
    assert result.exit_code == 0, result.stderr
    assert rows_of(result) == TEXTS
    assert "going by its content" in result.stderr


def test_lines_of_standard_input_in_another_encoding(invoke: Invoke) -> None:
    for encoding in ("windows-1252", "utf-16"):
        content = "\n".join(TEXTS).encode(encoding)
        result = invoke("predict", "tuned", "-", "--encoding", encoding, "--format", "jsonl", stdin=content)
        assert result.exit_code == 0, result.stderr
        assert rows_of(result) == TEXTS
    result = invoke("predict", "tuned", "-", stdin="naïve".encode("latin-1"))
    assert result.exit_code == 2
    assert_said(result.stderr, "line 1", "--encoding", "--input-format")


def assert_said(text: str, *parts: str) -> None:
    assert all(part in text for part in parts), text


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "txt"])
def test_a_pattern_is_one_table_whose_places_name_the_file(invoke: Invoke, tmp_path: Path, kind: str) -> None:
    for number in (1, 2, 10):
        frame = pd.DataFrame({"text": [f"text {number}.{row}" for row in range(3)], "id": range(3)})
        if number == 10:
            frame.loc[1, "text"] = "x" * 50
        path = tmp_path / f"part-{number}.{kind}"
        if kind == "csv":
            frame.to_csv(path, index=False)
        elif kind == "jsonl":
            frame.to_json(path, orient="records", lines=True)
        elif kind == "parquet":
            frame.to_parquet(path)
        else:
            path.write_text("\n".join(frame.text) + "\n")
    pattern = str(tmp_path / f"part-*.{kind}")
    result = invoke("predict", "tuned", pattern, "--format", "jsonl")
    assert result.exit_code == 0, result.stderr
    expected = [f"text {number}.{row}" for number in (1, 2) for row in range(3)]
    assert rows_of(result)[:6] == expected
    assert_said(result.stderr, "read as one table")
    result = invoke("predict", "tuned", pattern, "--max-characters", "20")
    assert result.exit_code == 2
    place = {"csv": "line 3", "jsonl": "line 2", "parquet": "row 2", "txt": "line 2"}[kind]
    assert_said(result.stderr, f"part-10.{kind}, {place}: a text of 50 characters")


def test_a_url_is_a_place_and_not_a_text(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text\n" + "\n".join(TEXTS))
    url = (tmp_path / "rows.csv").as_uri()
    for given in ([url], ["--file", url]):
        result = invoke("predict", "tuned", *given, "--format", "jsonl")
        assert result.exit_code == 0, result.stderr
        assert rows_of(result) == TEXTS
        assert_said(result.stderr, f"Read from {url}")
    result = invoke("predict", "tuned", url, "another text")
    assert result.exit_code == 2
    assert_said(result.stderr, "names a file, and 2 arguments were given")
    result = invoke("predict", "tuned", "hf://datasets/dair-ai/emotion")
    assert result.exit_code == 2
    assert_said(result.stderr, "is a whole data set", "hf://datasets/dair-ai/emotion/")


def test_a_job_of_rows_of_standard_input_is_known_by_their_content(invoke: Invoke, tmp_path: Path) -> None:
    from emotune.data.places.texts import open_unlabelled

    (tmp_path / "a.csv").write_text("text\na\n")
    first, again = (open_unlabelled((tmp_path / "a.csv").as_uri()).identity for _ in range(2))
    assert first == again
    (tmp_path / "a.csv").write_text("text\nb\n")
    assert open_unlabelled((tmp_path / "a.csv").as_uri()).identity != first


def test_options_of_rows_with_texts_of_the_command_line_are_refused(invoke: Invoke) -> None:
    result = invoke("predict", "tuned", "a text", "--encoding", "latin-1")
    assert result.exit_code == 2
    assert_said(result.stderr, "--encoding is about the rows of a file")

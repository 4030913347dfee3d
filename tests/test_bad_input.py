"""Data that cannot be used ends a run with exit code 2, one message with what to do, and nothing written."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emotune.cli import app

from .facts import states

WORDS = {"joy": "sunny day number", "anger": "loud noise number"}
ROWS = [(f"{WORDS[label]} {i}", label) for i in range(40) for label in [("joy", "anger")[i % 2]]]


def table(path: Path, header: str, rows: Sequence[Sequence[object]]) -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def two_label_columns(folder: Path) -> list[str | Path]:
    return ["--data", table(folder / "d.csv", "text,label,sentiment", [(*row, row[1]) for row in ROWS])]


def separator_in_no_row(folder: Path) -> list[str | Path]:
    return ["--data", table(folder / "d.csv", "text,label", ROWS), "--label-separator", "|"]


def label_that_training_lacks(folder: Path) -> list[str | Path]:
    test = table(folder / "t.csv", "text,label", [*ROWS[:6], ("a new kind", "fear")])
    return ["--data", table(folder / "d.csv", "text,label", ROWS), "--test-data", test]


def label_of_several_that_training_lacks(folder: Path) -> list[str | Path]:
    several = [(text, "joy|anger" if i % 3 == 0 else label) for i, (text, label) in enumerate(ROWS)]
    test = table(folder / "t.csv", "text,label", [*several[:6], ("a new kind", "joy|fear")])
    return ["--data", table(folder / "d.csv", "text,label", several), "--test-data", test, "--label-separator", "|"]


def groups_fewer_than_folds(folder: Path) -> list[str | Path]:
    rows = [(*row, f"author {i % 3}") for i, row in enumerate(ROWS)]
    data = table(folder / "d.csv", "text,label,author", rows)
    return ["--data", data, "--group-column", "author", "--folds", "5"]


def times_that_are_none(folder: Path) -> list[str | Path]:
    data = table(folder / "d.csv", "text,label,when", [(*row, f"week {i}") for i, row in enumerate(ROWS)])
    return ["--data", data, "--time-column", "when"]


def one_hot_of_other_numbers(folder: Path) -> list[str | Path]:
    rows = [(text, i % 2, 3 if i == 7 else 0) for i, (text, _) in enumerate(ROWS)]
    return ["--data", table(folder / "d.csv", "text,joy,anger", rows), "--label-columns", "joy,anger"]


def pair_with_a_blank_side(folder: Path) -> list[str | Path]:
    rows = [(text, " " if i == 4 else "a second text", label) for i, (text, label) in enumerate(ROWS)]
    data = table(folder / "d.csv", "premise,hypothesis,label", rows)
    return ["--data", data, "--text-column", "premise", "--text-pair-column", "hypothesis"]


def archive_with_two_tables(folder: Path) -> list[str | Path]:
    content = table(folder / "d.csv", "text,label", ROWS).read_text(encoding="utf-8")
    with zipfile.ZipFile(folder / "d.zip", "w") as archive:
        archive.writestr("first.csv", content)
        archive.writestr("second.csv", content)
    return ["--data", folder / "d.zip"]


def merged_cells(folder: Path) -> list[str | Path]:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [("text", "label"), *ROWS]:
        book.active.append(row)
    book.active.merge_cells("B3:B5")
    book.save(folder / "d.xlsx")
    return ["--data", folder / "d.xlsx"]


CASES: list[tuple[Callable[[Path], list[str | Path]], tuple[str, ...]]] = [
    (two_label_columns, ("'label', 'sentiment'", "--label-column NAME")),
    (separator_in_no_row, ("d.csv", "'|'", "in no row")),
    (label_that_training_lacks, ("t.csv", "the training rows lack: 'fear' (1 row)", "'anger', 'joy'")),
    (label_of_several_that_training_lacks, ("t.csv", "the training rows lack: 'fear' (1 row)", "'anger', 'joy'")),
    (groups_fewer_than_folds, ("3 groups by 'author'", "too few for 5 folds", "--folds 5")),
    (times_that_are_none, ("d.csv, line 2", "'week 0'", "ISO date", "--time-column")),
    (one_hot_of_other_numbers, ("d.csv, line 9", "'anger'", "'3'", "0", "1")),
    (pair_with_a_blank_side, ("d.csv", "second text is empty or blank", "line 6", "--on-error skip")),
    (archive_with_two_tables, ("d.zip", "first.csv", "second.csv", "Unpack it")),
    (merged_cells, ("d.xlsx", "B3:B5", "nmerge")),
]


@pytest.mark.parametrize(("case", "parts"), CASES, ids=[case.__name__ for case, _ in CASES])
def test_is_refused_before_anything_is_written(
    tmp_path: Path, case: Callable[..., list[str | Path]], parts: tuple[str]
) -> None:
    refused(tmp_path, case(tmp_path), *parts)


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a server that answers with a page, as one that asks to log in does."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = b"<!doctype html><title>Log in</title><p>Who are you?"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/rows.csv"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_url_that_answers_with_a_page(tmp_path: Path, page: str) -> None:
    refused(tmp_path, ["--data", page], page, "web page (HTML)", "'Log in'", "raw or download")


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_windows_over_pairs_before_the_splits_are_shown(tmp_path: Path, command: str) -> None:
    rows = [(text, "a second text", label) for text, label in ROWS]
    data = table(tmp_path / "d.csv", "premise,hypothesis,label", rows)
    words = [
        "--data",
        str(data),
        "--long-texts",
        "windows",
        "--model",
        str(tmp_path),
        "--output",
        str(tmp_path / "out"),
    ]
    if command == "sweep":
        words[words.index("--model")] = "--models"
    result = CliRunner().invoke(app, [command, *words])
    assert result.exit_code == 2
    assert states(result.stderr, "pairs of texts, and windows are for single texts", "--max-length"), result.stderr
    assert "test" not in result.output.replace(str(tmp_path), ""), result.output
    assert not (tmp_path / "out").exists()


def refused(folder: Path, options: Sequence[str | Path], *parts: str) -> None:
    before = sorted(folder.rglob("*"))
    words = ["run", *options, "--model", "bundled:minilm", "--output", folder / "out"]
    result = CliRunner().invoke(app, [*map(str, words)])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    assert states(result.stderr, *parts), result.stderr
    assert len(result.stderr.splitlines()) <= 5, result.stderr
    assert sorted(folder.rglob("*")) == before

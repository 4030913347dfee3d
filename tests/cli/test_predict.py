"""`emotune predict`: where texts come from, how labels are written, and what is refused before the model is loaded."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from emotune.models.classifier import Classifier
from emotune.system.errors import DataError

from ..facts import states
from .conftest import Invoke

pytestmark = pytest.mark.usefixtures("saved")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "texts.csv"
    path.write_text('message,author\n"a happy day",x\n"rain, again",y\n', encoding="utf-8")
    return path


class TestPlainOutput:
    def test_texts_from_arguments(self, invoke: Invoke) -> None:
        result = invoke("predict", "tuned", "a happy day", "rain")
        assert result.exit_code == 0, result.stderr
        assert result.stdout == "joy\t0.7500\ta happy day\nsadness\t0.7500\train\n"

    def test_texts_from_standard_input(self, invoke: Invoke) -> None:
        result = invoke("predict", "tuned", stdin="\ufeffa happy day\r\nrain\x0b\n")
        assert result.stdout == "joy\t0.7500\ta happy day\nsadness\t0.7500\train\\x0b\n"

    def test_last_line_may_lack_its_end(self, invoke: Invoke) -> None:
        assert invoke("predict", "tuned", stdin="one\ntwo").stdout.count("\n") == 2

    @pytest.mark.parametrize("arguments", [[], ["--file"]])
    def test_texts_from_a_file(self, invoke: Invoke, file: Path, arguments: list[str]) -> None:
        result = invoke("predict", "tuned", *arguments, file, "--text-column", "message", "--format", "text")
        assert result.stdout == "joy\t0.7500\ta happy day\nsadness\t0.7500\train, again\n"

    def test_one_text_is_one_line(self, invoke: Invoke) -> None:
        assert invoke("predict", "tuned", "a\tb\nc\x1b[31m").stdout == "sadness\t0.7500\ta\\tb\\nc\\x1b[31m\n"

    def test_cut_texts_are_reported_beside_the_labels(self, invoke: Invoke) -> None:
        result = invoke("predict", "tuned", "x" * 101, "short")
        assert result.stdout.count("\n") == 2
        assert result.stderr == "Cut to the model's 16 tokens: 1 text of 2.\n"


def test_json_lines(invoke: Invoke) -> None:
    result = invoke("predict", "tuned", "--json", 'a "happy"\nday', "tränen")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines == [
        {
            "text": 'a "happy"\nday',
            "label": "joy",
            "probability": 0.75,
            "probabilities": {"sadness": 0.25, "joy": 0.75},
        },
        {"text": "tränen", "label": "sadness", "probability": 0.75, "probabilities": {"sadness": 0.75, "joy": 0.25}},
    ]
    assert "tränen" in result.stdout


def test_unsure_texts_get_no_label(invoke: Invoke) -> None:
    result = invoke("predict", "tuned", "--least-probability", "0.8", "a happy day", "rain")
    assert result.stdout == "\t0.7500\ta happy day\n\t0.7500\train\n"
    assert result.stderr == "No label, being less probable than 0.8: 2 texts of 2.\n"
    result = invoke("predict", "tuned", "--least-probability", "0.75", "--json", "a happy day")
    assert json.loads(result.stdout)["label"] == "joy"
    result = invoke("predict", "tuned", "--least-probability", "0.8", "--json", "a happy day")
    assert json.loads(result.stdout)["label"] is None


def test_device(invoke: Invoke, saved: Classifier) -> None:
    assert invoke("predict", "tuned", "text", "--device", "mps").exit_code == 0
    assert str(saved.model.device) == "mps"


class TestFiles:
    """Rows keep their columns, in the format of the input or of the output's suffix."""

    def test_csv(self, invoke: Invoke, file: Path) -> None:
        result = invoke("predict", "tuned", file, "--text-column", "message")
        assert list(csv.reader(io.StringIO(result.stdout))) == [
            ["message", "author", "label", "probability"],
            ["a happy day", "x", "joy", "0.750000"],
            ["rain, again", "y", "sadness", "0.750000"],
        ]

    @pytest.mark.parametrize(
        ("name", "read"),
        [
            ("o.csv", pd.read_csv),
            ("o.csv.gz", pd.read_csv),
            ("o.tsv", lambda path: pd.read_csv(path, sep="\t")),
            ("o.parquet", pd.read_parquet),
            ("o.jsonl.xz", lambda path: pd.read_json(path, lines=True)),
        ],
    )
    def test_pandas_reads_what_the_suffix_says(
        self, invoke: Invoke, file: Path, tmp_path: Path, name: str, read: object
    ) -> None:
        result = invoke("predict", "tuned", file, "--text-column", "message", "-o", tmp_path / name)
        assert (result.exit_code, result.stdout) == (0, ""), result.stderr
        frame = read(tmp_path / name)  # type: ignore[operator]
        assert list(frame.columns) == ["message", "author", "label", "probability"]
        assert list(frame.message) == ["a happy day", "rain, again"]
        assert list(frame.label) == ["joy", "sadness"]
        assert list(frame.probability) == [0.75, 0.75]
        assert {path.name for path in tmp_path.iterdir()} == {name, file.name}

    def test_all_probabilities(self, invoke: Invoke, file: Path) -> None:
        result = invoke("predict", "tuned", file, "--text-column", "message", "--probabilities", "--top-k", "2")
        (first, *_) = csv.DictReader(io.StringIO(result.stdout))
        assert (first["label_2"], first["probability_2"]) == ("sadness", "0.250000")
        assert (first["p_sadness"], first["p_joy"]) == ("0.250000", "0.750000")

    def test_all_labels_there_are_and_no_more(self, invoke: Invoke) -> None:
        result = invoke("predict", "tuned", "--json", "--top-k", "2", "a happy day")
        assert json.loads(result.stdout)["top"] == [
            {"label": "joy", "probability": 0.75},
            {"label": "sadness", "probability": 0.25},
        ]
        result = invoke("predict", "tuned", "--json", "--top-k", "9", "a happy day")
        assert (result.exit_code, result.stdout) == (2, "")
        assert states(result.stderr, "--top-k is 9, and the model has 2 labels: 'sadness', 'joy'")

    def test_own_columns_of_the_same_name_are_kept(self, invoke: Invoke, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text("text,label\na happy day,old\n", encoding="utf-8")
        result = invoke("predict", "tuned", tmp_path / "d.csv")
        assert result.stdout == "text,label,predicted_label,predicted_probability\na happy day,old,joy,0.750000\n"
        assert states(result.stderr, "predicted_label", "predicted_probability")
        (tmp_path / "d.csv").write_text("text,label,predicted_label\na,b,c\n", encoding="utf-8")
        result = invoke("predict", "tuned", tmp_path / "d.csv")
        assert (result.exit_code, result.stdout) == (2, "")
        assert states(result.stderr, "'predicted_label'", "Rename")

    def test_rows_of_standard_input(self, invoke: Invoke) -> None:
        result = invoke("predict", "tuned", "-", "--input-format", "csv", stdin="id,text\n7,a happy day\n")
        assert result.stdout == "id,text,label,probability\n7,a happy day,joy,0.750000\n"

    def test_formulas(self, invoke: Invoke, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text("id,text\n-1,=a happy day\n", encoding="utf-8")
        assert "-1,'=a happy day," in invoke("predict", "tuned", tmp_path / "d.csv").stdout
        assert "-1,=a happy day," in invoke("predict", "tuned", tmp_path / "d.csv", "--keep-formulas").stdout

    def test_the_format_and_the_suffix_must_agree(self, invoke: Invoke, file: Path, tmp_path: Path) -> None:
        for arguments, seen in (
            (["-o", tmp_path / "o.csv", "--format", "parquet"], "names the format csv, and --format is parquet"),
            (["-o", tmp_path / "o.xlsx"], "no format has the suffix '.xlsx'"),
            (["-o", tmp_path / "o.parquet.gz"], "Parquet is compressed inside"),
            (["--format", "xml"], "There is no format 'xml'"),
        ):
            result = invoke("predict", "tuned", file, "--text-column", "message", *arguments)
            assert (result.exit_code, result.stdout) == (2, "")
            assert seen in result.stderr
        assert list(tmp_path.iterdir()) == [file]


class TestRowsLeftOut:
    @pytest.fixture
    def messy(self, tmp_path: Path) -> Path:
        path = tmp_path / "d.csv"
        path.write_text('id,text\n1,a happy day\n2,\n3,x,y\n4,"rain"\n', encoding="utf-8")
        return path

    def test_stop_before_the_model_is_loaded(
        self, invoke: Invoke, messy: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("emotune.folder.load.load", lambda *_, **__: pytest.fail("the model was loaded"))
        result = invoke("predict", "tuned", messy)
        assert (result.exit_code, result.stdout) == (2, "")
        assert states(result.stderr, "line 4: 3 fields", "--on-error skip")

    def test_are_listed_beside_the_output(self, invoke: Invoke, messy: Path, tmp_path: Path) -> None:
        target = tmp_path / "o.csv"
        result = invoke("predict", "tuned", messy, "-o", target, "--on-error", "skip")
        assert result.exit_code == 0, result.stderr
        assert list(pd.read_csv(target).id) == [1, 4]
        listed = pd.read_csv(tmp_path / "o.csv.skipped.csv")
        assert list(listed.line) == [3, 4]
        assert listed.reason[0] == "the text is empty or blank"
        assert listed.reason[1].startswith("3 fields, but the header has 2.")
        assert states(result.stderr, "Skipped: 2 rows", "o.csv.skipped.csv")

    def test_an_old_list_goes(self, invoke: Invoke, file: Path, tmp_path: Path) -> None:
        (tmp_path / "o.csv.skipped.csv").write_text("of the last time", encoding="utf-8")
        invoke("predict", "tuned", file, "--text-column", "message", "-o", tmp_path / "o.csv")
        assert not (tmp_path / "o.csv.skipped.csv").exists()

    def test_are_counted_on_standard_output(self, invoke: Invoke, messy: Path) -> None:
        result = invoke("predict", "tuned", messy, "--on-error", "skip")
        assert result.stdout.count("\n") == 3
        assert states(result.stderr, "Skipped: 2 rows", "lines 3, 4")

    def test_another_word_is_refused(self, invoke: Invoke, messy: Path) -> None:
        assert (
            "--on-error is 'ignore'; expected stop or skip"
            in invoke("predict", "tuned", messy, "--on-error", "ignore").stderr
        )


class TestOutputFile:
    def test_is_written_instead_of_standard_output(self, invoke: Invoke, tmp_path: Path) -> None:
        target = tmp_path / "labels.txt"
        result = invoke("predict", "tuned", "a happy day", "--output", target)
        assert (result.exit_code, result.stdout) == (0, "")
        assert target.read_text(encoding="utf-8") == "joy\t0.7500\ta happy day\n"
        assert list(tmp_path.iterdir()) == [target]

    def test_is_not_replaced_unasked(self, invoke: Invoke, tmp_path: Path) -> None:
        target = tmp_path / "labels.txt"
        target.write_text("precious", encoding="utf-8")
        result = invoke("predict", "tuned", "text", "--output", target)
        assert result.exit_code == 2
        assert "--overwrite" in result.stderr
        assert target.read_text(encoding="utf-8") == "precious"
        assert invoke("predict", "tuned", "text", "--output", target, "--overwrite").exit_code == 0
        assert target.read_text(encoding="utf-8") == "sadness\t0.7500\ttext\n"

    def test_stays_as_it_was_when_the_job_fails(
        self, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise DataError("no")

        monkeypatch.setattr("emotune.inference.predictor.Predictor", fail)
        target = tmp_path / "labels.txt"
        target.write_text("precious", encoding="utf-8")
        assert invoke("predict", "tuned", "text", "--output", target, "--overwrite").exit_code == 2
        assert target.read_text(encoding="utf-8") == "precious"
        assert list(tmp_path.iterdir()) == [target]

    def test_must_be_a_file_in_a_folder_that_exists(self, invoke: Invoke, tmp_path: Path) -> None:
        for target in (tmp_path, tmp_path / "missing" / "labels.txt"):
            result = invoke("predict", "tuned", "text", "--output", target, "--overwrite")
            assert result.exit_code == 2
            assert result.stderr.startswith("--output ")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "2", "1.01", "most", ""])
def test_a_least_probability_that_is_none_is_refused(invoke: Invoke, value: str) -> None:
    result = invoke("predict", "tuned", "text", "--least-probability", value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"--least-probability is '{value}'; expected a number from 0 to 1, such as 0.8.\n"


@pytest.mark.parametrize("value", ["0", "1", "1e-3"])
def test_a_least_probability_may_be_anything_from_0_to_1(invoke: Invoke, value: str) -> None:
    assert invoke("predict", "tuned", "text", "--least-probability", value).exit_code == 0


class TestRefusals:
    @pytest.fixture(autouse=True)
    def _no_loading(self, saved: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
        def load(*_: object, **__: object) -> None:
            raise AssertionError("the model was loaded before the input was checked")

        monkeypatch.setattr("emotune.folder.load.load", load)

    @pytest.mark.parametrize(
        ("arguments", "stdin", "expected"),
        [
            (["text", "--file", "texts.csv"], None, "both as arguments and with --file"),
            (["text", "--text-column", "x"], None, "--text-column is about the rows of a file"),
            (["text", "--max-characters", "9"], None, "--max-characters is about the rows of a file"),
            (["text", "--overwrite"], None, "--overwrite was given without --output"),
            (["--file", "missing.csv"], None, "missing.csv"),
            ([], b"", "Standard input is empty"),
            ([], b"fine\n\xe9t\xe9\n", "Standard input, line 2: not UTF-8"),
            ([], b"\n \n", "Standard input has nothing but blank lines"),
            (["text", "--resume"], None, "--resume was given without --output"),
            (["text", "--input-format", "csv"], None, "--input-format is about standard input"),
            (["-", "-o", "o.txt", "--resume"], b"fine\n", "can be read only once"),
            (["--json", "--format", "csv", "text"], None, "--json is short for --format jsonl"),
            (["text", "  "], None, "blank in 1 row: row 2"),
            (["fine", "\udce9t\udce9"], None, "Text 2 of the command line is not UTF-8"),
        ],
    )
    def test_of_input(self, invoke: Invoke, arguments: list[str], stdin: bytes | None, expected: str) -> None:
        result = invoke("predict", "tuned", *arguments, stdin=stdin)
        assert result.exit_code == 2, result.exception
        assert expected in result.stderr
        assert result.stdout == ""

    @pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
    def test_of_a_terminal_that_would_wait_for_ever(self, tiny_saved: Path) -> None:
        controller, terminal = os.openpty()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "emotune", "predict", tiny_saved], stdin=terminal, capture_output=True, text=True
            )
        finally:
            os.close(controller)
            os.close(terminal)
        assert done.returncode == 2
        assert done.stderr.startswith("There is no text to label.")


class TestBlankLines:
    def test_of_standard_input_are_skipped_and_counted(self, invoke: Invoke) -> None:
        result = invoke("predict", "tuned", stdin="a happy day\n\nrain\n \n")
        assert result.exit_code == 0, result.stderr
        assert result.stdout == "joy\t0.7500\ta happy day\nsadness\t0.7500\train\n"
        assert result.stderr == "Skipped: 2 blank lines (lines 2, 4).\n"

    def test_of_a_file_are_skipped_and_counted_once(self, invoke: Invoke, tmp_path: Path) -> None:
        (tmp_path / "d.txt").write_text("\na happy day\n" + "\n" * 20, encoding="utf-8")
        result = invoke("predict", "tuned", "--file", tmp_path / "d.txt")
        assert result.stdout == "joy\t0.7500\ta happy day\n"
        assert result.stderr == "Skipped: 21 blank lines (lines 1, 3, 4, 5, 6, 7, 8, 9 and 13 more).\n"

    def test_objects_have_the_numbers_of_their_lines(self, invoke: Invoke) -> None:
        result = invoke("predict", "tuned", "--json", stdin="\na happy day\n\nrain\n")
        assert [json.loads(line)["line"] for line in result.stdout.splitlines()] == [2, 4]

    def test_a_blank_cell_beside_others_is_a_mistake(self, invoke: Invoke, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text("id,text\n1,a\n2,\n", encoding="utf-8")
        result = invoke("predict", "tuned", "--file", tmp_path / "d.csv")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "blank in 1 row: line 3" in result.stderr

    def test_blank_cells_are_counted_and_all_named(self, invoke: Invoke, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text("id,text\n1,a\n2,\n3,b\n4, \n", encoding="utf-8")
        result = invoke("predict", "tuned", "--file", tmp_path / "d.csv")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "blank in 2 rows: lines 3, 5" in result.stderr


class TestColumns:
    @pytest.mark.parametrize(
        ("header", "note"),
        [
            ("id,title,text,n", "Texts from column 'text'.\n"),
            ("id,text", ""),
            ("text", ""),
        ],
    )
    def test_the_one_of_texts_is_named_where_others_could_be_meant(
        self, invoke: Invoke, tmp_path: Path, header: str, note: str
    ) -> None:
        (tmp_path / "d.csv").write_text(f"{header}\n{','.join(header.split(','))} 1\n", encoding="utf-8")
        result = invoke("predict", "tuned", "--file", tmp_path / "d.csv")
        assert (result.exit_code, result.stderr) == (0, note)


class TestCommandsThatAreAdvised:
    """Cut short, they would not run."""

    def test_hold_the_whole_text(self, invoke: Invoke) -> None:
        text = "-1 stars, " + "would not buy again, " * 9
        assert f"emotune predict tuned -- '{text}'\n" in invoke("predict", "tuned", text).stderr


class TestNamesOfFiles:
    @pytest.mark.parametrize("name", ["messages.csv", "notes", "Data.TXT"])
    def test_a_file_is_no_text(
        self, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / name).write_text("text\na happy day\n", encoding="utf-8")
        result = invoke("predict", "tuned", "fine", name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert states(result.stderr, f"'{name}' names a file", "one file at a time")

    def test_of_a_folder_rather_than_a_label_of_its_name(self, invoke: Invoke, tmp_path: Path) -> None:
        result = invoke("predict", "tuned", str(tmp_path))
        assert result.exit_code == 2
        assert states(result.stderr, f"{tmp_path}' is a folder", "--engine ray", "standard input")

    def test_nor_is_what_can_only_be_one(self, invoke: Invoke) -> None:
        result = invoke("predict", "tuned", "some/where/messages.parquet")
        assert (result.exit_code, result.stdout) == (2, "")
        assert states(result.stderr, "No such file", "some/where/messages.parquet")

    @pytest.mark.parametrize("text", ["see messages.csv", "ok.", "tests", "x" * 5000, "so.txt happy"])
    def test_texts_are_texts(self, invoke: Invoke, text: str) -> None:
        assert invoke("predict", "tuned", text).exit_code == 0


@pytest.mark.parametrize("text", ["-1 stars, would not buy again", "--help me, I am so sad", "-", "--json is happy"])
def test_a_text_that_begins_with_a_hyphen(invoke: Invoke, text: str) -> None:
    result = invoke("predict", "tuned", text)
    if text != "-":
        assert (result.exit_code, result.stdout) == (2, "")
        assert (
            f"A text that begins with - goes after --, which ends the options:\n  emotune predict tuned -- '{text}'"
            in result.stderr
        )
        assert invoke("predict", "tuned", "--", text).exit_code == 0


def test_a_misspelt_option_is_still_one(invoke: Invoke) -> None:
    said = invoke("predict", "tuned", "fine", "--jsn").stderr.splitlines()[0]
    assert states(said, "--jsn", "--json")


def test_how_quotes_are_read_is_said(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text('text\tn\n"so ""happy"""\t1\n', encoding="utf-8")
    result = invoke("predict", "tuned", tmp_path / "d.tsv", "--format", "text")
    assert result.stdout == 'joy\t0.7500\tso "happy"\n'
    assert result.stderr.startswith("d.tsv: quotes are read as quoting")


def test_a_file_is_checked_whole_before_the_model_is_loaded(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotune.folder.load.load", lambda *_, **__: pytest.fail("the model was loaded"))
    file = tmp_path / "texts.csv"
    file.write_text("text\n" + "fine\n" * 5000 + '" "\n', encoding="utf-8")
    result = invoke("predict", "tuned", "--file", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "line 5002" in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGPIPE")
def test_a_reader_that_leaves_early_ends_the_command_quietly() -> None:
    code = (
        "import numpy as np, emotune.folder.facts, emotune.folder.load, emotune.cli, emotune.inference.predictor as inference\n"
        "from types import SimpleNamespace\n"
        "import emotune.system.precision as precision\n"
        "precision.choose_device = lambda asked: asked\n"
        "model = SimpleNamespace(to=lambda device: None)\n"
        "from emotune.tasks.single_label import SINGLE_LABEL\n"
        "facts = SimpleNamespace(task=SINGLE_LABEL, labels=('joy',), max_length=16, notes=(), description=None)\n"
        "emotune.folder.facts.facts_of = lambda folder, base: facts\n"
        "emotune.folder.load.load = lambda folder, base: SimpleNamespace(model=model)\n"
        "class Predictor:\n"
        "    def __init__(self, classifier, **_):\n"
        "        pass\n"
        "    def predict_each(self, lists, **_):\n"
        "        for texts in lists:\n"
        "            yield inference.Predictions(texts, ('joy',) * len(texts), np.ones((len(texts), 1)), ('joy',), 0)\n"
        "inference.Predictor = Predictor\n"
        "emotune.cli.main()"
    )
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, "predict", "tuned"],
            input="some text\n" * 20_000,
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")

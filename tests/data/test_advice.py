"""The advice of messages about data, followed to the letter, makes the data readable."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emotune.data.audit import audit_source
from emotune.data.options import DataSource
from emotune.system.errors import DataError

ROWS = [(f"message {i}", "joy" if i % 3 else "anger") for i in range(12)]


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        audit_source(path, label_errors=False)
    return str(caught.value)


def check(source: Path | DataSource) -> None:
    found = audit_source(source, label_errors=False)
    assert [(row.text, row.label) for row in found.rows if row.place.split == "train"] == ROWS


def lines(separator: str, end: str = "") -> str:
    return "".join(f"{text}{separator}{label}{end}\n" for text, label in [("text", "label"), *ROWS])


@pytest.mark.parametrize(
    ("name", "separator", "better"),
    [("d.tsv", ",", ".csv"), ("d.tsv", ";", ".csv"), ("d.txt", "\t", ".tsv"), ("d.txt", ",", ".csv")],
)
def test_another_suffix(tmp_path: Path, name: str, separator: str, better: str) -> None:
    path = tmp_path / name
    path.write_text(lines(separator), encoding="utf-8")
    assert f"name the file {better}" in refusal(path)
    check(path.rename(path.with_suffix(better)))


@pytest.mark.parametrize(
    ("name", "content", "said", "mend"),
    [
        ("d.csv", "sep=;\n" + lines(";"), "Remove that line", lambda text: text.partition("\n")[2]),
        (
            "d.csv",
            lines(",", ",,").replace("label,,", "label"),
            "add as many to the header",
            lambda text: text.replace("label", "label,,", 1),
        ),
        ("d.txt", lines(";", ";"), "Remove the semicolon at the end", lambda text: text.replace(";\n", "\n")),
        (
            "d.txt",
            lines(";", ";").replace("label;", "label"),
            "Remove the semicolon at the end",
            lambda text: text.replace(";\n", "\n"),
        ),
        (
            "d.csv",
            lines(",").partition("\n")[2],
            "put a line with the column names above it: 'text,label'",
            lambda text: "text,label\n" + text,
        ),
        ("d.txt", lines(";").partition("\n")[2], "above it: 'text;label'", lambda text: "text;label\n" + text),
    ],
)
def test_a_line_changed(tmp_path: Path, name: str, content: str, said: str, mend: Callable[[str], str]) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert said in refusal(path)
    path.write_text(mend(content), encoding="utf-8")
    check(path)


def test_the_command_for_json_by_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    columns = {name: {str(i): row[place] for i, row in enumerate(ROWS)} for place, name in enumerate(("text", "label"))}
    Path("d.json").write_text(json.dumps(columns), encoding="utf-8")
    command = refusal(Path("d.json")).splitlines()[1]
    subprocess.run(command.replace("python3", sys.executable, 1), shell=True, check=True)
    check(Path("d-lines.jsonl"))


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize(
    "value",
    [
        [{"text": text, "label": label} for text, label in ROWS],
        {"version": "1", "data": [{"text": text, "label": label} for text, label in ROWS]},
        {"train": [list(row) for row in ROWS]},
    ],
)
def test_the_command_for_other_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.json").write_text(json.dumps(value, indent=1), encoding="utf-8")
    found = re.search(r"jq .*$", refusal(Path("d.json")))
    assert found is not None
    subprocess.run(found[0], shell=True, check=True)
    check(Path("d-lines.jsonl"))


def test_the_options_for_other_names(tmp_path: Path) -> None:
    """Two names of training files could be meant; what is advised reads."""
    for part in ("my_train", "my_validation", "test_of_may"):
        (tmp_path / f"{part}.csv").write_text(lines(","), encoding="utf-8")
    train, validation, test = re.findall(r"\S+\.csv(?=[ .])", refusal(tmp_path).partition("or give")[2])
    check(DataSource(source=Path(train), validation=Path(validation), test=Path(test)))


def test_the_pattern_for_parts_of_one_table(tmp_path: Path) -> None:
    for part in ("one", "two"):
        (tmp_path / f"{part}.csv").write_text(lines(","), encoding="utf-8")
    found = re.search(r"or ('.*\*\.csv') if", refusal(tmp_path))
    assert found is not None
    assert found[1] == f"'{tmp_path}/*.csv'"

"""The advice of messages about data, followed to the letter, makes the data readable."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from emotune.data.auditing.audit import audit_source
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


@pytest.mark.parametrize(("name", "separator"), [("d.csv", ","), ("d.txt", ";"), ("d.tsv", "\t"), ("d.csv", "|")])
def test_names_for_columns_without_a_header(tmp_path: Path, name: str, separator: str) -> None:
    path = tmp_path / name
    path.write_text(lines(separator).partition("\n")[2], encoding="utf-8")
    found = re.search(r"name all columns in their order: --columns (\S+)$", refusal(path))
    assert found is not None
    check(DataSource(source=path, columns=found[1].split(",")))


def test_a_separator_that_is_not_found(tmp_path: Path) -> None:
    """Rows with commas in their texts do not show that the header has another separator."""
    path = tmp_path / "d.txt"
    rows = [(f"a, b{',' * (i % 3)} {i}", label) for i, (_, label) in enumerate(ROWS)]
    path.write_text("".join(f"{a}|{b}\n" for a, b in [("body", "mood"), *rows]), encoding="utf-8")
    found = re.search(r"add --delimiter '(.)'", refusal(path))
    assert found is not None
    read = audit_source(
        DataSource(source=path, delimiter=found[1], text_column="body", label_column="mood"), label_errors=False
    )
    assert [row.text for row in read.rows] == [text for text, _ in rows]


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16-le"])
def test_the_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(lines(",").replace("message", "caf\u00e9").encode(encoding))
    found = re.search(r"--encoding ([\w-]+)", refusal(path))
    assert found is not None
    read = audit_source(DataSource(source=path, encoding=found[1]), label_errors=False)
    assert read.rows[0].text == "caf\u00e9 0"


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_command_for_an_array_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("emotune.data.formats.whole_json.LARGEST", 99)
    Path("my d.json").write_text(json.dumps([{"text": text, "label": label} for text, label in ROWS], indent=1))
    found = re.search(r"jq .*$", refusal(Path("my d.json")))
    assert found is not None
    subprocess.run(found[0], shell=True, check=True)
    check(Path("my d-lines.jsonl"))


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

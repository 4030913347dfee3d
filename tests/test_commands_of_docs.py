"""The commands in the README and the documents can be run one after the other: they parse, and none meets another's output."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from emotune.cli import app
from emotune.cli.console import command_name
from emotune.data.places.sources import SAMPLE_FOLDER
from emotune.settings.run import RunConfig

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    "README.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")) if path.stem.islower()),
]
# What each command writes where no option says otherwise.
WRITES = {
    "run": ("--output", RunConfig().output.folder),
    "sweep": ("--output", "sweep"),
    "compare": ("--output", "emotune_comparison.html"),
}
# The commands whose arguments are folders that a run has written.
READS = ("predict", "evaluate", "verify", "reproduce", "compare", "drift")


@dataclass(frozen=True)
class Command:
    """A command of a document: its words behind "emotune", and the file that its output goes to."""

    document: str
    words: list[str]
    target: str | None


def commands(document: str) -> Iterator[Command]:
    """The commands of emotune in a document's fenced blocks, in order."""
    language: str | None = None
    for line in (ROOT / document).read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            language = line[3:] if language is None else None
        elif language in ("", "sh", "bash", "console"):
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words[:1] == ["emotune"]:
                end = words.index(">") if ">" in words else len(words)
                yield Command(document, words[1:end], words[end + 1] if end < len(words) else None)


COMMANDS = [command for document in DOCUMENTS for command in commands(document)]


def parsed(words: list[str]) -> dict[str, Any]:
    """The values that a command line gives; an option that does not exist ends the test."""
    group: Any = get_command(app)
    # No document's command may ask the Hub: what was pushed there counts as a folder of that name.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emotune.folder.place._fetched", lambda name, revision: Path(name))
        return _values(group, words)


def _values(group: Any, words: list[str]) -> dict[str, Any]:
    return dict(group.commands[words[0]].make_context(words[0], words[1:]).params)


def output(command: Command) -> Iterator[str]:
    """What a command writes."""
    name, *rest = command.words
    if command.target:
        yield command.target
    if name in WRITES and not {"--dry-run", "--show-config"} & set(rest):
        option, usual = WRITES[name]
        yield rest[rest.index(option) + 1] if option in rest else usual
    if name in ("evaluate", "export") and "--output" in rest:
        yield rest[rest.index("--output") + 1]
    if name == "push":
        yield rest[1]
    if "--write-clean" in rest:
        yield rest[rest.index("--write-clean") + 1]


def test_there_are_commands_of_every_kind() -> None:
    assert {command.words[0] for command in COMMANDS} >= {
        "run",
        "audit",
        "compare",
        "sweep",
        "predict",
        "evaluate",
        "verify",
    }


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words)[:60])
def test_each_parses(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text("[training]\nepochs = 3\n", encoding="utf-8")
    parsed(command.words)
    if command.words[0] == "run" and "--from-folder" not in command.words:
        shown = CliRunner().invoke(app, [*command.words, "--show-config"])
        assert shown.exit_code == 0, shown.stderr


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_in_running_text_parse(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for span in re.findall(r"(?<!`)`emotune ([^`]+)`(?!`)", " ".join(text.split())):
        words = shlex.split(span)
        if words[0] in ("run", "sweep", "audit", "presets") or len(words) > 1:
            parsed(words)


def test_no_two_write_the_same() -> None:
    written: dict[str, Command] = {}
    for command in COMMANDS:
        for place in output(command):
            earlier = written.setdefault(place, command)
            assert earlier is command or {"--overwrite", "--resume"} & set(command.words), (earlier, command)


@pytest.mark.slow
def test_what_is_read_was_written_before() -> None:
    written = {"fine_tuned_lora_model"}  # by make run, the first command of the README
    for command in COMMANDS:
        if command.words[0] in READS:
            values = parsed(command.words)
            # A file to compare may come from another program.
            folders = [folder for folder in values.get("folders") or [values["folder"]] if not folder.suffix]
            assert {str(folder) for folder in folders} <= written, command
        if "--from-folder" in command.words:
            assert command.words[command.words.index("--from-folder") + 1] in written, command
        written |= set(output(command))


def test_audits_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAMPLE_FOLDER, tmp_path / "folder_with_train_validation_test")
    shutil.copy(SAMPLE_FOLDER / "test.csv", tmp_path / "reviews.csv")
    write_own_files(tmp_path)
    moods = ((f"comment {number},{number % 2},{number % 3 % 2},{number % 5 % 2}") for number in range(30))
    (tmp_path / "comments.csv").write_text("\n".join(["text,anger,fear,joy", *moods]), encoding="utf-8")
    ran = 0
    for command in COMMANDS:
        if command.words[0] in ("audit", "presets") and "--model" not in command.words:
            done = CliRunner().invoke(
                app, [*command.words, *(["--no-label-errors"] if command.words[0] == "audit" else [])]
            )
            assert done.exit_code == 0, done.stderr
            ran += 1
    assert ran >= 4


def write_own_files(folder: Path) -> None:
    """Write the folders of docs/own-files.md, small."""
    with (SAMPLE_FOLDER / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def write(name: str, part: list[dict[str, str]], text: str = "text", label: str = "label") -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([[text, label][: 1 + bool(label)]])
            csv.writer(file).writerows([row["text"], row["label"]][: 1 + bool(label)] for row in part)

    for name, part in (("train-0", rows[:60]), ("train-1", rows[60:120]), ("test", rows[120:])):
        write(f"shards/{name}.csv", part)
    write("kaggle/train.csv", rows, "Tweet Text", "Sentiment")
    write("kaggle/test.csv", rows, "Tweet Text", "")
    for number, row in enumerate(rows):
        path = folder / "moods" / row["label"] / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["text"], encoding="utf-8")
    write_other_kinds(folder, [(row["text"].replace(";", ","), row["label"]) for row in rows])


class TestTheCommandThatIsPrinted:
    """`make run` calls .venv/bin/emotune, which is not on the path; what is printed must run as it is."""

    def test_is_as_it_was_called(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", [".venv/bin/emotune", "run"])
        assert command_name() == ".venv/bin/emotune"

    def test_is_short_on_the_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = tmp_path / "emotune"
        script.write_text("#!/bin/sh\n", encoding="utf-8")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(sys, "argv", [str(script)])
        assert command_name() == "emotune"
        monkeypatch.setenv("PATH", "")
        assert command_name() == str(script)

    def test_is_a_module_where_it_was_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", ["/somewhere/emotune/__main__.py", "run"])
        assert command_name() == f"{shlex.quote(sys.executable)} -m emotune"

    def test_is_the_name_inside_another_program(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest"])
        assert command_name() == "emotune"


def write_other_kinds(folder: Path, rows: list[tuple[str, str]]) -> None:
    """Write the files of docs/own-files.md that are no ordinary CSV."""
    header = ("text", "label")

    def lines(separator: str, rows: list[tuple[str, str]]) -> str:
        return "".join(f"{text}{separator}{label}\n" for text, label in rows)

    (folder / "excel.csv").write_text("sep=;\n" + lines(";", [header, *rows]), encoding="utf-8")
    (folder / "unicode.txt").write_text(lines("\t", [header, *rows]), encoding="utf-16")
    single = [(f"'on a day, {text.replace(chr(39), '')}'", label) for text, label in rows]
    (folder / "single.csv").write_text(lines(",", [header, *single]), encoding="utf-8")
    (folder / "kaggle.txt").write_text(lines(";", rows), encoding="utf-8")
    (folder / "old.csv").write_text(
        lines(";", [header, *((f"café {i}", label) for i, (_, label) in enumerate(rows))]), encoding="windows-1252"
    )
    objects = [{"review": {"text": text}, "label": label} for text, label in rows]
    (folder / "reviews.json").write_text(json.dumps({"version": 1, "data": objects}), encoding="utf-8")
    book = openpyxl.Workbook()
    book.active.title = "May"
    for sheet in (book.active, book.create_sheet("June")):
        for row in [header, *rows]:
            sheet.append(row)
    book.save(folder / "survey.xlsx")
    connection = sqlite3.connect(folder / "app.db")
    connection.execute("CREATE TABLE messages (body, mood)")
    connection.executemany("INSERT INTO messages VALUES (?, ?)", rows)
    connection.commit()
    connection.close()

"""`emotune push`: the question about texts, and the lines about what was pushed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import emotune.publish.push  # so that sys.modules has it
import emotune.publish.texts  # noqa: F401
from emotune.cli.push import in_words
from emotune.publish.push import Pushed
from emotune.publish.texts import FileWithTexts

from .conftest import Invoke

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DONE = Pushed(
    name="user/emotions",
    url="https://hub.example/user/emotions",
    commit=COMMIT,
    private=True,
    files=("README.md", "emotune.json"),
    left_out=(),
    unknown=("customers.csv",),
    changed=True,
    notes=("A note.",),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the library was asked to push."""
    calls: list[dict[str, Any]] = []

    def push(folder: Path, name: str, **options: Any) -> Pushed:
        calls.append({"folder": folder, "name": name, **options})
        return DONE

    monkeypatch.setattr(sys.modules["emotune.publish.push"], "push", push)
    return calls


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody can be asked, and the folder holds texts."""
    monkeypatch.setattr(sys.modules["emotune.cli.push"], "_can_ask", lambda: True)
    monkeypatch.setattr(sys.modules["emotune.folder.format"], "read_description", lambda folder: None)
    monkeypatch.setattr(
        sys.modules["emotune.publish.texts"],
        "files_with_texts",
        lambda folder: (FileWithTexts("predictions.parquet", 2000), FileWithTexts("report.html", 1)),
    )


def test_what_is_pushed_is_said_with_the_commit_to_load(invoke: Invoke, asked: list[dict[str, Any]]) -> None:
    result = invoke("push", "tuned", "user/emotions", "--with-texts", "--language", "en", "--license", "mit")
    assert result.exit_code == 0, result.exception
    assert result.stdout == (
        "Pushed to https://hub.example/user/emotions (private): 2 files in one commit.\n\n"
        f'  emotune predict user/emotions@{COMMIT} "I did not expect this at all"\n'
    )
    assert "A note." in result.stderr
    assert "customers.csv" in result.stderr
    assert asked == [
        {
            "folder": Path("tuned"),
            "name": "user/emotions",
            "private": True,
            "with_texts": True,
            "revision": None,
            "message": None,
            "language": ["en"],
            "license": "mit",
            "overwrite": False,
        }
    ]


def test_without_a_terminal_nobody_is_asked(invoke: Invoke, asked: list[dict[str, Any]]) -> None:
    invoke("push", "tuned", "user/emotions", "--public")
    assert (asked[0]["with_texts"], asked[0]["private"]) == (None, False)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("answer", "pushed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_the_texts_are_asked_for(
    answer: str, pushed: bool, invoke: Invoke, asked: list[dict[str, Any]]
) -> None:
    result = invoke("push", "tuned", "user/emotions", "--public", stdin=answer)
    assert "2,000 texts in predictions.parquet, 1 text in report.html" in result.stderr
    assert "everybody" in result.stderr
    assert [call["with_texts"] for call in asked] == [True] * pushed
    assert result.exit_code == (0 if pushed else 2)
    assert pushed or "--without-texts" in result.stderr


def test_what_was_there_already_is_not_called_a_commit() -> None:
    from dataclasses import replace

    first, *_ = in_words(replace(DONE, changed=False, private=False, left_out=("predictions.parquet", "report.html")))
    assert first.endswith("(public): it was there already, unchanged, without predictions.parquet and report.html.")

"""What a job looks like: on a terminal, on a narrow one, and in a file."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emotune.cli.console import ConsoleProgress, make_console
from emotune.system.progress import Progress


def show_a_job(*, terminal: bool, width: int = 80) -> str:
    """What a job of two steps writes."""
    page = io.StringIO()
    console = Console(file=page, force_terminal=terminal, width=width, markup=False, emoji=False, highlight=False)
    progress: Progress = ConsoleProgress(2, console)
    with progress.step("Before: [red]base[/red]"):
        progress.say("accuracy 0.9 of \x1b[31mred\x07")
        progress.say("word " * 40)
        table = Table("class", "rows")
        table.add_row(Text("[bold]joy"), "12")
        progress.show(table)
        with progress.bar("scoring [red]x", 10) as advance:
            advance(4)
            with progress.bar("inner", 3) as advance_inner:
                advance_inner(3)
                progress.say("between")
            advance(6)
    with progress.step("After"):
        pass
    return page.getvalue()


def test_a_file_gets_plain_whole_lines() -> None:
    text = show_a_job(terminal=False)
    assert "\x1b" not in text
    lines = text.splitlines()
    assert lines[0] == "[1/2] Before: [red]base[/red]"
    assert lines[1] == r"      accuracy 0.9 of \x1b[31mred\x07"
    assert lines[2] == "      " + "word " * 39 + "word"
    assert not [line for line in lines if line.endswith(" ")]
    assert "[bold]joy" in text
    assert "scoring" not in text  # no bars
    assert "      between" in lines
    assert [line for line in lines if re.fullmatch(r" {6}\d+\.\d s", line)] == [lines[-3], lines[-1]]
    assert lines[-2] == "[2/2] After"


def test_lines_of_one_text_are_all_indented() -> None:
    page = io.StringIO()
    ConsoleProgress(1, Console(file=page)).say("one\ntwo")
    assert page.getvalue() == "      one\n      two\n"


@pytest.mark.parametrize("width", [30, 80, 200])
def test_a_terminal_gets_bars_that_vanish_and_lines_that_fit(width: int) -> None:
    text = show_a_job(terminal=True, width=width)
    assert "4/10" in text
    assert r"\x1b[31mred" in text
    assert "\x07" not in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is hidden once and given back
    visible = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert max(len(line) for line in re.split(r"[\r\n]", visible)) <= width


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", show_a_job(terminal=True))


def test_a_failing_step_shows_no_time_and_passes_the_error_on() -> None:
    page = io.StringIO()
    progress = ConsoleProgress(1, Console(file=page))
    with pytest.raises(KeyError), progress.step("Data"):
        raise KeyError("x")
    assert page.getvalue() == "[1/1] Data\n"


def test_a_bar_ends_when_its_work_fails() -> None:
    page = io.StringIO()
    progress = ConsoleProgress(1, Console(file=page, force_terminal=True))
    with pytest.raises(KeyError), progress.bar("one", 1):
        raise KeyError("x")
    with progress.bar("two", 1):
        pass
    assert page.getvalue().count("\x1b[?25h") == 2


def test_output_that_is_no_terminal_is_wide_enough_for_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert make_console().width == 100
    monkeypatch.setenv("COLUMNS", "72")
    assert make_console().width == 72

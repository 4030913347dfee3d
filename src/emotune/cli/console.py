"""Output of the command: steps, bars, results, errors; with Rich on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import errno
import logging
import os
import select
import shlex
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from emotune.system.progress import Advance

if TYPE_CHECKING:
    from rich.progress import Progress, Task

# Results are aligned with their step's title, after its "[3/8] ".
_INDENT = 6

# Width where the output is not a terminal; the widest table fits.
_PLAIN_WIDTH = 100


class _Console(Console):
    """Console that lets the command handle a closed pipe."""

    def on_broken_pipe(self) -> None:
        """Raise the error that Rich would turn into exit code 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that does not interpret markup and writes plain lines if it is not a terminal."""
    console = _Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PLAIN_WIDTH
    return console


def print_error(message: str) -> None:
    """Print a message in red on standard error, its control characters escaped."""
    make_console(stderr=True).print(_safe(message, style="red"), soft_wrap=True)


def print_notice(message: str) -> None:
    """Print a message on standard error, since results go to standard output."""
    make_console(stderr=True).print(_safe(message), soft_wrap=True)


def command_name() -> str:
    """Return the shell words that run this command again: "emotune" if it is on the path, else as it was called."""
    program = Path(sys.argv[0]) if sys.argv else Path()
    if program.parts[-2:] == ("emotune", "__main__.py"):
        return f"{shlex.quote(sys.executable)} -m emotune"
    if program.stem != "emotune" or program.parent == Path():  # a test or another program; or named without a folder
        return "emotune"
    found = shutil.which("emotune")
    if found is not None and Path(found).absolute() == program.absolute():
        return "emotune"
    return shlex.quote(sys.argv[0])


def reader_has_left() -> bool:
    """Return whether the reader of standard output has closed the pipe, as `head` does; then drop further output."""
    if not hasattr(select, "poll"):  # Windows, where pipes do not report it
        return False
    descriptor = sys.stdout.fileno()
    poll = select.poll()
    poll.register(descriptor, 0)  # a pipe without a reader is reported whatever the events asked for
    if not poll.poll(0):
        return False
    # The interpreter flushes once more at exit, and would report an error.
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return True


class ConsoleProgress:
    """Progress of a job on the console; implements `emotune.system.progress.Progress`.

    Args:
        total: Number of steps of the job.
        console: The console; standard output if not given.
    """

    def __init__(self, total: int, console: Console | None = None) -> None:
        self._total = total
        self._number = 0
        self._console = make_console() if console is None else console
        self._bars: Progress | None = None

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show a step's number and title, and its time after it has succeeded."""
        from emotune.evaluation.words.formats import duration

        self._number += 1
        self._console.print(_safe(f"[{self._number}/{self._total}] {title}", style="bold"), soft_wrap=self._plain)
        started = time.perf_counter()
        yield
        self._print(duration(time.perf_counter() - started), style="dim")

    def say(self, text: str) -> None:
        """Show a line below the step's title."""
        self._print(text)

    def show(self, renderable: Any) -> None:
        """Show a renderable such as a table below the step's title."""
        if self._plain:
            from emotune.report.tables import render

            self._print(render(renderable, width=self._console.width - _INDENT))
        else:
            self._console.print(Padding(renderable, (0, 0, 0, _INDENT), expand=False))

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        """Show a bar that disappears at the end, below outer bars. Without a terminal, show nothing."""
        from emotune.system.text import printable

        if self._plain:
            yield lambda units: None
            return
        outermost = self._bars is None
        bars = self._bars = self._bars or self._make_bars()
        if outermost:
            bars.start()
        task = bars.add_task(printable(description), total=total or None)
        try:
            yield lambda units: bars.advance(task, units)
        finally:
            bars.remove_task(task)
            if outermost:
                bars.stop()
                self._bars = None

    @property
    def _plain(self) -> bool:
        return not self._console.is_terminal or self._console.is_dumb_terminal

    def _make_bars(self) -> Progress:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.table import Column

        class _Rate(ProgressColumn):
            """Units per second; nothing until it is known."""

            def render(self, task: Task) -> Text:
                speed = task.finished_speed or task.speed
                return Text("" if speed is None else f"{speed:,.0f}/s")

        return Progress(
            TextColumn(
                " " * _INDENT + "{task.description}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            _Rate(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=self._console,
            transient=True,
            expand=True,
        )

    def _print(self, text: str, style: str = "") -> None:
        if self._plain:  # unwrapped lines are better for files and for grep
            for line in text.split("\n"):
                self._console.print(_safe((" " * _INDENT + line).rstrip()), soft_wrap=True)
        else:
            self.show(_safe(text, style))


def quiet_libraries() -> None:
    """Suppress notices and progress bars of other libraries; errors are still shown.

    This sets environment variables, which these libraries read when they are imported, and which child processes
    inherit. Variables and warning options set by the user take precedence.
    """
    for library in ("TRANSFORMERS", "DATASETS", "HF_HUB"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    for library in ("HF_HUB", "HF_DATASETS"):
        os.environ.setdefault(f"{library}_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # PEFT imports it if it is installed, and on some processors it warns of a kernel that emotune does not use.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"(accelerate|datasets|huggingface_hub|peft|torch|transformers)(\.|$)")


def _safe(text: str, style: str = "") -> Text:
    """Return text that a terminal shows unchanged: no markup, no control characters except line ends."""
    from emotune.system.text import printable

    return Text("\n".join(printable(line) for line in text.split("\n")), style=style)

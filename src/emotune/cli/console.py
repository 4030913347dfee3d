"""What the command shows of a job: steps, bars, results, errors; with Rich on a terminal, as plain lines elsewhere."""

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
    from rich.progress import Progress

# Results stand under their step's title, behind its "[3/8] ".
_INDENT = 6

# Where the output is not a terminal nobody has said how wide it is; the widest table fits this.
_PLAIN_WIDTH = 100


class _Console(Console):
    """A console that leaves it to the command what happens when its reader has left."""

    def on_broken_pipe(self) -> None:
        """Pass on the error that Rich would turn into exit code 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def make_console(*, stderr: bool = False) -> Console:
    """A console that takes no text for markup and, where it is not a terminal, writes plain lines."""
    console = _Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PLAIN_WIDTH
    return console


def print_error(message: str) -> None:
    """Print a message in red on standard error, its control characters escaped."""
    make_console(stderr=True).print(_safe(message, style="red"), soft_wrap=True)


def print_notice(message: str) -> None:
    """Print a message on standard error, beside results that go to standard output."""
    make_console(stderr=True).print(_safe(message), soft_wrap=True)


def command_name() -> str:
    """What runs this command again from the current folder: as it was called, where it is not on the path."""
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
    """Whether nobody reads standard output any more, as when it goes to `head`; whatever is still written there is then dropped."""
    if not hasattr(select, "poll"):  # Windows, where no pipe says so
        return False
    descriptor = sys.stdout.fileno()
    poll = select.poll()
    poll.register(descriptor, 0)  # of a pipe without a reader every poll tells, asked or not
    if not poll.poll(0):
        return False
    # The interpreter flushes once more when it ends, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return True


class ConsoleProgress:
    """Shows a job on the console: implements `emotune.system.progress.Progress`.

    Args:
        total: How many steps the job has.
        console: Where to; standard output if not given.
    """

    def __init__(self, total: int, console: Console | None = None) -> None:
        self._total = total
        self._number = 0
        self._console = make_console() if console is None else console
        self._bars: Progress | None = None

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show a step's number and title, and its time once it has ended well."""
        from emotune.evaluation.words.formats import duration

        self._number += 1
        self._console.print(_safe(f"[{self._number}/{self._total}] {title}", style="bold"), soft_wrap=self._plain)
        started = time.perf_counter()
        yield
        self._print(duration(time.perf_counter() - started), style="dim")

    def say(self, text: str) -> None:
        """Show a line under the step."""
        self._print(text)

    def show(self, renderable: Any) -> None:
        """Show a table or the like under the step."""
        if self._plain:
            from emotune.report.tables import render

            self._print(render(renderable, width=self._console.width - _INDENT))
        else:
            self._console.print(Padding(renderable, (0, 0, 0, _INDENT), expand=False))

    @contextmanager
    def bar(self, description: str, total: int) -> Iterator[Advance]:
        """Show a bar that vanishes at the end; bars within bars stand below each other. Without a terminal, nothing."""
        from emotune.system.text import printable

        if self._plain:
            yield lambda units: None
            return
        outermost = self._bars is None
        bars = self._bars = self._bars or self._make_bars()
        if outermost:
            bars.start()
        task = bars.add_task(printable(description), total=total)
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
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        return Progress(
            TextColumn(
                " " * _INDENT + "{task.description}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=self._console,
            transient=True,
            expand=True,
        )

    def _print(self, text: str, style: str = "") -> None:
        if self._plain:  # whole lines are better for files and for grep than lines wrapped at a made-up width
            for line in text.split("\n"):
                self._console.print(_safe((" " * _INDENT + line).rstrip()), soft_wrap=True)
        else:
            self.show(_safe(text, style))


def quiet_libraries() -> None:
    """Keep other libraries' notices and progress bars off the command's output; errors still show.

    Works through environment variables, which these libraries read when they are imported, and which child processes
    inherit. Variables and warning options that the user has set win.
    """
    for library in ("TRANSFORMERS", "DATASETS", "HF_HUB"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    for library in ("HF_HUB", "HF_DATASETS"):
        os.environ.setdefault(f"{library}_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # PEFT imports it wherever it is installed, and on some processors it warns of a kernel that nothing here would use.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"(accelerate|datasets|huggingface_hub|peft|torch|transformers)(\.|$)")


def _safe(text: str, style: str = "") -> Text:
    """Text that a terminal shows as it is: no markup, no control characters but line ends."""
    from emotune.system.text import printable

    return Text("\n".join(printable(line) for line in text.split("\n")), style=style)

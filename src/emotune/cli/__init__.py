"""The command `emotune`: one file a command; each parses its options, calls the library and prints.

Nothing here imports torch, transformers or pydantic before a command needs it, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import emotune
from emotune.cli.audit import audit
from emotune.cli.compare import compare
from emotune.cli.console import print_error, quiet_libraries, reader_has_left
from emotune.cli.evaluate import evaluate
from emotune.cli.predict import PredictCommand, predict
from emotune.cli.presets import presets
from emotune.cli.reproduce import reproduce
from emotune.cli.run import FLAGS as RUN_FLAGS
from emotune.cli.run import run
from emotune.cli.settings import settings_command
from emotune.cli.sweep import FLAGS as SWEEP_FLAGS
from emotune.cli.sweep import sweep
from emotune.cli.verify import verify
from emotune.system.errors import EmotuneError


class Commands(TyperGroup):
    """The group of all commands, which turns what a user can put right into a message and an exit code.

    Any other exception is a bug and passes with its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was chosen."""
        try:
            return super().invoke(ctx)
        except EmotuneError as error:
            print_error(str(error))
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError as error:
            if not reader_has_left():
                raise
            # What shells report of any program that a closed pipe ends, 128 + SIGPIPE: no success, since the work was cut short.
            # Click's own answer is 1, which here says that a check has failed.
            raise typer.Exit(141) from error
        except KeyboardInterrupt as error:
            print_error(" ".join(["Stopped.", *map(str, error.args)]))
            raise typer.Exit(130) from error


app = typer.Typer(
    name="emotune", cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich"
)
app.command(cls=settings_command(RUN_FLAGS))(run)
app.command(cls=settings_command(SWEEP_FLAGS))(sweep)
app.command()(audit)
app.command()(compare)
app.command()(evaluate)
app.command(cls=PredictCommand)(predict)
app.command()(verify)
app.command()(reproduce)
app.command()(presets)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"emotune {emotune.__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Fine-tune BERT-family text classifiers with LoRA, and know what it bought you.

    Try it without network: emotune run --preset quickstart
    """


def main() -> None:
    """Run the command on the arguments of this process."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 gets escapes for what it cannot show, rather than a crash.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    quiet_libraries()
    app()

"""The command `emotune`: one file per command; each parses its options, calls the library and prints.

No module here imports torch, transformers or pydantic before a command needs it, so that `--help` is fast.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import emotune
from emotune.cli.audit import audit
from emotune.cli.compare import compare
from emotune.cli.console import print_error, quiet_libraries, reader_has_left
from emotune.cli.demo import demo
from emotune.cli.drift import drift
from emotune.cli.evaluate import evaluate
from emotune.cli.export import export
from emotune.cli.predict import PredictCommand, predict
from emotune.cli.presets import presets
from emotune.cli.push import push
from emotune.cli.reproduce import reproduce
from emotune.cli.run import FLAGS as RUN_FLAGS
from emotune.cli.run import run
from emotune.cli.serve import serve
from emotune.cli.settings import settings_command
from emotune.cli.sweep import FLAGS as SWEEP_FLAGS
from emotune.cli.sweep import sweep
from emotune.cli.verify import verify
from emotune.system.errors import EmotuneError
from emotune.system.threads import prepare_environment


class Commands(TyperGroup):
    """Group of all commands, which turns an `EmotuneError` into a message and an exit code.

    Any other exception is a bug, and passes with its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except EmotuneError as error:
            print_error(str(error))
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError as error:
            if not reader_has_left():
                raise
            # 128 + SIGPIPE, as shells report for a program ended by a closed pipe: the work was interrupted.
            # Click's own exit code is 1, which for emotune means that a check has failed.
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
app.command()(drift)
app.command(cls=PredictCommand)(predict)
app.command()(export)
app.command()(demo)
app.command()(verify)
app.command()(push)
app.command()(reproduce)
app.command()(presets)
app.command()(serve)


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
    """Run the command with the arguments of this process."""
    for stream in (sys.stdout, sys.stderr):
        # Escape characters that a terminal without UTF-8 cannot show, rather than crash.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    prepare_environment(os.environ)  # before any library starts its threads
    quiet_libraries()
    app()

"""`emotune run`: the whole job, from data to a verified folder."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

if TYPE_CHECKING:
    from emotune.config import Override


@dataclass(frozen=True)
class Flag:
    """A setting of the configuration that has an option of its own.

    Attributes:
        key: The setting: "training.epochs".
        metavar: What stands for the value in the help; "" makes the option a switch.
    """

    key: str
    metavar: str = ""


# Options by parameter name. All other settings are reached through --set. Values are text here: the configuration
# reads and checks them, so that a mistake in an option is reported together with those in files.
FLAGS = {
    "data": Flag("data.source", "DATA"),
    "validation_data": Flag("data.validation", "FILE"),
    "test_data": Flag("data.test", "FILE"),
    "text_column": Flag("data.text_column", "NAME"),
    "label_column": Flag("data.label_column", "NAME"),
    "max_characters": Flag("data.max_characters", "N"),
    "model": Flag("model.name", "MODEL"),
    "max_length": Flag("model.max_length", "N"),
    "method": Flag("method.name", "NAME"),
    "rank": Flag("method.r", "N"),
    "alpha": Flag("method.alpha", "X"),
    "target_modules": Flag("method.target_modules", "NAME,NAME"),
    "epochs": Flag("training.epochs", "N"),
    "learning_rate": Flag("training.learning_rate", "X"),
    "batch_tokens": Flag("training.batch_tokens", "N"),
    "seed": Flag("training.seed", "N"),
    "seeds": Flag("training.seeds", "N"),
    "precision": Flag("training.precision", "NAME"),
    "device": Flag("training.device", "NAME"),
    "full_baseline": Flag("baselines.full"),
    "resume": Flag("training.resume"),
    "output": Flag("output.folder", "DIR"),
    "overwrite": Flag("output.overwrite"),
}


class RunCommand(TyperCommand):
    """`emotune run`, whose help for each setting is the configuration's own, read when help is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Fill in the settings' help, and show the page."""
        from rich.markup import escape

        from emotune.config import setting_help

        for option in self.params:
            if isinstance(option, TyperOption) and option.name in FLAGS:
                description, default = setting_help(FLAGS[option.name].key)
                option.help = escape(description)
                if default is not None and not option.is_flag:
                    option.help += f" [dim]{escape(f'[default: {default}]')}[/dim]"
        super().format_help(ctx, formatter)


def _with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Put an option for each of `FLAGS` in the place of the command's `**flags`."""
    signature = inspect.signature(command, eval_str=True)
    fixed = [parameter for parameter in signature.parameters.values() if parameter.kind != parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None if flag.metavar else bool | None,
                typer.Option(
                    f"--{name.replace('_', '-')}",
                    metavar=flag.metavar or None,
                    rich_help_panel=flag.key.partition(".")[0].capitalize(),
                ),
            ],
        )
        for name, flag in FLAGS.items()
    ]
    # Typer reads a command's options from its signature.
    command.__signature__ = signature.replace(parameters=[*fixed, *options])  # type: ignore[attr-defined]
    return command


@_with_flags
def run(
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Start from a preset; `emotune presets` lists them.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read settings from a TOML file; they go over the preset.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set any setting, as in training.patience=3; repeat for more."),
    ] = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the configuration as TOML and exit.")
    ] = False,
    **flags: str | bool | None,
) -> None:
    """Fine-tune a model, compare before and after on the same rows, save it, and verify what was saved.

    Examples:
    $ emotune run --preset quickstart
    $ emotune run
    $ emotune run --model distilbert-base-uncased --epochs 3 --output tuned
    $ emotune run --data reviews.csv --text-column review --label-column stars
    $ emotune run --config my.toml --set training.patience=3 --show-config
    """
    from emotune.config import RunConfig

    given = [_override(name, value) for name, value in flags.items() if value is not None]
    configuration = RunConfig.load(preset, config, [*given, *(settings or [])])
    if show_config:
        typer.echo(configuration.to_toml(), nl=False)
        return

    from emotune import pipeline
    from emotune.checkpoints import Checkpoints
    from emotune.cli.console import ConsoleProgress
    from emotune.report.formats import duration
    from emotune.text import printable

    try:
        result = pipeline.run(configuration, ConsoleProgress(pipeline.STEPS))
    except KeyboardInterrupt as error:
        if Checkpoints(configuration).unfinished:
            kept = "The finished epochs are kept; the same command with --resume goes on from there."
            raise KeyboardInterrupt(kept) from error
        raise
    folder = printable(shlex.quote(str(result.folder)))
    base = "" if result.local_base is None else f" --base {printable(shlex.quote(result.local_base))}"
    typer.echo(
        f"\n{result.verdict}\n\nDone in {duration(result.seconds)}. The report is {printable(str(result.report))}"
    )
    typer.echo(f"The tuned model is in {folder}; try it:")
    typer.echo(f'  emotune predict {folder}{base} "I did not expect this at all"')


def _override(name: str, value: str | bool) -> Override:
    """The setting that an option stands for."""
    from emotune.config import Override

    setting: Any = value
    if (
        name == "target_modules"
        and isinstance(value, str)
        and value != "all-linear"
        and re.fullmatch(r"[\w.,]+", value)
    ):
        setting = value.split(",")  # names; anything with other signs in it is a regular expression
    return Override(FLAGS[name].key, setting, place=f"--{name.replace('_', '-')}")

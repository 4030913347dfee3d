"""Options of a command for settings of the configuration, which defines their help and checks their values."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

if TYPE_CHECKING:
    from emotune.settings.layers import Override


@dataclass(frozen=True)
class Flag:
    """Setting of the configuration with its own option.

    Attributes:
        key: The setting: "training.epochs".
        metavar: Placeholder of the value in the help; "" makes the option a switch.
        text: Help text that replaces the setting's own.
        default: Default that replaces the setting's own in the help.
        is_list: True if the value may be names separated by commas.
        is_row: True if the value is names separated by commas, as in a row of CSV.
        is_map: True if the option is repeated, each time with OLD=NEW.
    """

    key: str
    metavar: str = ""
    text: str = ""
    default: str = ""
    is_list: bool = False
    is_row: bool = False
    is_map: bool = False


def settings_command(flags: Mapping[str, Flag]) -> type[TyperCommand]:
    """Return a command class that takes each flag's help from the configuration when help is requested.

    Args:
        flags: Flags by parameter name.
    """

    class SettingsCommand(TyperCommand):
        def format_help(self, ctx: Any, formatter: Any) -> None:
            """Fill in the help of the settings, and format the page."""
            from rich.markup import escape

            from emotune.settings.keys import setting_help
            from emotune.settings.run import RunConfig

            for option in self.params:
                if isinstance(option, TyperOption) and option.name in flags:
                    flag = flags[option.name]
                    description, default = setting_help(RunConfig, flag.key)
                    default = flag.default or default
                    option.help = escape(flag.text or description)
                    if default is not None and not option.is_flag:
                        option.help += f" [dim]{escape(f'[default: {default}]')}[/dim]"
            super().format_help(ctx, formatter)

    return SettingsCommand


def with_flags(flags: Mapping[str, Flag]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that replaces a command's `**flags` by one option per flag.

    Values are text: the configuration reads and checks them, so that a mistake in an option is reported together with
    those in files.

    Args:
        flags: Flags by parameter name.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        fixed = [parameter for parameter in signature.parameters.values() if parameter.kind != parameter.VAR_KEYWORD]
        options = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[
                    list[str] | None if flag.is_map else str | None if flag.metavar else bool | None,
                    typer.Option(
                        f"--{name.replace('_', '-')}",
                        metavar=flag.metavar or None,
                        rich_help_panel=flag.key.partition(".")[0].capitalize(),
                    ),
                ],
            )
            for name, flag in flags.items()
        ]
        # Typer reads a command's options from its signature.
        command.__signature__ = signature.replace(parameters=[*fixed, *options])  # type: ignore[attr-defined]
        return command

    return decorate


def overrides(flags: Mapping[str, Flag], given: Mapping[str, str | list[str] | bool | None]) -> list[Override]:
    """Return the settings for the given options.

    Args:
        flags: Flags by parameter name.
        given: Values by parameter name; None where an option was not given.
    """
    return [_override(flags[name], name, value) for name, value in given.items() if value not in (None, [])]


def _override(flag: Flag, name: str, value: Any) -> Override:
    """Return the setting for an option."""
    from emotune.cli.arguments import names_of_columns, renamed
    from emotune.settings.layers import Override

    setting: Any = renamed(value) if flag.is_map else value
    if flag.is_row:
        setting = names_of_columns(value)
    # Names; text with other characters is a regular expression of modules.
    if (
        flag.is_list
        and isinstance(value, str)
        and value != "all-linear"
        and re.fullmatch(r"[\w.]+|[\w.,\- ]*,[\w.,\- ]*", value)
    ):
        setting = value.split(",")
    return Override(flag.key, setting, place=f"--{name.replace('_', '-')}")

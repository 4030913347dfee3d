"""`emotune presets`: list the configurations that come with emotune, or print one."""

from __future__ import annotations

from typing import Annotated

import typer


def presets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print this preset's TOML.")] = None,
) -> None:
    """List the presets, or print one as a start for a configuration of your own.

    Examples:
    $ emotune presets
    $ emotune presets quickstart > my.toml
    """
    from emotune.config import preset_names, read_preset

    if name is not None:
        typer.echo(read_preset(name), nl=False)
        return
    names = preset_names()
    width = max(map(len, names))
    for preset in names:
        description = read_preset(preset).partition("\n")[0].removeprefix("#").strip()
        typer.echo(f"{preset:<{width}}  {description}")

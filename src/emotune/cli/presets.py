"""`emotune presets`: list the configurations that come with emotune, or print one."""

from __future__ import annotations

from typing import Annotated

import typer


def presets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print this preset's TOML.")] = None,
) -> None:
    """List the presets, or print one as a start for your own configuration.

    Examples:
    $ emotune presets
    $ emotune presets quickstart > my.toml
    $ emotune presets shoot-out > my_sweep.toml
    """
    from emotune.settings.preset import preset_names, read_preset

    of_runs = preset_names()
    of_sweeps = preset_names("sweep")
    if name is not None:
        typer.echo(read_preset(name, "sweep") if name in of_sweeps else read_preset(name), nl=False)
        return
    width = max(map(len, of_runs + of_sweeps))
    for heading, presets, texts in (
        ("For emotune run:", of_runs, [read_preset(preset) for preset in of_runs]),
        ("For emotune sweep:", of_sweeps, [read_preset(preset, "sweep") for preset in of_sweeps]),
    ):
        typer.echo(heading)
        for preset, text in zip(presets, texts, strict=True):
            typer.echo(f"  {preset:<{width}}  {text.partition(chr(10))[0].removeprefix('#').strip()}")

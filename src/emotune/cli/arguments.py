"""Arguments and options that several commands share, so that they are called and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `emotune run` saved.")]

Base = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="The base model, for a folder whose base came from a local folder."),
]

TextColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the texts; found by its name if not given.")
]

LabelColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the labels; found by its name if not given.")
]

MaxCharacters = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Longest text accepted, in characters, if not the usual 20,000.")
]

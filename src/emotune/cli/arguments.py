"""Arguments and options that several commands share, with the same names and help texts."""

from __future__ import annotations

import csv
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from emotune.system.errors import ConfigError
from emotune.system.wording import quoted

LABELLED_ROWS = "Labelled rows: a file, a folder, a pattern of files, a URL, - for standard input, a Hub data set id, or bundled:sample."

TEXTS = "a file, a pattern of files, a URL, or - for standard input"


def whole_number(option: str, least: int) -> Callable[[str | int], int]:
    """Return the parser of an option's value, which reports a mistake in one line where Typer would show a box.

    Args:
        option: The option, for the message: "--examples".
        least: The smallest valid number.
    """

    def read(value: str | int) -> int:
        try:
            number = int(value)
        except ValueError:
            number = least - 1
        if number < least:
            raise ConfigError(f"{option} is {str(value)!r}; expected a whole number of at least {least}.")
        return number

    return read


def share(option: str, example: str, *, ends: bool) -> Callable[[str | float], float]:
    """Return the parser of a share or a probability; `float` would accept "nan", and explain mistakes badly.

    Args:
        option: The option, for the message: "--level".
        example: A value that is usual.
        ends: Accept 0 and 1.
    """

    def read(value: str | float) -> float:
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        # Both are false for NaN.
        if not (0 <= found <= 1 if ends else 0 < found < 1):
            limits = "from 0 to 1" if ends else "between 0 and 1"
            raise ConfigError(f"{option} is {quoted(value)}; expected a number {limits}, such as {example}.")
        return found

    return read


def choice(option: str, values: Sequence[str]) -> Callable[[str], str]:
    """Return the parser of an option whose value is one of some words.

    Args:
        option: The option, for the message: "--on-error".
        values: The words.
    """

    def read(value: str) -> str:
        if value not in values:
            raise ConfigError(f"{option} is {quoted(value)}; expected {', '.join(values[:-1])} or {values[-1]}.")
        return value

    return read


def renamed(given: Sequence[str] | None) -> dict[str, str] | None:
    """Return new names by old ones from the values of --map.

    Args:
        given: Values such as "joyful=joy".

    Raises:
        ConfigError: One has no "=", or two are about the same name.
    """
    names: dict[str, str] = {}
    for value in given or ():
        old, equals, new = value.partition("=")
        if not equals or not old.strip() or not new.strip():
            raise ConfigError(f"--map is {quoted(value)}; expected OLD=NEW, such as --map joyful=joy.")
        if names.get(old.strip(), new.strip()) != new.strip():
            raise ConfigError(f"--map names {quoted(old.strip())} twice, with different new names. Give it once.")
        names[old.strip()] = new.strip()
    return names or None


def column_names(given: str | None) -> tuple[str, ...] | None:
    """Return the names of columns in an option's value, as `names_of_columns` does; None if it is not given."""
    return None if given is None else tuple(names_of_columns(given))


def _at_its_place(context: typer.Context, folder: Any) -> Any:
    """Return the folder of an argument on this machine; one on the Hub is fetched, except to complete a command line."""
    if context.resilient_parsing or not isinstance(folder, str):
        return folder
    from emotune.folder.place import saved_folder

    return saved_folder(folder)


Folder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        # As text, since a Path would lose the "./" that keeps a name from being looked up on the Hub.
        parser=str,
        callback=_at_its_place,
        help="Folder that `emotune run` saved, or user/name or user/name@REVISION on the Hub.",
    ),
]

Base = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="The base model, for a folder whose base came from a local folder."),
]

Device = Annotated[
    str, typer.Option(metavar="NAME", help="cpu, cuda or mps; auto is the first available of cuda, mps and cpu.")
]

Precision = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="fp32, bf16, or int8 by OpenVINO; auto is bf16 where the hardware multiplies it, else fp32.",
    ),
]

DataConfig = Annotated[
    str | None, typer.Option(metavar="NAME", help="Configuration of a Hub data set that has several.")
]

DataRevision = Annotated[str | None, typer.Option(metavar="NAME", help="Branch, tag or commit of a Hub data set.")]

TextColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the texts; found by its name if not given.")
]

TextPairColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Column of the second texts, where every row is a pair of texts."),
]

LabelColumn = Annotated[
    str | None, typer.Option(metavar="NAME", help="Column of the labels; found by its name if not given.")
]

LabelSeparator = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Separator of the labels in a cell of the label column, where rows have several labels.",
    ),
]

LabelColumns = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME",
        help="Columns with one label each, of zeros and ones, where rows have several labels.",
    ),
]

Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="OLD=NEW", help="New name of a label; repeat for more. Several may become one."),
]

DropUnlabelled = Annotated[
    bool, typer.Option("--drop-unlabelled", help="Leave out rows without a label, and say how many.")
]

OnError = Annotated[
    str | None,
    typer.Option(
        metavar="stop|skip",
        parser=choice("--on-error", ("stop", "skip")),
        help="What to do about rows that cannot be read or are blank: stop, or skip them and list them beside --output.",
    ),
]

READING: Mapping[str, Any] = {
    "input_format": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Format of standard input, a pipe or a URL: csv, tsv, jsonl, json, parquet, xlsx, sqlite, zip, text; found "
            "out if not given.",
        ),
    ],
    "encoding": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Encoding of text files, such as windows-1252; UTF-8, or what a byte order mark says, if not given.",
        ),
    ],
    "delimiter": Annotated[
        str | None,
        typer.Option(
            metavar="CHAR", help="Character between the fields of a line, such as ; or tab; found out if not given."
        ),
    ],
    "columns": Annotated[
        str | None,
        typer.Option(
            "--columns", metavar="NAME,NAME", help="Names of all columns, in order, of a file without a header."
        ),
    ],
    "query": Annotated[
        str | None,
        typer.Option(
            metavar="SELECT", help="SELECT that gives the rows of an SQLite database; one table with texts needs none."
        ),
    ],
    "sheet": Annotated[str | None, typer.Option(metavar="NAME", help="Sheet of an Excel workbook that has several.")],
    "max_characters": Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number("--max-characters", 1),
            help="Longest text accepted, in characters; 20,000 if not given.",
        ),
    ],
}
"""Options of reading rows, by their names in the library; every command that reads rows has all of them."""


def with_reading(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading rows, in place of its `**reading`, which `reading_options` takes."""
    signature = inspect.signature(command, eval_str=True)
    fixed = [parameter for parameter in signature.parameters.values() if parameter.kind != parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in READING.items()
    ]
    # Typer reads a command's options from its signature.
    command.__signature__ = signature.replace(parameters=[*fixed, *options])  # type: ignore[attr-defined]
    return command


def names_of_columns(given: str) -> list[str]:
    """Return the names in a value of --columns; one with a comma is in double quotes, as in CSV."""
    return [name.strip() for name in next(csv.reader([given]), [])]


def reading_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of reading rows that were given, as arguments of the library.

    Args:
        given: Values by name; None where an option was not given.

    Raises:
        ConfigError: One is not valid.
    """
    from emotune.data.options import DataSource
    from emotune.system.options import read_options

    found = {name: value for name, value in given.items() if value is not None}
    if "columns" in found:
        found["columns"] = names_of_columns(found["columns"])
    read_options(DataSource, found)
    return found

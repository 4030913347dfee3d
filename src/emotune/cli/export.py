"""`emotune export`: write a saved model in a format that runs without emotune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from emotune.cli.arguments import (
    LABELLED_ROWS,
    Base,
    Folder,
    LabelColumn,
    TextColumn,
    TextPairColumn,
    reading_options,
    with_reading,
)
from emotune.system.errors import ConfigError


@with_reading
def export(
    folder: Folder,
    to: Annotated[str, typer.Option(metavar="FORMAT", help="merged, onnx or openvino.")],
    precision: Annotated[str, typer.Option(metavar="NAME", help="fp32; or int8, for onnx and openvino.")] = "fp32",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder to write; DIR_FORMAT in the working directory if not given."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help=f"Rows to check with, for a folder that keeps no test rows. {LABELLED_ROWS}"),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Training texts for the int8 of OpenVINO, for a folder whose data was a local file."
        ),
    ] = None,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumn = None,
    margin: Annotated[
        float, typer.Option(metavar="POINTS", help="Points of accuracy that int8 may lose on the checked rows.")
    ] = 0.5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
    base: Base = None,
    **reading: Any,
) -> None:
    """Write a saved model as merged safetensors, ONNX or OpenVINO, with a script that runs it without emotune.

    The export is run in a fresh process and compared with the original on the test rows that the folder keeps. If it
    differs by more than stated, the exit code is 1 and nothing is written: in fp32 at least 99.9 % of the labels must
    be the same, and logits may differ by rounding only; int8 may lose --margin points of accuracy on these rows.

    Examples:
    $ emotune export fine_tuned_lora_model --to merged
    $ emotune export fine_tuned_lora_model --to openvino --precision int8
    $ emotune export reviews_model --to openvino --precision int8 --calibration reviews.csv
    """
    from emotune.cli.console import ConsoleProgress
    from emotune.exports.export import STEPS
    from emotune.exports.export import export as export_folder
    from emotune.exports.formats import ExportOptions
    from emotune.system.options import read_options
    from emotune.system.text import printable

    read_options(ExportOptions, {"to": to, "precision": precision, "margin": margin})
    columns = {"text_column": text_column, "text_pair_column": text_pair_column, "label_column": label_column}
    how = {**{name: value for name, value in columns.items() if value is not None}, **reading_options(reading)}
    if how and data is None and calibration is None:
        raise ConfigError(
            f"--{next(iter(how)).replace('_', '-')} is about the rows of --data or --calibration, and none were given. "
            "Give them, or leave it out."
        )
    found = export_folder(
        folder,
        to=to,
        precision=precision,
        output=output,
        data=data,
        calibration=calibration,
        reading=how,
        margin=margin,
        overwrite=overwrite,
        base=base,
        progress=ConsoleProgress(STEPS),
    )
    texts = "FIRST SECOND" if found.pairs else "TEXT"
    typer.echo(
        f"\nThe export is {printable(str(found.folder.resolve()))}\nRun it: python {printable(str(found.folder / 'run.py'))} {texts}"
    )

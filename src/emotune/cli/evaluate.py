"""`emotune evaluate`: score a saved model on labelled rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.cli.arguments import Base, DataConfig, DataRevision, Folder, LabelColumn, MaxCharacters, TextColumn

if TYPE_CHECKING:
    from emotune.evaluation.scores import Evaluation


def evaluate(
    folder: Folder,
    data: Annotated[
        str, typer.Option(metavar="DATA", help="Labelled rows: a file, a folder, a Hub data set id, or bundled:sample.")
    ],
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Split of a folder or Hub data set; its test split if not given.")
    ] = None,
    data_config: DataConfig = None,
    data_revision: DataRevision = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    max_characters: MaxCharacters = None,
    base: Base = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Score a saved model on labelled rows: accuracy, precision, recall, F1, loss, overall and by class.

    Examples:
    $ emotune evaluate fine_tuned_lora_model --data bundled:sample
    $ emotune evaluate fine_tuned_lora_model --data bundled:sample --split validation --json
    $ emotune evaluate fine_tuned_lora_model --data messages.csv --text-column message
    """
    from emotune.cli.console import ConsoleProgress, make_console, print_notice
    from emotune.data.load import load_split
    from emotune.data.options import MAX_CHARACTERS
    from emotune.folder.format import read_description

    # Loading the model takes longest, so it comes after all checks of paths.
    rows = load_split(
        data,
        labels=read_description(folder).labels,
        split=split,
        config=data_config,
        revision=data_revision,
        text_column=text_column,
        label_column=label_column,
        max_characters=MAX_CHARACTERS if max_characters is None else max_characters,
    )
    for note in rows.notes:
        print_notice(note)
    from emotune.evaluation.evaluate import evaluate as score_split
    from emotune.folder.load import load
    from emotune.report.tables import evaluation_table

    classifier = load(folder, base=base)
    scored = score_split(classifier, rows, progress=ConsoleProgress(1, make_console(stderr=True)))
    if as_json:
        typer.echo(json.dumps(_figures(scored), ensure_ascii=False, indent=2))
    else:
        make_console().print(evaluation_table(scored))


def _figures(evaluation: Evaluation) -> dict[str, object]:
    """Return the scores and the rows that they were measured on, for `--json`."""
    from emotune.evaluation.scores import absent_classes

    return {
        "model": evaluation.name,
        "split": evaluation.split.name,
        "rows": len(evaluation.split),
        "fingerprint": evaluation.split.fingerprint,
        "seconds": evaluation.seconds,
        "note": " ".join(filter(None, [evaluation.note, absent_classes(evaluation.metrics)])),
        **asdict(evaluation.metrics),
    }

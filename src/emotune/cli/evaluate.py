"""`emotune evaluate`: score a saved model on labelled rows."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from emotune.cli.arguments import (
    LABELLED_ROWS,
    Base,
    DataConfig,
    DataRevision,
    DropUnlabelled,
    Folder,
    LabelColumn,
    LabelColumns,
    LabelSeparator,
    Map,
    OnError,
    TextColumn,
    TextPairColumn,
    column_names,
    reading_options,
    renamed,
    with_reading,
)
from emotune.system.errors import ConfigError
from emotune.system.wording import counted, quoted

if TYPE_CHECKING:
    from emotune.data.dataset import Split
    from emotune.evaluation.scores import Evaluation
    from emotune.folder.format import Description

# Skipped rows whose places are shown if there is no file to list them in.
_MOST_PLACES = 5


@with_reading
def evaluate(
    folder: Folder,
    data: Annotated[
        str,
        typer.Option(
            metavar="DATA",
            help=LABELLED_ROWS,
        ),
    ],
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Split of a folder or Hub data set; its test split if not given.")
    ] = None,
    data_config: DataConfig = None,
    data_revision: DataRevision = None,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumn = None,
    label_separator: LabelSeparator = None,
    label_columns: LabelColumns = None,
    names: Map = None,
    drop_unlabelled: DropUnlabelled = False,
    on_error: OnError = None,
    base: Base = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Save the predictions, which emotune compare reads; .parquet or .csv names the format."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --output.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    **reading: Any,
) -> None:
    """Score a saved model on labelled rows: accuracy, precision, recall, F1, loss, overall and by class.

    The folder may be one that transformers or PEFT saved.

    Examples:
    $ emotune evaluate fine_tuned_lora_model --data bundled:sample
    $ emotune evaluate fine_tuned_lora_model --data bundled:sample --split validation --json
    $ emotune evaluate fine_tuned_lora_model --data messages.csv --text-column message
    $ emotune evaluate fine_tuned_lora_model --data bundled:sample --output predictions.parquet
    """
    if overwrite and output is None:
        raise ConfigError("--overwrite was given without --output. Add --output FILE, or leave it out.")
    from emotune.folder.predictions import FORMATS

    if output is not None and output.suffix.lower() not in FORMATS:
        raise ConfigError(f"--output is {quoted(output)}; its suffix names the format, {' or '.join(FORMATS)}.")
    from emotune.cli.console import ConsoleProgress, make_console, print_notice
    from emotune.data.left_out import check_left_out, write_left_out
    from emotune.data.load import load_split
    from emotune.evaluation.saved import write_evaluation
    from emotune.folder.columns import described_columns
    from emotune.folder.facts import facts_of
    from emotune.system.output import file_written_whole

    # Loading the model takes longest, so it comes after all checks of paths.
    facts = facts_of(folder, base)
    for note in facts.notes:
        print_notice(note)
    roles: dict[str, Any] = {
        **described_columns(facts.description, text_column, text_pair_column),
        **reading_options(reading),
    }
    rows = load_split(
        data,
        labels=facts.labels,
        task=facts.task,
        split=split,
        config=data_config,
        revision=data_revision,
        **roles,
        label_column=label_column,
        label_separator=label_separator,
        label_columns=column_names(label_columns),
        map=renamed(names),
        drop_unlabelled=drop_unlabelled,
        on_error=cast(Any, on_error),
    )
    for note in rows.notes:
        print_notice(note)
    skipped = [row for row in rows.left_out if not row.unlabelled]
    if skipped and output is not None:
        check_left_out(output, overwrite)
    elif skipped:
        rest = (
            f" and {len(skipped) - _MOST_PLACES:,} more; --output FILE lists all" if len(skipped) > _MOST_PLACES else ""
        )
        print_notice(f"Skipped: {'; '.join(row.place for row in skipped[:_MOST_PLACES])}{rest}.")
    seen = None if facts.description is None else seen_rows(folder, facts.description, rows)
    from emotune.evaluation.evaluate import evaluate as score_split
    from emotune.folder.load import load
    from emotune.report.tables import evaluation_table

    with nullcontext() if output is None else file_written_whole(output, overwrite) as target:
        classifier = load(folder, base=base)
        name = None if classifier.is_tuned else folder.resolve().name
        scored = score_split(classifier, rows, name=name, progress=ConsoleProgress(1, make_console(stderr=True)))
        if target is not None and output is not None:
            write_evaluation(scored, target, output.suffix.lower())
    if output is not None and (on_error == "skip" or overwrite) and (listed := write_left_out(output, rows.left_out)):
        print_notice(f"The rows that were skipped are listed in {listed}.")
    if seen:
        print_notice(
            f"The model was trained on {counted(seen, 'row')} of these {len(rows):,} (equal but for case and "
            "punctuation), so these scores may be too good."
        )
    if as_json:
        typer.echo(json.dumps(_figures(scored, seen), ensure_ascii=False, indent=2))
    else:
        make_console().print(evaluation_table(scored))


def seen_rows(folder: Path, description: Description, rows: Split) -> int | None:
    """Return the number of rows that the model was trained on; None if the folder has no fingerprints."""
    from emotune.folder.fingerprints import read_fingerprints

    found = read_fingerprints(folder, None if description.data is None else description.data.fingerprint)
    return None if found is None else int(found.trained_on(rows.texts).sum())


def _figures(evaluation: Evaluation, seen: int | None) -> dict[str, object]:
    """Return the scores and the rows that they were measured on, for `--json`."""
    from emotune.evaluation.scores import absent_classes

    return {
        "model": evaluation.name,
        "split": evaluation.split.name,
        "rows": len(evaluation.split),
        "fingerprint": evaluation.split.fingerprint,
        "trained_on": seen,
        "seconds": evaluation.seconds,
        "note": " ".join(filter(None, [evaluation.note, absent_classes(evaluation.metrics)])),
        **asdict(evaluation.metrics),
    }

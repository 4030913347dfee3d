"""`emotune audit`: find the flaws of labelled data before compute is spent on it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from emotune.cli.arguments import (
    LABELLED_ROWS,
    DataConfig,
    DataRevision,
    DropUnlabelled,
    LabelColumn,
    LabelColumns,
    LabelSeparator,
    Map,
    TextColumn,
    TextPairColumn,
    choice,
    column_names,
    reading_options,
    renamed,
    whole_number,
    with_reading,
)

if TYPE_CHECKING:
    from emotune.data.auditing.audit import Audit


@with_reading
def audit(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help=LABELLED_ROWS,
        ),
    ],
    validation_data: Annotated[
        str | None, typer.Option(metavar="FILE", help="File with the validation rows, if the data has none.")
    ] = None,
    test_data: Annotated[
        str | None, typer.Option(metavar="FILE", help="File with the test rows, if the data has none.")
    ] = None,
    data_config: DataConfig = None,
    data_revision: DataRevision = None,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumn = None,
    label_separator: LabelSeparator = None,
    label_columns: LabelColumns = None,
    group_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column of groups, such as authors: report those in several splits."),
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of times: report from when to when each split goes.")
    ] = None,
    names: Map = None,
    drop_unlabelled: DropUnlabelled = False,
    on_error: Annotated[
        str | None,
        typer.Option(
            metavar="stop|skip",
            parser=choice("--on-error", ("stop", "skip")),
            help="stop at rows that cannot be read or are blank, as a run does; or skip them even if they are most of the rows. "
            "If not given, they are listed.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Also count tokens, and judge labels, with this model: a Hub id, a local folder, or bundled:minilm.",
        ),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number("--max-length", 1),
            help="With --model: longest text in tokens, 128 if not given; longer ones are cut.",
        ),
    ] = None,
    label_errors: Annotated[
        bool, typer.Option("--label-errors/--no-label-errors", help="Look for labels that are probably wrong.")
    ] = True,
    examples: Annotated[
        int | None,
        typer.Option(
            metavar="N", parser=whole_number("--examples", 0), help="Examples to show per finding; 5 if not given."
        ),
    ] = None,
    write_clean: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a cleaned copy into a new folder, with a list of what was left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with every finding.")] = False,
    **reading: Any,
) -> None:
    """Audit labelled data: repeats, leaks between splits, contradictions, likely label errors, shortcuts, rows that cannot be used.

    The data itself is never changed.

    Examples:
    $ emotune audit bundled:sample
    $ emotune audit reviews.csv --text-column body --label-column stars
    $ emotune audit reviews.csv --model bert-base-uncased --max-length 256
    $ emotune audit folder_with_train_and_test/ --write-clean cleaned
    $ emotune audit folder_with_train_and_test/ --group-column author
    """
    from emotune.cli.console import make_console, print_notice
    from emotune.data.auditing.audit import audit_source
    from emotune.data.auditing.clean import DROPPED, OPTION
    from emotune.data.auditing.clean import write_clean as write
    from emotune.data.options import DataSource
    from emotune.data.tokens import count_tokens
    from emotune.folder.base import open_base
    from emotune.inference.judging import features_of
    from emotune.models.load import load_tokenizer
    from emotune.report.audit_tables import EXAMPLES, audit_page
    from emotune.system.errors import ConfigError
    from emotune.system.output import check_output
    from emotune.system.wording import counted

    if max_length is not None and model is None:
        raise ConfigError(
            "--max-length was given without --model: tokens depend on the model. Add --model MODEL, or leave it out."
        )
    if examples is not None and as_json:
        raise ConfigError("--examples was given with --json, which has every finding. Leave one of them out.")
    if write_clean is not None:
        check_output(write_clean, overwrite=None, option=OPTION)
    source = DataSource(
        source=data,
        validation=validation_data,
        test=test_data,
        config=data_config,
        revision=data_revision,
        text_column=text_column,
        text_pair_column=text_pair_column,
        label_column=label_column,
        label_separator=label_separator,
        label_columns=column_names(label_columns),
        group_column=group_column,
        time_column=time_column,
        map=renamed(names),
        drop_unlabelled=drop_unlabelled,
        on_error=cast(Any, on_error),
        **reading_options(reading),
    )
    # First, since it fails if the model's name is wrong, and an audit can take minutes.
    tokenizer = None if model is None else load_tokenizer(model, max_length=max_length)
    features = None if model is None else features_of(model, max_length=max_length, opening=open_base)
    found = audit_source(source, label_errors=label_errors, features=features)
    if tokenizer is not None:
        tokens = count_tokens(tokenizer, found.texts(), model=tokenizer.name_or_path, max_length=max_length)
        found = replace(found, tokens=tokens)
    if as_json:
        typer.echo(json.dumps(_findings(found), ensure_ascii=False, indent=2))
    else:
        make_console().print(audit_page(found, EXAMPLES if examples is None else examples))
    if write_clean is not None:
        dropped = write(found, write_clean)
        unusable = sum(len(rows) for rows in found.unusable.values())
        print_notice(
            f"\nThe cleaned copy is in {write_clean}; {counted(len(dropped) + unusable, 'row')} left out, "
            f"each with its reason in {DROPPED}."
        )


def _findings(audit: Audit) -> dict[str, Any]:
    """Return all findings, for `--json`."""
    return {
        "name": audit.name,
        "rows": {split: dict(counts) for split, counts in audit.counts.items()},
        "labels_together": None if audit.together is None else asdict(audit.together),
        "words": {split: asdict(lengths) for split, lengths in audit.lengths.items()},
        "tokens": None if audit.tokens is None else asdict(audit.tokens),
        "label_findings": list(audit.label_findings),
        "placeholders": [asdict(row) for row in audit.placeholders],
        "unusable": {split: [asdict(row) for row in rows] for split, rows in audit.unusable.items()},
        "repeats": [asdict(repeat) for repeat in audit.repeats],
        "leaks": [asdict(leak) for leak in audit.leaks],
        "validation_leaks": [asdict(leak) for leak in audit.validation_leaks],
        "group_leaks": [asdict(crossing) for crossing in audit.crossings],
        "contradictions": [asdict(found) for found in audit.contradictions],
        "label_errors": None if audit.label_errors is None else [asdict(error) for error in audit.label_errors],
        "shortcuts": [asdict(shortcut) for shortcut in audit.shortcuts],
        "notes": list(audit.notes),
    }

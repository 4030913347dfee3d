"""`emotune run`: the whole job, from data to a verified folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.examples import example_words
from emotune.cli.settings import Flag, overrides, with_flags
from emotune.system.errors import ConfigError

# Options by parameter name. All other settings are set with --set. Values are text here: the configuration reads and
# checks them, so that a mistake in an option is reported together with those in files.
FLAGS = {
    "data": Flag("data.source", "DATA"),
    "validation_data": Flag("data.validation", "FILE"),
    "test_data": Flag("data.test", "FILE"),
    "data_config": Flag("data.config", "NAME"),
    "data_revision": Flag("data.revision", "NAME"),
    "text_column": Flag("data.text_column", "NAME"),
    "text_pair_column": Flag("data.text_pair_column", "NAME"),
    "label_column": Flag("data.label_column", "NAME"),
    "labels": Flag("data.labels", "NAME,NAME", is_list=True),
    "ordered": Flag("data.ordered"),
    "label_separator": Flag("data.label_separator", "TEXT"),
    "label_columns": Flag("data.label_columns", "NAME,NAME", is_row=True),
    "group_column": Flag("data.group_column", "NAME"),
    "time_column": Flag("data.time_column", "NAME"),
    "input_format": Flag("data.input_format", "NAME"),
    "encoding": Flag("data.encoding", "NAME"),
    "delimiter": Flag("data.delimiter", "CHAR"),
    "columns": Flag("data.columns", "NAME,NAME", is_row=True),
    "query": Flag("data.query", "SELECT"),
    "sheet": Flag("data.sheet", "NAME"),
    "map": Flag("data.map", "OLD=NEW", is_map=True),
    "drop_unlabelled": Flag("data.drop_unlabelled"),
    "on_error": Flag("data.on_error", "stop|skip"),
    "folds": Flag("data.folds", "K"),
    "fold_repeats": Flag("data.fold_repeats", "R"),
    "max_characters": Flag("data.max_characters", "N"),
    "model": Flag("model.name", "MODEL"),
    "max_length": Flag("model.max_length", "N"),
    "long_texts": Flag("model.long_texts", "NAME"),
    "fresh_head": Flag("model.fresh_head"),
    "keep_head": Flag("model.keep_head"),
    "method": Flag("method.name", "NAME"),
    "rank": Flag("method.r", "N"),
    "alpha": Flag("method.alpha", "X"),
    "target_modules": Flag("method.target_modules", "NAME,NAME", is_list=True),
    "epochs": Flag("training.epochs", "N"),
    "learning_rate": Flag("training.learning_rate", "X"),
    "batch_tokens": Flag("training.batch_tokens", "N"),
    "seed": Flag("training.seed", "N"),
    "seeds": Flag("training.seeds", "N"),
    "precision": Flag("training.precision", "NAME"),
    "device": Flag("training.device", "NAME"),
    "full_baseline": Flag("baselines.full"),
    "margin": Flag("baselines.margin", "POINTS"),
    "at_least_one": Flag("training.at_least_one"),
    "resume": Flag("training.resume"),
    "output": Flag("output.folder", "DIR"),
    "overwrite": Flag("output.overwrite"),
    "track": Flag("tracking.to", "NAME,NAME", is_list=True),
    "track_texts": Flag("tracking.texts"),
    "track_model": Flag("tracking.model"),
}


@with_flags(FLAGS)
def run(
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Start from a preset; `emotune presets` lists them.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read settings from a TOML file; they override the preset.")
    ] = None,
    from_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Start from the settings of a saved folder, train on --data, and compare the new model with the saved one.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set any setting, as in training.patience=3; repeat for more."),
    ] = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the configuration as TOML and exit.")
    ] = False,
    **flags: str | list[str] | bool | None,
) -> None:
    """Fine-tune a model, compare before and after on the same rows, save it, and verify what was saved.

    Examples:
    $ emotune run --preset quickstart
    $ emotune run
    $ emotune run --model distilbert-base-uncased --epochs 3 --output tuned
    $ emotune run --data reviews.csv --text-column review --label-column stars
    $ emotune run --data posts.csv --group-column author
    $ emotune run --data small.csv --folds 5
    $ emotune run --data comments.csv --label-columns toxic,insult,threat
    $ emotune run --full-baseline --margin 1
    $ emotune run --from-folder last_month --data this_month.csv --output this_month
    $ emotune run --config my.toml --set training.patience=3 --show-config
    """
    from emotune.settings.run import RunConfig

    start = None
    if from_folder is not None:
        from emotune.folder.format import read_description
        from emotune.settings.stored import left_note, start_from

        if preset is not None:
            raise ConfigError(
                "--preset and --from-folder both name settings to start from. Give one of the two; options and --config override it."
            )
        description = read_description(from_folder)
        start = start_from(description, from_folder)
    configuration = RunConfig.load(preset, config, [*overrides(FLAGS, flags), *(settings or [])], start=start)
    from emotune.cli.console import ConsoleProgress, command_name, print_notice

    if start is not None and (note := left_note(start, configuration)):
        print_notice(note)
    if show_config:
        typer.echo(configuration.to_toml(), nl=False)
        return

    from emotune import pipeline
    from emotune.evaluation.words.formats import duration
    from emotune.system.text import printable

    previous = None
    if from_folder is not None:
        from emotune.evaluation.previous import Previous
        from emotune.settings.stored import seen_by

        previous = Previous(from_folder, description, *seen_by(description, from_folder))
    try:
        result = pipeline.run(configuration, ConsoleProgress(pipeline.steps(configuration)), previous=previous)
    except KeyboardInterrupt as error:
        if pipeline.checkpoints_of(configuration).unfinished:
            parts = "epochs" if configuration.data.folds is None else "folds"
            kept = f"The finished {parts} are kept; the same command with --resume continues from there."
            raise KeyboardInterrupt(kept) from error
        raise
    folder = printable(shlex.quote(str(result.folder)))
    base = "" if result.local_base is None else f" --base {printable(shlex.quote(result.local_base))}"
    typer.echo(
        f"\n{result.verdict}\n\nDone in {duration(result.seconds)}. The report is {printable(str(result.report))}"
    )
    typer.echo(f"The tuned model is in {folder}; try it:")
    typer.echo(f"  {printable(command_name())} predict {folder}{base} {example_words(result.classifier.pairs)}")

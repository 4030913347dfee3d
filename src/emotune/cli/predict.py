"""`emotune predict`: label the texts of a file, of standard input or of the command line with a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from emotune.cli.arguments import (
    TEXTS,
    Base,
    Device,
    Folder,
    Precision,
    TextColumn,
    TextPairColumn,
    reading_options,
    share,
    whole_number,
    with_reading,
)
from emotune.cli.prediction import Asked, Output, predict_here, predict_on_ray
from emotune.cli.sources import ABOUT_LINES, find_source, open_source
from emotune.system.errors import ConfigError
from emotune.system.wording import quoted, word

_ON_ERROR = ("stop", "skip")
_ENGINES = ("local", "ray")


class PredictCommand(TyperCommand):
    """The command `predict`, which explains how to give a text that begins with a hyphen."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; the message for an unknown option says how to give it as a text."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # The module of this class in Typer changes from version to version.
            if type(error).__name__ != "NoSuchOption":
                raise
            option = str(getattr(error, "option_name", ""))
            text = next((argument for argument in given if argument.startswith(option)), option)
            words = error.format_message() if hasattr(error, "format_message") else str(error)
            message = str(words).removesuffix(".")
            folder = word(given[0]) if not given[0].startswith("-") else "DIR"
            raise ConfigError(
                f"{message}. A text that begins with - goes after --, which ends the options:\n"
                f"  emotune predict {folder} -- {word(text)}"
            ) from None


@with_reading
def predict(
    folder: Folder,
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE|TEXT",
            help="A file of texts in any format that emotune reads, a pattern of files, a URL, - for standard input, or the texts "
            "themselves. Standard input is lines of text unless an option is about its rows. With --engine ray: files, "
            "folders, patterns and URLs.",
        ),
    ] = None,
    file: Annotated[
        str | None, typer.Option(metavar="FILE", help=f"The texts, whatever their name is: {TEXTS}.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to a file; its suffix names the format."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="NAME", help="csv, tsv, jsonl, parquet or text; that of the input if not given."
        ),
    ] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Add the probability of every label.")] = False,
    top_k: Annotated[
        int,
        typer.Option(metavar="N", parser=whole_number("--top-k", 1), help="Add the N likeliest labels."),
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Short for --format jsonl --probabilities.")] = False,
    on_error: Annotated[
        str,
        typer.Option(
            metavar="stop|skip",
            help="What to do about rows without a usable text: stop before the first prediction, or leave them out and "
            "list them in OUTPUT.skipped.csv.",
        ),
    ] = "stop",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted job.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --output.")] = False,
    keep_formulas: Annotated[
        bool,
        typer.Option(
            "--keep-formulas",
            help="Write CSV cells that a spreadsheet would run as formulas unchanged, without an apostrophe before them.",
        ),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(metavar="NAME", help="local, or ray for a Ray cluster; RAY_ADDRESS names it."),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number("--workers", 1),
            help="Models of --engine ray; one per GPU, or per processor but one, if not given.",
        ),
    ] = None,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    base: Base = None,
    calibrated: Annotated[
        bool,
        typer.Option(
            "--calibrated", help="Scale probabilities by the temperature fitted on validation; no label changes."
        ),
    ] = False,
    least_probability: Annotated[
        float,
        typer.Option(
            metavar="P",
            parser=share("--least-probability", "0.8", ends=True),
            help="Give no label to a text whose best label has a lower probability than this, from 0 to 1.",
        ),
    ] = 0.0,
    device: Device = "auto",
    precision: Precision = "auto",
    **reading: Any,
) -> None:
    """Label texts. The rows of a file keep their columns, and get a label and its probability.

    The output has the input's format, or that of its suffix. Texts of the command line and lines of text
    give one line each: label, probability and text, separated by tabs.
    With --least-probability the label of an unsure text is empty.
    Memory is constant. An output file appears under its name when it is complete; after an interruption,
    the same command with --resume continues. A text that begins with - goes after --.
    With --engine ray the output is a folder of parts; every row is in it exactly once.

    Examples:
    $ emotune predict fine_tuned_lora_model "I did not expect this at all"
    $ emotune predict fine_tuned_lora_model messages.csv --text-column message -o labelled.csv
    $ emotune predict fine_tuned_lora_model messages.parquet -o labelled.parquet --probabilities
    $ emotune predict model_of_pairs "a man plays the guitar" "somebody makes music"
    $ emotune predict fine_tuned_lora_model -- "-1 stars, would not buy again"
    $ echo "what a lovely day" | emotune predict fine_tuned_lora_model --json
    """
    if as_json and form not in (None, "jsonl"):
        raise ConfigError(
            f"--json is short for --format jsonl --probabilities, and --format is {quoted(form)}. Give one."
        )
    form, probabilities = ("jsonl", True) if as_json else (form, probabilities)
    if on_error not in _ON_ERROR:
        raise ConfigError(f"--on-error is {quoted(on_error)}; expected {' or '.join(_ON_ERROR)}.")
    for option, is_given in (("--overwrite", overwrite), ("--resume", resume)):
        if is_given and output is None:
            raise ConfigError(f"{option} was given without --output. Add --output FILE, or leave it out.")
    to = Output(output, form, overwrite, resume, on_error == "stop", keep_formulas)
    how = reading_options(reading)
    asked = Asked(
        folder,
        base,
        text_column,
        text_pair_column,
        how,
        probabilities,
        top_k,
        least_probability,
        calibrated,
        device,
        precision,
    )
    if engine not in _ENGINES:
        raise ConfigError(f"--engine is {quoted(engine)}; expected {' or '.join(_ENGINES)}.")
    if engine == "ray":
        files = [*(given or []), *([] if file is None else [file])]
        predict_on_ray(files, to, asked, workers)
        return
    if workers is not None:
        raise ConfigError("--workers is about --engine ray. Add that, or leave it out.")
    source = find_source(folder, given or [], file)
    about_rows = {"text_column": text_column, "text_pair_column": text_pair_column, **how}
    for option, value in about_rows.items():
        if value is not None and source.texts:
            about = "standard input, pipes and URLs" if option == "input_format" else "the rows of a file"
            raise ConfigError(
                f"--{option.replace('_', '-')} is about {about}, and texts were given. Give a file, or leave it out."
            )
    from emotune.cli.console import print_notice
    from emotune.folder.columns import unlabelled_columns
    from emotune.folder.facts import facts_of

    # Paths and rows are checked before the model is loaded.
    facts = facts_of(folder, base)
    for note in facts.notes:
        print_notice(note)
    roles = unlabelled_columns(facts.description, text_column, text_pair_column)
    of_rows = {name: value for name, value in about_rows.items() if value is not None and name not in ABOUT_LINES}
    opened = open_source(source, {**how, **roles}, rows=of_rows not in ({}, {"input_format": "text"}))
    predict_here(opened, to, asked, facts)

"""`emotune predict`: label texts with a saved model."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from emotune.cli.arguments import Base, Folder, MaxCharacters, TextColumn
from emotune.data.wording import quoted
from emotune.errors import ConfigError, DataError
from emotune.output import open_output
from emotune.text import is_blank

if TYPE_CHECKING:
    from emotune.inference.predict import Predictions

_LINES_LOOKED_AT = 1000


def _probability(value: str | float) -> float:
    """The value of --least-probability; the conversion of a float would take "nan", and say little of anything else."""
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not 0 <= found <= 1:  # NaN is not, either
        raise ConfigError(f"--least-probability is {quoted(value)}; expected a number from 0 to 1, such as 0.8.")
    return found


def predict(
    folder: Folder,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Texts; without any, they come from --file or standard input."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File of texts: one a line (.txt), or CSV, TSV, JSON Lines, Parquet."),
    ] = None,
    text_column: TextColumn = None,
    max_characters: MaxCharacters = None,
    base: Base = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, with every label's probability.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to a file instead of standard output.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --output.")] = False,
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
            parser=_probability,
            help="Give no label to a text whose best one is less probable than this, from 0 to 1.",
        ),
    ] = 0.0,
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="cpu, cuda or mps; auto takes the first of cuda, mps and cpu that is there."),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="fp32, bf16 or int8; auto is bf16 where the hardware multiplies it, else fp32."
        ),
    ] = "auto",
) -> None:
    """Label texts: one line a text, with label, probability and text separated by tabs.

    With --least-probability the label of an unsure text is empty, and null in JSON.

    Examples:
    $ emotune predict fine_tuned_lora_model "I did not expect this at all"
    $ emotune predict fine_tuned_lora_model --file messages.csv --text-column message --output labelled.tsv
    $ echo "what a lovely day" | emotune predict fine_tuned_lora_model --json
    """
    for option, value in (("--text-column", text_column), ("--max-characters", max_characters)):
        if value is not None and file is None:
            raise ConfigError(
                f"{option} is about the rows of a file, and no file was given. Add --file, or leave it out."
            )
    if overwrite and output is None:
        raise ConfigError("--overwrite was given without --output. Add --output FILE, or leave it out.")
    from emotune.artifact import load, read_description

    # Everything that can be wrong with a path comes up before the model is loaded; what is wrong with standard input comes up
    # when reading gets there, since nobody can read it twice.
    read_description(folder)
    with open_output(output, overwrite) as target:
        messages = _open_texts(texts or [], file, text_column, max_characters)
        from emotune.cli.console import ConsoleProgress, make_console, print_notice
        from emotune.inference.predict import predict_stream
        from emotune.precision import choose_device
        from emotune.report.formats import quantity

        chosen_device = choose_device(device)
        classifier = load(folder, base=base)
        classifier.model.to(chosen_device)
        # The bar stays out of standard output, which is for the labels.
        progress = ConsoleProgress(1, make_console(stderr=True))
        total = cut = unsure = 0
        chunks = predict_stream(classifier, messages, precision=precision, calibrated=calibrated, progress=progress)
        for predictions in chunks:
            for line in _lines(predictions, least_probability, as_json=as_json):
                target.write(line + "\n")
            target.flush()
            total += len(predictions.texts)
            cut += predictions.truncated
            unsure += int((predictions.probabilities.max(axis=1) < least_probability).sum())
    if cut:
        print_notice(f"Cut to the model's {classifier.max_length} tokens: {quantity(cut, 'text')} of {total:,}.")
    if unsure:
        print_notice(
            f"No label, being less probable than {least_probability:g}: {quantity(unsure, 'text')} of {total:,}."
        )


def _open_texts(
    arguments: list[str], file: Path | None, text_column: str | None, max_characters: int | None
) -> Iterable[str]:
    """The texts to label, from the one place that the user chose; a file is read once to be checked, and again to be labelled."""
    if arguments and file is not None:
        raise ConfigError("Texts were given both as arguments and with --file. Give one of the two.")
    if file is not None:
        from emotune.data.load import MAX_CHARACTERS, load_texts

        limit = MAX_CHARACTERS if max_characters is None else max_characters
        for _ in load_texts(file, text_column=text_column, max_characters=limit):
            pass
        return load_texts(file, text_column=text_column, max_characters=limit)
    if arguments:
        for number, text in enumerate(arguments, start=1):
            # The shell's bytes that are not UTF-8 arrive as lone surrogates.
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise DataError(f"Text {number} of the command line is not UTF-8. Convert it, for example with iconv.")
        return arguments
    if sys.stdin.isatty():
        raise ConfigError(
            "There is no text to label. Give it as an argument, with --file, or on standard input:\n"
            '  emotune predict DIR "I did not expect this at all"'
        )
    lines = _lines_of(sys.stdin.buffer)
    # The first lines are looked at before the model is loaded: a short input is then checked whole.
    first = list(islice(lines, _LINES_LOOKED_AT))
    if not first:
        raise DataError("Standard input is empty. Expected one text a line.")
    return chain(first, lines)


def _lines_of(stream: BinaryIO) -> Iterator[str]:
    """One text a line of standard input."""
    for number, line in enumerate(stream, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise DataError(
                f"Line {number:,} of standard input is not UTF-8. Convert it, for example with iconv."
            ) from None
        if is_blank(text):
            raise DataError(f"Line {number:,} of standard input is blank. Fill it in, or drop it.")
        yield text.removesuffix("\n").removesuffix("\r")


def _lines(predictions: Predictions, least_probability: float, *, as_json: bool) -> Iterator[str]:
    from emotune.text import printable

    rows = zip(predictions.texts, predictions.labels, predictions.probabilities.tolist(), strict=True)
    for text, label, row in rows:
        probabilities = dict(zip(predictions.label_names, row, strict=True))
        sure = probabilities[label] >= least_probability
        if as_json:
            found = {"text": text, "label": label if sure else None, "probabilities": probabilities}
            yield json.dumps(found, ensure_ascii=False)
        else:
            yield f"{printable(label) if sure else ''}\t{probabilities[label]:.4f}\t{printable(text)}"

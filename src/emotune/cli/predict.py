"""`emotune predict`: label texts with a saved model."""

from __future__ import annotations

import json
import math
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from typer.core import TyperCommand

from emotune.cli.arguments import Base, Folder, MaxCharacters, TextColumn
from emotune.system.errors import ConfigError, DataError
from emotune.system.output import open_output
from emotune.system.text import is_blank
from emotune.system.wording import counted, in_full, numbered, quoted, word

if TYPE_CHECKING:
    from emotune.inference.predictor import Predictions

_LINES_LOOKED_AT = 1000
_BLANK_LINES_NAMED = 8


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


def _probability(value: str | float) -> float:
    """Parse the value of --least-probability; `float` would accept "nan", and explain mistakes badly."""
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not 0 <= found <= 1:  # also true for NaN
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
        typer.Option(metavar="FILE", help="File of texts: one per line (.txt), or CSV, TSV, JSON Lines, Parquet."),
    ] = None,
    text_column: TextColumn = None,
    max_characters: MaxCharacters = None,
    base: Base = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line, with every label's probability.")
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
            help="Give no label to a text whose best label has a lower probability than this, from 0 to 1.",
        ),
    ] = 0.0,
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="cpu, cuda or mps; auto is the first available of cuda, mps and cpu."),
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="fp32, bf16 or int8; auto is bf16 where the hardware multiplies it, else fp32."
        ),
    ] = "auto",
) -> None:
    """Label texts: one line per text, with label, probability and text separated by tabs.

    With --least-probability the label of an unsure text is empty, and null in JSON.
    Blank lines of standard input and of .txt files are skipped and counted; with --json
    each object then has the number of its line, or of its row. A text that begins with - goes after --.

    Examples:
    $ emotune predict fine_tuned_lora_model "I did not expect this at all"
    $ emotune predict fine_tuned_lora_model --file messages.csv --text-column message --output labelled.tsv
    $ emotune predict fine_tuned_lora_model -- "-1 stars, would not buy again"
    $ echo "what a lovely day" | emotune predict fine_tuned_lora_model --json
    """
    for option, value in (("--text-column", text_column), ("--max-characters", max_characters)):
        if value is not None and file is None:
            raise ConfigError(
                f"{option} is about the rows of a file, and no file was given. Add --file, or leave it out."
            )
    if overwrite and output is None:
        raise ConfigError("--overwrite was given without --output. Add --output FILE, or leave it out.")
    from emotune.folder.format import read_description

    # Paths are checked before the model is loaded. Mistakes in standard input are found while it is read, since it
    # cannot be read twice.
    read_description(folder)
    with open_output(output, overwrite) as target:
        blank = BlankLines()
        opened = _open_texts(folder, texts or [], file, text_column, max_characters, blank)
        numbers: deque[int] = deque()
        messages = _noting_numbers(opened, numbers)
        from emotune.cli.console import ConsoleProgress, make_console, print_notice
        from emotune.folder.load import load
        from emotune.inference.predictor import Predictor
        from emotune.system.precision import choose_device

        chosen_device = choose_device(device)
        classifier = load(folder, base=base)
        classifier.model.to(chosen_device)
        predictor = Predictor(classifier, precision=precision, calibrated=calibrated)
        del classifier  # its layers without adapters are no longer needed
        # The bar goes to standard error, since standard output has the labels.
        progress = ConsoleProgress(1, make_console(stderr=True))
        total = cut = unsure = 0
        for predictions in predictor.stream(messages, progress=progress):
            of_chunk = [numbers.popleft() for _ in predictions.texts]
            for line in _lines(predictions, least_probability, of_chunk, opened.unit, as_json=as_json):
                target.write(line + "\n")
            target.flush()
            total += len(predictions.texts)
            cut += predictions.truncated
            unsure += int((predictions.probabilities.max(axis=1) < least_probability).sum())
    if blank.count:
        print_notice(f"Skipped: {counted(blank.count, 'blank line')} ({numbered('line', blank.first, blank.count)}).")
    if cut:
        print_notice(f"Cut to the model's {predictor.max_length} tokens: {counted(cut, 'text')} of {total:,}.")
    if unsure:
        print_notice(
            f"No label, being less probable than {least_probability:g}: {counted(unsure, 'text')} of {total:,}."
        )


@dataclass
class BlankLines:
    """Skipped blank lines.

    Attributes:
        count: Their number.
        first: Line numbers of the first ones.
    """

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        """Count a line."""
        self.count += 1
        if len(self.first) < _BLANK_LINES_NAMED:
            self.first.append(number)


@dataclass(frozen=True)
class _Opened:
    """Texts with their numbers, and the unit of the numbers: "line", "row", or "" for texts of the command line."""

    rows: Iterable[tuple[int, str]]
    unit: str = ""


def _open_texts(
    folder: Path,
    arguments: list[str],
    file: Path | None,
    text_column: str | None,
    max_characters: int | None,
    blank: BlankLines,
) -> _Opened:
    """Return the texts of the arguments, the file or standard input; a file is read twice, first to check it."""
    if arguments and file is not None:
        raise ConfigError("Texts were given both as arguments and with --file. Give one of the two.")
    if file is not None:
        if str(file) in ("-", "/dev/stdin"):
            raise ConfigError(
                f"--file is {str(file)!r}; standard input is read if neither --file nor a text is given. "
                "Leave --file out."
            )
        from emotune.cli.console import print_notice
        from emotune.data.load import open_texts
        from emotune.data.options import MAX_CHARACTERS

        limit = MAX_CHARACTERS if max_characters is None else max_characters
        found = open_texts(file, text_column=text_column, max_characters=limit)
        for note in found.notes:
            print_notice(note)
        for _ in found.rows:
            pass
        found = open_texts(file, text_column=text_column, max_characters=limit, on_blank=blank.add)
        return _Opened(found.rows, found.unit)
    if arguments:
        for number, text in enumerate(arguments, start=1):
            # The shell's bytes that are not UTF-8 arrive as lone surrogates.
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise DataError(f"Text {number} of the command line is not UTF-8. Convert it, for example with iconv.")
            _refuse_file_name(text)
        return _Opened(list(enumerate(arguments, start=1)))
    if sys.stdin.isatty():
        raise ConfigError(
            "There is no text to label. Give it as an argument, with --file, or on standard input:\n"
            f'  emotune predict {word(folder)} "I did not expect this at all"'
        )
    lines = _lines_of(sys.stdin.buffer, blank)
    # The first lines are checked before the model is loaded; for a short input, this is all of it.
    first = list(islice(lines, _LINES_LOOKED_AT))
    if not first:
        what = "has nothing but blank lines" if blank.count else "is empty"
        raise DataError(f"Standard input {what}. Expected one text per line.")
    return _Opened(chain(first, lines), "line")


def _refuse_file_name(text: str) -> None:
    """Refuse a text that is a file's name, since its label would not be about the texts in the file."""
    from emotune.data.files import KNOWN_SUFFIXES

    path = Path(text)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # a text too long to be a name, or with a NUL character
        return
    looks_like_one = path.suffix.lower() in KNOWN_SUFFIXES and not any(character.isspace() for character in text)
    if is_file or looks_like_one:
        seen = "is a file" if is_file else "looks like the name of a file, and there is none"
        raise ConfigError(
            f"{in_full(text)} {seen}. To label the texts in a file, use --file {word(text)}. "
            "To label the name itself, give it on standard input."
        )


def _noting_numbers(opened: _Opened, numbers: deque[int]) -> Iterator[str]:
    """Yield the texts, and append their numbers to a queue for their labels."""
    for number, text in opened.rows:
        numbers.append(number)
        yield text


def _lines_of(stream: BinaryIO, blank: BlankLines) -> Iterator[tuple[int, str]]:
    """Yield one text per line of standard input, with the line's number; blank lines are skipped and counted."""
    for number, line in enumerate(stream, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise DataError(
                f"Line {number:,} of standard input is not UTF-8. Convert it, for example with iconv."
            ) from None
        if is_blank(text):
            blank.add(number)
            continue
        yield number, text.removesuffix("\n").removesuffix("\r")


def _lines(
    predictions: Predictions, least_probability: float, numbers: Sequence[int], unit: str, *, as_json: bool
) -> Iterator[str]:
    from emotune.system.text import printable

    rows = zip(numbers, predictions.texts, predictions.labels, predictions.probabilities.tolist(), strict=True)
    for number, text, label, row in rows:
        probabilities = dict(zip(predictions.label_names, row, strict=True))
        sure = probabilities[label] >= least_probability
        if as_json:
            place = {unit: number} if unit else {}
            found = {**place, "text": text, "label": label if sure else None, "probabilities": probabilities}
            yield json.dumps(found, ensure_ascii=False)
        else:
            yield f"{printable(label) if sure else ''}\t{probabilities[label]:.4f}\t{printable(text)}"

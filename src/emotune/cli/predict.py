"""`emotune predict`: label the texts of a file, of standard input or of the command line with a saved model."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from emotune.cli.arguments import Base, Folder, MaxCharacters, TextColumn, whole_number
from emotune.system.errors import ConfigError, DataError
from emotune.system.wording import counted, escaped, in_full, numbered, quoted, word

if TYPE_CHECKING:
    from emotune.bulk.local import Done
    from emotune.data.unlabelled import Chunk, Unlabelled
    from emotune.inference.predictor import Predictor

_ON_ERROR = ("stop", "skip")
_ENGINES = ("local", "ray")
_STANDARD_INPUT = ("-", "/dev/stdin")


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
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE|TEXT",
            help="A file of texts (.csv, .tsv, .jsonl, .parquet, or .txt with one text per line; compressed or not), "
            "- for standard input, or the texts themselves. With --engine ray: files, folders, patterns and URLs.",
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="The file of texts, whatever its name is.")] = None,
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
    input_format: Annotated[
        str | None, typer.Option(metavar="NAME", help="Format of standard input; text, one per line, if not given.")
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
    max_characters: MaxCharacters = None,
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
    to = _Output(output, form, overwrite, resume, on_error == "stop", keep_formulas)
    asked = _Asked(probabilities, top_k, least_probability, calibrated, device, precision)
    if engine not in _ENGINES:
        raise ConfigError(f"--engine is {quoted(engine)}; expected {' or '.join(_ENGINES)}.")
    if engine == "ray":
        _predict_on_ray(
            [*(given or []), *([] if file is None else [str(file)])],
            folder,
            base,
            to,
            asked,
            workers,
            text_column,
            max_characters,
        )
        return
    if workers is not None:
        raise ConfigError("--workers is about --engine ray. Add that, or leave it out.")
    source = _source(folder, given or [], file)
    for option, value in (("--text-column", text_column), ("--max-characters", max_characters)):
        if value is not None and source.path is None and input_format is None:
            raise ConfigError(
                f"{option} is about the rows of a file, and no file was given. Give one, or leave it out."
            )
    if input_format is not None and not source.is_standard_input:
        raise ConfigError("--input-format is about standard input; a file's suffix names its format. Leave it out.")
    from emotune.folder.format import read_description

    # Paths and rows are checked before the model is loaded.
    description = read_description(folder)
    with _opened(source, input_format, text_column, max_characters) as opened:
        _predict(opened, folder, base, to, asked, description)


@dataclass(frozen=True)
class _Source:
    """Where texts come from: a file, the command line, or standard input."""

    path: Path | None = None
    texts: tuple[str, ...] = ()

    @property
    def is_standard_input(self) -> bool:
        return self.path is None and not self.texts


@dataclass(frozen=True)
class _Output:
    """Where predictions go."""

    path: Path | None
    form: str | None
    overwrite: bool
    resume: bool
    stop: bool
    keep_formulas: bool


@dataclass(frozen=True)
class _Asked:
    """What is predicted, and how."""

    probabilities: bool
    top_k: int
    least_probability: float
    calibrated: bool
    device: str
    precision: str


def _source(folder: Path, given: Sequence[str], file: Path | None) -> _Source:
    """Return what the arguments name."""
    if given and file is not None:
        raise ConfigError("Texts were given both as arguments and with --file. Give one of the two.")
    if file is not None:
        return _Source() if str(file) in _STANDARD_INPUT else _Source(file)
    if len(given) == 1 and given[0] in _STANDARD_INPUT:
        return _Source()
    if not given:
        if sys.stdin.isatty():
            raise ConfigError(
                "There is no text to label. Give a file, a text, or - for standard input:\n"
                f'  emotune predict {word(folder)} "I did not expect this at all"'
            )
        return _Source()
    files = [text for text in given if _names_file(text)]
    if len(given) == 1 and files:
        return _Source(Path(given[0]))
    if files:
        raise ConfigError(
            f"{in_full(files[0])} names a file, and {len(given)} arguments were given. Give one file at a time; "
            "to label the name itself, give it on standard input."
        )
    for number, text in enumerate(given, start=1):
        # The shell's bytes that are not UTF-8 arrive as lone surrogates.
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise DataError(f"Text {number} of the command line is not UTF-8. Convert it, for example with iconv.")
    return _Source(texts=tuple(given))


def _names_file(text: str) -> bool:
    """Return whether a text is a file's name, or can only be one: a label of it would not be about the file's texts."""
    from emotune.data.compression import format_suffix
    from emotune.data.files import KNOWN_SUFFIXES

    path = Path(text)
    try:
        if path.is_file():
            return True
    except (OSError, ValueError):  # a text too long to be a name, or with a NUL character
        return False
    return format_suffix(path) in KNOWN_SUFFIXES and not any(character.isspace() for character in text)


@contextmanager
def _opened(
    source: _Source, input_format: str | None, text_column: str | None, max_characters: int | None
) -> Iterator[Unlabelled]:
    """Open the input; standard input of rows is copied to a temporary file, since rows are read twice."""
    from emotune.data.options import MAX_CHARACTERS
    from emotune.data.unlabelled import lines_of, open_unlabelled, texts_of
    from emotune.data.writing import format_of

    limit = MAX_CHARACTERS if max_characters is None else max_characters
    if source.path is not None:
        yield open_unlabelled(source.path, text_column=text_column, max_characters=limit)
    elif source.texts:
        yield texts_of(source.texts, "The command line")
    elif input_format is None or format_of(input_format) == "text":
        yield lines_of(sys.stdin.buffer, "Standard input", limit)
    else:
        with tempfile.TemporaryDirectory(prefix="emotune-") as held:
            copy = Path(held) / f"standard-input.{input_format}"
            with copy.open("wb") as stream:
                while block := sys.stdin.buffer.read(1 << 20):
                    stream.write(block)
            yield open_unlabelled(copy, text_column=text_column, max_characters=limit)


def _predict(given: Unlabelled, folder: Path, base: str | None, to: _Output, asked: _Asked, description: Any) -> None:
    """Check the input and the output, load the model, predict, and say what was left out."""
    from emotune.bulk.answers import AnswerColumns, Wanted
    from emotune.bulk.local import Job, predict_to_file, predict_to_stream, skipped_file
    from emotune.bulk.outputs import format_for, format_name
    from emotune.cli.console import ConsoleProgress, make_console, print_notice
    from emotune.data.unlabelled import look_at_first, look_through
    from emotune.system.output import check_file
    from emotune.tasks.registry import TASKS

    name = format_name(given, to.path, to.form)
    if to.path is not None:
        check_file(to.path, to.overwrite)
    elif name == "parquet" and sys.stdout.isatty():
        raise ConfigError("Parquet is binary, and a terminal cannot show it. Add -o FILE, or --format jsonl.")
    if given.once and to.resume:
        raise ConfigError("Standard input can be read only once, so its job cannot be continued. Leave --resume out.")
    for note in given.notes:
        print_notice(note)
    chunks: Iterator[Chunk] | None = None
    if given.once:
        look, chunks = look_at_first(given, stop=to.stop)
    else:
        look = look_through(given, stop=to.stop, schema=name == "parquet")
    wanted = Wanted(asked.least_probability, asked.probabilities, asked.top_k)
    own = () if name == "text" else look.columns
    columns = AnswerColumns(TASKS[description.task], description.labels, wanted, own, nested=name == "jsonl")
    if columns.is_prefixed:
        print_notice(f"The input has such columns, so those of the predictions are named {', '.join(columns.names)}.")
    predictor = _load(folder, base, asked)
    job = Job(
        predictor,
        given,
        columns,
        format_for(name, given, look, columns, keep_formulas=to.keep_formulas),
        numbered=name == "jsonl" and given.blank_lines,
        stop=to.stop,
    )
    if to.path is None:
        done, left_out = predict_to_stream(job, chunks or given.chunks(0), sys.stdout.buffer)
        _report(
            done, asked, predictor.max_length, numbered(given.unit, [row.number for row in left_out], done.left_out)
        )
        return
    began = time.monotonic()
    done = predict_to_file(
        job,
        to.path,
        _identity(folder, given, name, to, asked, predictor),
        chunks=chunks,
        total=0 if given.once else look.read,
        resume=to.resume,
        overwrite=to.overwrite,
        progress=ConsoleProgress(1, make_console(stderr=True)),
    )
    _report(done, asked, predictor.max_length, f"listed in {escaped(skipped_file(to.path))}", time.monotonic() - began)


def _predict_on_ray(
    given: list[str],
    folder: Path,
    base: str | None,
    to: _Output,
    asked: _Asked,
    workers: int | None,
    text_column: str | None,
    max_characters: int | None,
) -> None:
    """Predict files on a cluster, and say what was left out."""
    from emotune.system.extras import require

    require("ray", ["fsspec", "ray"], "--engine ray")
    if not given or to.path is None:
        raise ConfigError("--engine ray reads files and writes a folder. Give at least one FILE, and --output FOLDER.")
    for option, wrong in (("--resume", to.resume), ("--device", asked.device != "auto")):
        if wrong:
            raise ConfigError(f"{option} is not for --engine ray. Leave it out.")
    from emotune.bulk.answers import Wanted
    from emotune.bulk.cluster import ClusterJob, cluster_format, find_files, predict_on_cluster
    from emotune.cli.console import ConsoleProgress, make_console, print_notice
    from emotune.data.options import MAX_CHARACTERS
    from emotune.evaluation.words.formats import duration
    from emotune.folder.format import read_description

    description = read_description(folder)
    files = find_files(given)
    began = time.monotonic()
    done = predict_on_cluster(
        ClusterJob(
            folder=str(folder.resolve()),
            files=files,
            output=_place(to.path),
            format=cluster_format(files, to.form),
            base=base,
            wanted=Wanted(asked.least_probability, asked.probabilities, asked.top_k),
            text_column=text_column,
            max_characters=MAX_CHARACTERS if max_characters is None else max_characters,
            stop=to.stop,
            keep_formulas=to.keep_formulas,
            calibrated=asked.calibrated,
            precision=asked.precision,
        ),
        workers=workers,
        overwrite=to.overwrite,
        progress=ConsoleProgress(1, make_console(stderr=True)),
    )
    print_notice(
        f"Labelled: {counted(done.labelled, 'text')} of {counted(len(files), 'file')} "
        f"in {duration(time.monotonic() - began)}; every row is there exactly once."
    )
    _report(done, asked, description.max_length, f"listed in {escaped(to.path)}/_skipped.csv")


def _place(path: Path) -> str:
    """Return the output's URL, whose second slash a path has lost, or its absolute path."""
    scheme, separator, rest = str(path).partition(":/")
    return f"{scheme}://{rest}" if separator and scheme.isalnum() and len(scheme) > 1 else str(path.resolve())


def _load(folder: Path, base: str | None, asked: _Asked) -> Predictor:
    from emotune.folder.load import load
    from emotune.inference.predictor import Predictor
    from emotune.system.precision import choose_device

    device = choose_device(asked.device)
    classifier = load(folder, base=base)
    classifier.model.to(device)
    return Predictor(classifier, precision=asked.precision, calibrated=asked.calibrated)


def _identity(
    folder: Path, given: Unlabelled, name: str, to: _Output, asked: _Asked, predictor: Predictor
) -> dict[str, object]:
    """Return what the content of the output depends on, by name in messages."""
    from emotune.folder.format import sha256
    from emotune.system.output import DESCRIPTION

    return {
        "the model": sha256(folder / DESCRIPTION),
        "the input": given.identity,
        "the column of texts": given.text,
        "--format": name,
        "--on-error": "stop" if to.stop else "skip",
        "--keep-formulas": to.keep_formulas,
        "--probabilities": asked.probabilities,
        "--top-k": asked.top_k,
        "--least-probability": asked.least_probability,
        "--calibrated": asked.calibrated,
        "--precision": predictor.precision,
        "--device": asked.device,
    }


def _report(done: Done, asked: _Asked, max_length: int, where: str, seconds: float | None = None) -> None:
    """Say on standard error what was done and left out."""
    from emotune.cli.console import print_notice
    from emotune.evaluation.words.formats import duration

    if seconds is not None:
        print_notice(f"Labelled: {counted(done.labelled, 'text')} in {duration(seconds)}.")
    if done.blank and not done.skipped:
        print_notice(f"Skipped: {counted(done.blank, 'blank line')} ({where}).")
    elif done.skipped:
        print_notice(f"Skipped: {counted(done.left_out, 'row')} without a usable text ({where}).")
    if done.cut:
        print_notice(f"Cut to the model's {max_length} tokens: {counted(done.cut, 'text')} of {done.labelled:,}.")
    if done.unsure:
        print_notice(
            f"No label, being less probable than {asked.least_probability:g}: "
            f"{counted(done.unsure, 'text')} of {done.labelled:,}."
        )

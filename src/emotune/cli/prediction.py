"""Prediction as `emotune predict` does it, in this process or on a cluster, with its messages."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.system.errors import ConfigError
from emotune.system.wording import counted, escaped

if TYPE_CHECKING:
    from emotune.bulk.local import Done
    from emotune.data.unlabelled import Chunk, Unlabelled
    from emotune.folder.facts import FolderFacts
    from emotune.inference.predictor import Predictor


@dataclass(frozen=True)
class Output:
    """Where predictions go."""

    path: Path | None
    form: str | None
    overwrite: bool
    resume: bool
    stop: bool
    keep_formulas: bool


@dataclass(frozen=True)
class Asked:
    """What is predicted, and how, as the options of the command name it."""

    folder: Path
    base: str | None
    text_column: str | None
    text_pair_column: str | None
    how: Mapping[str, Any]
    probabilities: bool
    top_k: int
    least_probability: float
    calibrated: bool
    device: str
    precision: str


def predict_here(given: Unlabelled, to: Output, asked: Asked, facts: FolderFacts) -> None:
    """Predict texts in this process: check input and output, load the model, predict, and say what was left out."""
    from emotune.bulk.answers import AnswerColumns, Wanted
    from emotune.bulk.local import Job, predict_to_file, predict_to_stream, skipped_file
    from emotune.bulk.outputs import format_for, format_name
    from emotune.cli.console import ConsoleProgress, make_console, print_notice
    from emotune.data.formats.compression import format_suffix
    from emotune.data.look import look_at_first, look_through
    from emotune.data.writing import FORMATS, SHOWN
    from emotune.system.output import check_file
    from emotune.system.parts import Parts

    wanted = Wanted(asked.least_probability, asked.probabilities, asked.top_k)
    wanted.check(facts.labels)
    name = format_name(given, to.path, to.form)
    if to.path is not None:
        check_file(to.path, to.overwrite)
    elif name == "parquet" and sys.stdout.isatty():
        raise ConfigError("Parquet is binary, and a terminal cannot show it. Add -o FILE, or --format jsonl.")
    if given.once and to.resume:
        raise ConfigError("Standard input can be read only once, so its job cannot be continued. Leave --resume out.")
    if to.path is not None and to.resume and not Parts(to.path).left:
        print_notice("There is nothing to resume, so the job begins at the first row.")
    for note in given.notes:
        print_notice(note)
    if (
        given.foreign
        and name == given.format
        and to.form is None
        and not (to.path and format_suffix(to.path) in FORMATS)
    ):
        print_notice(f"{given.source} is {given.foreign}, which is not written: the predictions are {SHOWN[name]}.")
    chunks: Iterator[Chunk] | None = None
    if given.once:
        look, chunks = look_at_first(given, stop=to.stop)
    else:
        look = look_through(given, stop=to.stop, schema=name == "parquet")
    own = () if name == "text" else look.columns
    columns = AnswerColumns(facts.task, facts.labels, wanted, own, nested=name == "jsonl")
    if columns.is_prefixed:
        print_notice(f"The input has such columns, so those of the predictions are named {', '.join(columns.names)}.")
    predictor = _load(asked)
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
        _report(done, asked, predictor.max_length, given.numbered([row.number for row in left_out], done.left_out))
        return
    began = time.monotonic()
    done = predict_to_file(
        job,
        to.path,
        _identity(given, name, to, asked, predictor),
        chunks=chunks,
        total=0 if given.once else look.read,
        resume=to.resume,
        overwrite=to.overwrite,
        progress=ConsoleProgress(1, make_console(stderr=True)),
    )
    _report(done, asked, predictor.max_length, f"listed in {escaped(skipped_file(to.path))}", time.monotonic() - began)


def predict_on_ray(given: list[str], to: Output, asked: Asked, workers: int | None) -> None:
    """Predict files on a cluster, and say what was left out."""
    from emotune.system.extras import require

    require("ray", ["fsspec", "ray"], "--engine ray")
    if not given or to.path is None:
        raise ConfigError("--engine ray reads files and writes a folder. Give at least one FILE, and --output FOLDER.")
    for option, wrong in (
        ("--resume", to.resume),
        ("--device", asked.device != "auto"),
        ("--input-format", "input_format" in asked.how),
    ):
        if wrong:
            raise ConfigError(f"{option} is not for --engine ray. Leave it out.")
    from emotune.bulk.answers import Wanted
    from emotune.bulk.cluster import ClusterJob, predict_on_cluster
    from emotune.bulk.places import SKIPPED, cluster_format, find_files, place
    from emotune.cli.console import ConsoleProgress, make_console, print_notice
    from emotune.evaluation.words.formats import duration
    from emotune.folder.columns import unlabelled_columns
    from emotune.folder.facts import facts_of

    facts = facts_of(asked.folder, asked.base)
    for note in facts.notes:
        print_notice(note)
    wanted = Wanted(asked.least_probability, asked.probabilities, asked.top_k)
    wanted.check(facts.labels)
    files = find_files(given)
    began = time.monotonic()
    done = predict_on_cluster(
        ClusterJob(
            folder=str(asked.folder.resolve()),
            files=files,
            output=place(to.path),
            format=cluster_format(files, to.form),
            base=asked.base,
            wanted=wanted,
            columns=unlabelled_columns(facts.description, asked.text_column, asked.text_pair_column),
            how=asked.how,
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
    _report(done, asked, facts.max_length, f"listed in {escaped(to.path)}/{SKIPPED}")


def _load(asked: Asked) -> Predictor:
    from emotune.cli.console import ConsoleProgress, make_console
    from emotune.folder.load import load
    from emotune.inference.predictor import Predictor
    from emotune.system.precision import choose_device

    device = choose_device(asked.device)
    classifier = load(asked.folder, base=asked.base)
    classifier.model.to(device)
    return Predictor(
        classifier,
        precision=asked.precision,
        calibrated=asked.calibrated,
        progress=ConsoleProgress(1, make_console(stderr=True)),
    )


def _identity(given: Unlabelled, name: str, to: Output, asked: Asked, predictor: Predictor) -> dict[str, object]:
    """Return what the content of the output depends on, by name in messages."""
    from emotune.folder.facts import identity_of

    return {
        "the model": identity_of(asked.folder),
        "the input": given.identity,
        "the column of texts": given.text,
        **({} if given.pair is None else {"the column of second texts": given.pair}),
        **{f"--{option}": value for option, value in asked.how.items() if value is not None},
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


def _report(done: Done, asked: Asked, max_length: int, where: str, seconds: float | None = None) -> None:
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

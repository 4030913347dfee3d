"""Prediction of an input of any length on this machine, in constant memory."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from emotune.bulk.answers import AnswerColumns
from emotune.data.cells import ObjectCells
from emotune.data.formats.compression import SUFFIXES, compressed
from emotune.data.look import refuse_mistakes
from emotune.data.unlabelled import Chunk, Skipped, Unlabelled
from emotune.data.writing import Format, Write
from emotune.inference.predictor import Predictor
from emotune.system.atomic import whole
from emotune.system.errors import OutputError
from emotune.system.parts import Parts
from emotune.system.progress import SILENT, Progress
from emotune.system.wording import escaped

# A part is complete after so many seconds, which is the most work that an interruption can lose.
_SECONDS_PER_PART = 30.0


@dataclass
class Done:
    """Counts of a job.

    Attributes:
        read: Rows read.
        labelled: Rows in the output.
        cut: Texts longer than the model's limit, which were cut.
        unsure: Texts without an answer, as none was probable enough.
        skipped: Rows left out, as they could not be predicted.
        blank: Blank lines left out of an input where they are no mistake.
    """

    read: int = 0
    labelled: int = 0
    cut: int = 0
    unsure: int = 0
    skipped: int = 0
    blank: int = 0

    @property
    def left_out(self) -> int:
        """All rows that are not in the output."""
        return self.skipped + self.blank

    def add(self, other: Done) -> None:
        """Add the counts of another part."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True, eq=False)
class Job:
    """Prediction of an input.

    Attributes:
        predictor: The model.
        given: The input.
        columns: The columns to add.
        format: Format of the output.
        numbered: Add the number of each row's line, where rows have no columns of their own to tell them apart.
        stop: Refuse rows that cannot be predicted, rather than leave them out.
    """

    predictor: Predictor
    given: Unlabelled
    columns: AnswerColumns
    format: Format
    numbered: bool = False
    stop: bool = True

    def run(self, chunks: Iterable[Chunk], write: Write) -> Iterator[tuple[Done, tuple[Skipped, ...]]]:
        """Predict chunks and write their rows; yield the counts of each chunk and the rows left out.

        Raises:
            DataError: A row cannot be predicted and `stop` is true, or the input is damaged.
        """
        waiting: list[Chunk] = []

        def texts() -> Iterator[tuple[str, ...]]:
            for chunk in chunks:
                if self.stop:
                    refuse_mistakes(self.given, chunk)
                waiting.append(chunk)
                yield chunk.texts

        for predictions in self.predictor.predict_each(texts()):
            chunk = waiting.pop(0)
            done = Done(read=chunk.read, labelled=len(chunk.texts), cut=predictions.truncated)
            if chunk.texts:
                added = self.columns.values(predictions)
                done.unsure = sum(answer is None for answer in added[self.columns.label])
                cells = chunk.cells
                if self.numbered:
                    rows = zip(chunk.numbers, cells.objects(), strict=True)
                    cells = ObjectCells([{self.given.unit: number} | row for number, row in rows])
                write(cells, added)
            mistakes = self.given.mistakes(chunk)
            done.skipped = len(mistakes)
            done.blank = len(chunk.skipped) - done.skipped
            yield done, chunk.skipped


def predict_to_stream(job: Job, chunks: Iterable[Chunk], stream: IO[bytes]) -> tuple[Done, list[Skipped]]:
    """Write predictions to a stream, chunk by chunk.

    Returns:
        The counts, and the first rows left out.

    Raises:
        DataError: As `Job.run`.
    """
    total = Done()
    skipped: list[Skipped] = []
    with job.format.open(stream, first=True) as write:
        for done, left_out in job.run(chunks, write):
            total.add(done)
            skipped += left_out[: 8 - len(skipped)]
            stream.flush()
    return total, skipped


def predict_to_file(
    job: Job,
    output: Path,
    identity: Mapping[str, Any],
    *,
    chunks: Iterator[Chunk] | None = None,
    total: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> Done:
    """Write predictions to a file that appears under its name only when it is complete.

    Rows that were left out are listed in `skipped_file(output)`, which is removed if there are none.

    Args:
        job: What to predict.
        output: The file; its last suffix names the compression.
        identity: What the content depends on; an interrupted job is continued only if this is equal.
        chunks: The rows of an input that can be read only once; its job cannot be continued.
        total: Number of rows of the input, for the bar; 0 if it is unknown.
        resume: Continue an interrupted job.
        overwrite: Replace existing files, and discard the parts of an interrupted job.
        progress: Front end that shows a bar.

    Raises:
        OutputError: The file cannot be written, or an interrupted job is in the way.
        DataError: As `Job.run`.
    """
    parts = Parts(output)
    with parts.begun(identity, resume=resume, overwrite=overwrite, keep=chunks is None):
        finished = sum(part.record["done"]["read"] for part in parts.done)
        with progress.bar("predicting", total) as advance:
            advance(finished)
            chunks = chunks or job.given.chunks(finished)
            while _write_part(job, chunks, parts, advance):
                pass
        try:
            with (
                whole(output) as partial,
                partial.open("xb") as file,
                compressed(file, SUFFIXES.get(output.suffix.lower())) as stream,
            ):
                job.format.join([part.path for part in parts.done], stream)
            _write_skipped(job.given.unit, parts, skipped_file(output))
        except OSError as error:
            raise OutputError(f"--output {escaped(output)} could not be written: {error.strerror or error}.") from None
    result = Done()
    for part in parts.done:
        result.add(Done(**part.record["done"]))
    return result


def skipped_file(output: Path) -> Path:
    """Return the path of the list of rows that were left out."""
    return output.with_name(f"{output.name}.skipped.csv")


def _write_part(job: Job, chunks: Iterator[Chunk], parts: Parts, advance: Any) -> bool:
    """Write one part; return False if the input is at its end."""
    began = time.monotonic()
    total = Done()
    skipped: list[Skipped] = []
    with ExitStack() as stack:
        path = stack.enter_context(parts.next())
        stream = stack.enter_context(path.open("xb"))
        write = stack.enter_context(job.format.open(stream, first=not parts.done))
        for done, left_out in job.run(_until(chunks, lambda: time.monotonic() - began > _SECONDS_PER_PART), write):
            total.add(done)
            skipped += left_out
            advance(done.read)
    if not total.read and parts.done:
        return False
    parts.add({"done": asdict(total), "skipped": [[row.number, row.reason] for row in skipped]})
    return bool(total.read)


def _until(chunks: Iterator[Chunk], enough: Any) -> Iterator[Chunk]:
    """Yield chunks until it is enough; at least one."""
    for chunk in chunks:
        yield chunk
        if enough():
            return


def _write_skipped(unit: str, parts: Parts, path: Path) -> None:
    rows = [row for part in parts.done for row in part.record["skipped"]]
    if not rows:
        path.unlink(missing_ok=True)
        return
    with whole(path) as partial, partial.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([unit, "reason"])
        writer.writerows([number, " ".join(reason.split())] for number, reason in rows)

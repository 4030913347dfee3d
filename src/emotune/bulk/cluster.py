"""Prediction of many files on a Ray cluster, with Ray Data: each worker holds a model; the output is a folder of parts.

Three steps: all files are read once, to count rows and to find mistakes; tasks read the files in chunks, and actors
predict each chunk and write it as one part, whose name says which rows it has. A part that is made again after the loss
of a machine replaces the first. At the end, the parts' row numbers must cover those of every file exactly once.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emotune.bulk.answers import AnswerColumns, Wanted
from emotune.bulk.local import Done, Job
from emotune.bulk.outputs import format_for
from emotune.bulk.packing import packed, unpacked
from emotune.bulk.places import Finish, file_system, is_local, output_folder
from emotune.data.look import Look, look_through
from emotune.data.places.texts import open_unlabelled
from emotune.data.unlabelled import CHUNK, Chunk, Unlabelled
from emotune.folder.load import load
from emotune.inference.predictor import Predictor
from emotune.system.cluster import connect
from emotune.system.errors import DataError, EmotuneError, OutputError
from emotune.system.progress import SILENT, Progress
from emotune.system.text import reason_of
from emotune.system.wording import counted, in_full

_SUFFIXES = {"csv": ".csv", "tsv": ".tsv", "jsonl": ".jsonl", "parquet": ".parquet"}


@dataclass(frozen=True)
class ClusterJob:
    """Prediction of files on a cluster.

    Attributes:
        folder: The saved folder, reached by this path on every machine.
        files: Paths or URLs of the input files, of one format, reached on every machine.
        output: Path or URL of the output folder, reached on every machine.
        format: Name of the output's format.
        base: As for `load`.
        wanted: The columns to add.
        columns: "text_column", "text_pair_column", "pairs" and "by_training" of `open_unlabelled`.
        how: Further arguments of `open_unlabelled`.
        stop: Refuse rows that cannot be predicted, before the first prediction.
        keep_formulas: As for `Delimited`.
        calibrated: As for `Predictor`.
        precision: As for `Predictor`.
        rows_per_part: Rows per part of the output, a multiple of `CHUNK`.
    """

    folder: str
    files: tuple[str, ...]
    output: str
    format: str
    base: str | None = None
    wanted: Wanted = field(default_factory=Wanted)
    columns: Mapping[str, Any] = field(default_factory=dict)
    how: Mapping[str, Any] = field(default_factory=dict)
    stop: bool = True
    keep_formulas: bool = False
    calibrated: bool = False
    precision: str = "auto"
    rows_per_part: int = 8 * CHUNK

    @contextmanager
    def opened(self, number: int) -> Iterator[Unlabelled]:
        """Open an input file; one that is not on this machine is copied for the time."""
        url = self.files[number]
        system, path = file_system(url)
        if is_local(system):
            yield self._open(Path(path))
            return
        with tempfile.TemporaryDirectory(prefix="emotune-") as held:
            copy = Path(held) / posixpath.basename(path)
            try:
                system.get_file(path, str(copy))
            except OSError as error:
                raise DataError(f"{in_full(url)} cannot be read: {reason_of(error)}.") from None
            yield self._open(copy)

    def _open(self, path: Path) -> Unlabelled:
        return open_unlabelled(path, **self.columns, **self.how)


def predict_on_cluster(
    job: ClusterJob, *, workers: int | None = None, overwrite: bool = False, progress: Progress = SILENT
) -> Done:
    """Predict the rows of all files, and check that every one is in the output exactly once.

    RAY_ADDRESS names the cluster; without it one is started on this machine.

    Args:
        job: What to predict.
        workers: Number of models; None for one per GPU, or per processor but one.
        overwrite: Replace an existing output.
        progress: Front end that shows bars and says where the job runs.

    Raises:
        OutputError: The output exists, or cannot be written, or rows are missing or repeated in it.
        DataError: A file cannot be read, or has rows that cannot be predicted and `stop` is true.
        ConfigError: The cluster cannot be reached.
    """
    with output_folder(job.output, overwrite) as (written, finish):
        ray, where = connect()
        try:
            return _run(ray, where, job, written, finish, workers, progress)
        finally:
            ray.shutdown()


def _run(
    ray: Any, where: str, job: ClusterJob, written: str, finish: Finish, workers: int | None, progress: Progress
) -> Done:
    from ray.data import DataContext, from_items

    DataContext.get_current().enable_progress_bars = False
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    count = workers or gpus or max(1, int(resources.get("CPU", 1)) - 1)
    progress.say(f"{counted(len(job.files), 'file')} on {where}, {counted(count, 'worker')} with a model each")

    numbers = [{"file": number} for number in range(len(job.files))]
    files = from_items(numbers, override_num_blocks=len(numbers))
    looks: dict[int, int] = {}
    with progress.bar("reading", len(numbers)) as advance:
        for row in _rows(files.map(_Looking(job))):
            _refuse(row)
            looks[row["file"]] = row["read"]
            advance(1)
    parts = (
        files.map_batches(_Reading(job), batch_size=1, batch_format="pyarrow")
        .map_batches(
            Labeller,
            fn_constructor_args=(job, written),
            batch_size=1,
            batch_format="pyarrow",
            concurrency=count,
            num_gpus=1 if gpus else 0,
            num_cpus=1,
        )
    )  # fmt: skip
    made: list[dict[str, Any]] = []
    with progress.bar("predicting", sum(looks.values())) as advance:
        for row in _rows(parts):
            made.append(json.loads(row["part"]))
            _refuse(made[-1])
            advance(made[-1]["done"]["read"])
    check_coverage(looks, made)
    total = Done()
    for part in made:
        total.add(Done(**part["done"]))
    finish(
        _skipped(job, made), {"files": list(job.files), "rows": [looks[at] for at in sorted(looks)], **asdict(total)}
    )
    return total


def check_coverage(looks: dict[int, int], parts: Sequence[dict[str, Any]]) -> None:
    """Check that parts have every row of every file exactly once.

    Args:
        looks: Number of rows by number of the file.
        parts: Of each part its "file", "start" (row number from 0) and "done" with the rows "read".

    Raises:
        OutputError: Rows are missing or repeated.
    """
    for file, rows in looks.items():
        reached = 0
        for part in sorted((part for part in parts if part["file"] == file), key=lambda part: part["start"]):
            if part["start"] != reached:
                what = "missing" if part["start"] > reached else "there twice"
                raise OutputError(f"Rows of file {file + 1} are {what} around row {reached + 1:,}. Run it again.")
            reached += part["done"]["read"]
        if reached != rows:
            raise OutputError(
                f"Of file {file + 1}, {reached:,} rows were predicted, and it has {rows:,}. Run it again."
            )


class _Looking:
    """Task that reads a file once, and counts its rows."""

    def __init__(self, job: ClusterJob) -> None:
        self._job = job

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            with self._job.opened(row["file"]) as given:
                look = look_through(given, stop=self._job.stop, schema=self._job.format == "parquet")
        except EmotuneError as error:
            return {"file": row["file"], "read": 0, "error": str(error)}
        return {"file": row["file"], "read": look.read, "error": ""}


class _Reading:
    """Task that reads a file in chunks."""

    def __init__(self, job: ClusterJob) -> None:
        self._job = job

    def __call__(self, batch: Any) -> Iterator[Any]:
        import pyarrow as pa

        (number,) = batch.column("file").to_pylist()
        per_part = self._job.rows_per_part // CHUNK
        with self._job.opened(number) as given:
            look = look_through(given, stop=self._job.stop, schema=self._job.format == "parquet")
            held: list[Chunk] = []
            start = 0
            for chunk in given.chunks(0):
                held.append(chunk)
                if len(held) == per_part:
                    yield self._block(pa, number, start, held, look)
                    start, held = start + sum(chunk.read for chunk in held), []
            if held:
                yield self._block(pa, number, start, held, look)

    def _block(self, pa: Any, number: int, start: int, held: list[Chunk], look: Look) -> Any:
        schema = None if look.schema is None else look.schema.serialize().to_pybytes()
        return pa.table(
            {
                "file": [number],
                "start": [start],
                "chunks": pa.array([[packed(chunk) for chunk in held]], pa.large_list(pa.large_binary())),
                "columns": [list(look.columns)],
                "schema": pa.array([schema], pa.binary()),
            }
        )


class Labeller:
    """Actor that holds a model, predicts chunks and writes each part.

    Args:
        job: What to predict.
        written: The folder to write to.
    """

    def __init__(self, job: ClusterJob, written: str) -> None:
        import torch

        from emotune.system.precision import choose_device

        torch.set_num_threads(1)  # one processor per worker
        classifier = load(job.folder, base=job.base)
        classifier.model.to(choose_device("auto"))
        self._predictor = Predictor(classifier, precision=job.precision, calibrated=job.calibrated)
        self._job = job
        self._written = written

    def __call__(self, batch: Any) -> Any:
        """Predict and write one part; return its counts."""
        import pyarrow as pa

        row = batch.to_pylist()[0]
        chunks = [unpacked(content) for content in row["chunks"]]
        schema = None if row["schema"] is None else pa.ipc.read_schema(pa.py_buffer(row["schema"]))
        try:
            done, skipped = self._write(row["file"], row["start"], chunks, Look(0, tuple(row["columns"]), schema))
        except EmotuneError as error:
            return pa.table({"part": [json.dumps({"file": row["file"], "error": str(error)})]})
        part = {"file": row["file"], "start": row["start"], "done": asdict(done), "skipped": skipped, "error": ""}
        return pa.table({"part": [json.dumps(part)]})

    def _write(self, file: int, start: int, chunks: list[Chunk], look: Look) -> tuple[Done, list[Any]]:
        job = self._job
        with job.opened(file) as given:
            columns = AnswerColumns(
                self._predictor.task, self._predictor.labels, job.wanted, look.columns, nested=job.format == "jsonl"
            )
            form = format_for(job.format, given, look, columns, keep_formulas=job.keep_formulas)
            work = Job(self._predictor, given, columns, form, stop=job.stop)
        total = Done()
        skipped: list[Any] = []
        content = io.BytesIO()
        with form.open(content, first=True) as write:
            for done, left_out in work.run(chunks, write):
                total.add(done)
                skipped += [[row.number, row.reason] for row in left_out]
        if total.labelled:
            system, folder = file_system(self._written)
            name = f"part-{file:05}-{start:012}{_SUFFIXES[job.format]}"
            with system.open(posixpath.join(folder, name), "wb") as stream:
                stream.write(content.getvalue())
        return total, skipped


def _skipped(job: ClusterJob, parts: Sequence[dict[str, Any]]) -> str:
    """Return the list of rows left out as CSV; "" if there are none."""
    rows = [
        (job.files[part["file"]], number, " ".join(reason.split()))
        for part in sorted(parts, key=lambda part: (part["file"], part["start"]))
        for number, reason in part["skipped"]
    ]
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "number", "reason"])
    writer.writerows(rows)
    return text.getvalue()


def _rows(dataset: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a data set as they are made.

    Raises:
        OutputError: Ray gave up.
    """
    from ray.exceptions import RayError

    try:
        yield from dataset.iter_rows()
    except RayError as error:
        raise OutputError(f"The cluster gave up: {reason_of(error)}.") from None


def _refuse(row: dict[str, Any]) -> None:
    if row["error"]:
        raise DataError(row["error"])

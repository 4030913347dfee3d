"""An output file made in parts, so that an interrupted job continues with `--resume` and repeats and loses nothing.

The parts lie in a folder beside the output. Each has a record in JSON, written after the part is complete: a part without
a record is made again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from emotune.system.atomic import whole
from emotune.system.errors import OutputError
from emotune.system.wording import counted, escaped

_JOB = "job.json"


@dataclass(frozen=True)
class Part:
    """A complete part of an output.

    Attributes:
        path: The file.
        record: What its writer recorded about it.
    """

    path: Path
    record: dict[str, Any]


class Parts:
    """The parts of an output file.

    Args:
        output: The output file.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self._folder = output.with_name(f".{output.name}.parts")
        self.done: list[Part] = []

    @property
    def left(self) -> int:
        """Number of complete parts of an interrupted job."""
        return len(list(self._records())) if (self._folder / _JOB).exists() else 0

    @contextmanager
    def begun(self, job: Mapping[str, Any], *, resume: bool, overwrite: bool, keep: bool = True) -> Iterator[None]:
        """Begin or continue a job; meanwhile no other process can work on the same output.

        The folder of parts is removed when the block succeeds. If it fails, the complete parts are kept, if there are any.

        Args:
            job: What the content of the output depends on, as JSON has it.
            resume: Continue an interrupted job.
            overwrite: Discard the parts of an interrupted job.
            keep: Keep complete parts if the block fails.

        Raises:
            OutputError: There are parts of an interrupted job, and neither argument is true; they are those of another
                job; another process makes them; or the folder cannot be written.
        """
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"--output {escaped(self._output)} cannot be written: {error.strerror}. Choose a folder you can write to."
            ) from None
        lock = FileLock(self._folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"Another process is writing {escaped(self._output)}. Wait for it, or choose another name."
            ) from None
        began = False
        try:
            self._begin(_as_written(job), resume=resume, overwrite=overwrite)
            began = True
            yield
        finally:
            lock.release()
            if began and not (keep and self.done):
                shutil.rmtree(self._folder, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self, job: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        written = self._folder / _JOB
        left = self.left
        if left and not resume and not overwrite:
            raise OutputError(
                f"An interrupted job left {counted(left, 'part')} of {escaped(self._output)}. "
                "Continue it with --resume, or start anew with --overwrite."
            )
        if left and resume:
            begun = json.loads(written.read_text(encoding="utf-8"))
            different = sorted(key for key in job | begun if job.get(key) != begun.get(key))
            if different:
                raise OutputError(
                    f"The interrupted job that made parts of {escaped(self._output)} differs in: {', '.join(different)}. "
                    "Repeat its command to continue it, or start anew with --overwrite and without --resume."
                )
            self.done = [Part(self._part(number), record) for number, record in enumerate(self._records())]
            return
        for path in self._folder.iterdir():
            if path.name != "lock":
                path.unlink()
        self._write(written, job)

    def add(self, record: Mapping[str, Any]) -> None:
        """Record that the next part is complete."""
        number = len(self.done)
        self._write(self._record(number), dict(record))
        self.done.append(Part(self._part(number), dict(record)))

    @contextmanager
    def next(self) -> Iterator[Path]:
        """Yield the path to write the next part to; call `add` after it."""
        with whole(self._part(len(self.done))) as path:
            yield path

    def _records(self) -> Iterator[dict[str, Any]]:
        number = 0
        while self._record(number).exists() and self._part(number).exists():
            yield json.loads(self._record(number).read_text(encoding="utf-8"))
            number += 1

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06}"

    def _record(self, number: int) -> Path:
        return self._folder / f"{number:06}.json"

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        with whole(path) as partial, partial.open("x", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())


def _as_written(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of a job as it is read back, with lists in place of tuples."""
    return dict(json.loads(json.dumps(dict(job))))

"""Checkpoints of an unfinished run, beside its output folder: their owner and their removal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emotune.data.dataset import TextDataset
from emotune.system.errors import OutputError


class Checkpoints:
    """Trainer's checkpoints beside the output folder, kept while a run is unfinished so that it can be resumed.

    A run that stops leaves them. The next run resumes from them, or refuses to discard them without being asked.

    Args:
        output: The run's output folder.
        identity: The settings that determine its result, as JSON values: a run resumes only from its own checkpoints.
        overwrite: Allow discarding an unfinished run.
        resume: Resume the unfinished run.
    """

    def __init__(self, output: Path, identity: dict[str, Any], *, overwrite: bool, resume: bool) -> None:
        output = output.expanduser().resolve()
        self.folder = output.parent / f".{output.name}.checkpoints"
        self._stamp = self.folder / "run.json"
        self._overwrite = overwrite
        self._resume = resume
        self._wanted = identity

    @property
    def unfinished(self) -> bool:
        """True if a run that stopped has left a checkpoint to resume from."""
        return self.folder.is_dir() and any(self.folder.rglob("checkpoint-*"))

    def check(self) -> None:
        """Check that no unfinished run is lost, and that only a run of the same configuration is resumed.

        Raises:
            OutputError: There is an unfinished run and neither resume nor overwrite is given; or resume is given, and
                there is no unfinished run, or it had another configuration.
        """
        if self._resume and not self.unfinished:
            raise OutputError(f"There is no unfinished run to resume at '{self.folder}'. Start it without --resume.")
        if self._resume and self._read().get("configuration") != self._wanted:
            raise OutputError(
                f"The unfinished run at '{self.folder}' had another configuration, so this one cannot continue it. "
                "Give the options it had, or start anew with --overwrite."
            )
        if self.unfinished and not self._resume and not self._overwrite:
            raise OutputError(
                f"An unfinished run left checkpoints at '{self.folder}'. "
                "Continue it with --resume, or discard it with --overwrite."
            )

    @contextmanager
    def claimed(self, data: TextDataset) -> Iterator[Path]:
        """Yield the folder for this run's checkpoints; it is removed at the end if it holds none.

        Args:
            data: The data of the run.

        Raises:
            OutputError: The run to resume had other data.
        """
        if self._resume and self._read().get("data") != data.fingerprint:
            raise OutputError(
                f"The data has changed since the run at '{self.folder}' began, so it cannot be resumed. "
                "Start anew with --overwrite."
            )
        if not self._resume:
            self.remove()
            self.folder.mkdir(parents=True)
            stamp = {"configuration": self._wanted, "data": data.fingerprint}
            self._stamp.write_text(json.dumps(stamp), encoding="utf-8")
        try:
            yield self.folder
        finally:
            if not self.unfinished:
                self.remove()

    def remove(self) -> None:
        """Remove the checkpoints: the run is complete, or was discarded."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._stamp.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

"""Checkpoints of an unfinished run, beside its output folder: who they belong to, and when they go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.errors import OutputError

if TYPE_CHECKING:
    from emotune.config import RunConfig
    from emotune.data.dataset import TextDataset


class Checkpoints:
    """Trainer's checkpoints beside the output folder, kept while a run is unfinished so that it can be resumed.

    A run that stops leaves them; the next run resumes from them, or refuses to throw them away unasked.
    """

    def __init__(self, output: Path, config: RunConfig) -> None:
        output = output.absolute()
        self.folder = output.parent / f".{output.name}.checkpoints"
        self._stamp = output.parent / f".{output.name}.run.json"
        self._overwrite = config.output.overwrite
        self._resume = config.training.resume
        self._wanted = config.model_dump(mode="json")
        # What may change between a run and its continuation without changing the result.
        self._wanted["output"] = None
        self._wanted["training"].pop("resume")

    def check(self) -> None:
        """Refuse what would lose an unfinished run, or continue another one.

        Raises:
            OutputError: There is an unfinished run and neither resume nor overwrite was asked; or nothing to resume.
        """
        unfinished = self.folder.is_dir() and any(self.folder.glob("checkpoint-*"))
        if self._resume and not unfinished:
            raise OutputError(f"There is no unfinished run to resume at '{self.folder}'. Start it without --resume.")
        if self._resume and self._read().get("configuration") != self._wanted:
            raise OutputError(
                f"The unfinished run at '{self.folder}' had another configuration, so it cannot be resumed with this one. "
                "Give the options it had, or start anew with --overwrite."
            )
        if unfinished and not self._resume and not self._overwrite:
            raise OutputError(
                f"An unfinished run left checkpoints at '{self.folder}'. Continue it with --resume, or discard it with --overwrite."
            )

    def claim(self, data: TextDataset) -> None:
        """Write down what the checkpoints belong to, once the data is known.

        Raises:
            OutputError: The run to resume saw other data.
        """
        if self._resume and self._read().get("data") != data.fingerprint:
            raise OutputError(
                f"The data has changed since the run at '{self.folder}' began, so it cannot be resumed. Start anew with --overwrite."
            )
        if not self._resume:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._stamp.write_text(json.dumps({"configuration": self._wanted, "data": data.fingerprint}), encoding="utf-8")

    def remove(self) -> None:
        """The run is complete: drop the checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._stamp.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        return dict(json.loads(self._stamp.read_text(encoding="utf-8"))) if self._stamp.is_file() else {}

"""TensorBoard: one folder of event files per run, below TENSORBOARD_LOGGING_DIR, or `runs` if that is not set."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from emotune.tracking.tracker import Results, RunNames, State, Tracker, slug

if TYPE_CHECKING:
    from transformers import TrainerCallback

FOLDER_VARIABLE, FOLDER = "TENSORBOARD_LOGGING_DIR", "runs"


class TensorBoard(Tracker):
    """Event files for TensorBoard.

    Args:
        names: Names of the run; a project is a folder.
    """

    name: ClassVar[str] = "tensorboard"

    def __init__(self, names: RunNames) -> None:
        super().__init__(names)
        self._root = Path(os.environ.get(FOLDER_VARIABLE) or FOLDER).expanduser().resolve()
        self._folder = self._root
        self._settings: dict[str, str] = {}
        self._writer: Any = None
        self._training: Any = None

    def open(self, settings: Mapping[str, str]) -> None:
        """Create a folder for the run; one that exists is never written to."""
        parent = Path(self.own["folder"]) if self.own else self._root
        if self.names.project is not None and not self.own:
            parent /= slug(self.names.project)
        self._folder = _new_folder(parent, slug(self.names.name))
        self._settings = dict(settings)
        self._writer = _writer(self._folder)
        self._writer.add_text("settings", _as_list(self._settings))
        self._writer.flush()

    def begin_training(self, name: str | None) -> TrainerCallback:
        """Return Trainer's integration, which writes beside the settings, or in a folder of its own."""
        from transformers.integrations import TensorBoardCallback

        self._training = self._writer if name is None else _writer(self._folder / slug(name))
        return TensorBoardCallback(tb_writer=self._training)

    def end_training(self, name: str | None, state: State) -> None:
        """Finish the file of a training that has its own."""
        if self._training is not self._writer:
            self._training.close()
        self._training = None

    def finish(self, results: Results) -> None:
        """Write the page of results as text, and settings with scores as hyperparameters."""
        if results.page:
            self._writer.add_text("results", results.page)
        self._settings |= results.facts
        scores = {name: value for name, value in results.figures.items() if name.startswith(("test/", "validation/"))}
        self._writer.add_hparams(self._settings, scores, run_name=".")
        self._writer.flush()

    def close(self, state: State) -> None:
        """Finish the files."""
        if self._writer is not None:
            self._writer.close()

    def entry(self) -> dict[str, Any]:
        """Return the folder, in which trials make theirs."""
        return {"folder": str(self._folder)}

    def where(self) -> str:
        """Return the command that shows it."""
        return f"tensorboard --logdir {shlex.quote(str(self._folder))}"


def _writer(folder: Path) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(log_dir=str(folder))


def _new_folder(parent: Path, name: str) -> Path:
    """Create a folder, with a number behind its name if there is one already."""
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def _as_list(settings: Mapping[str, str]) -> str:
    """Return settings as an indented block of Markdown, which shows every character as it is."""
    return "\n".join(f"    {key} = {value}" for key, value in settings.items())

"""wandb, and trackio, whose interface is that of wandb: one active run per process."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from emotune.tracking.tracker import Results, RunNames, State, Tracker, slug

if TYPE_CHECKING:
    from transformers import TrainerCallback

PROJECT = "emotune"


class Wandb(Tracker):
    """A run of wandb; several trainings, and the trials of a sweep, are runs of one group.

    Args:
        names: Names of the run.
    """

    name: ClassVar[str] = "wandb"
    holds_files: ClassVar[bool] = True
    project_variable: ClassVar[str] = "WANDB_PROJECT"

    def __init__(self, names: RunNames) -> None:
        super().__init__(names)
        self._module: Any = None
        self._project = names.project or os.environ.get(self.project_variable) or PROJECT
        self._group = names.full_name if names.group is None else str(names.group["name"])
        self._run: Any = None
        self._id: str | None = None

    def open(self, settings: Mapping[str, str]) -> None:
        """Start the run."""
        self._module = importlib.import_module(self.name)
        self._run = self._start(self.names.full_name, config=dict(settings))
        self._id = self._identity()

    def begin_training(self, name: str | None) -> TrainerCallback:
        """Return Trainer's integration, which logs to this run, or to one of its own, for which this one pauses."""
        if name is not None:
            self._end("finished")
            self._run = self._start(f"{self.names.full_name}-{slug(name)}")
        return self._curves()

    def end_training(self, name: str | None, state: State) -> None:
        """End the run of a training that has its own."""
        if name is not None:
            self._end(state)

    def finish(self, results: Results) -> None:
        """Log figures, facts and table, and the files as an artifact."""
        self._go_on()
        self._module.config.update(dict(results.facts), allow_val_change=True)
        self._log(results)

    def close(self, state: State) -> None:
        """End the run."""
        self._end(state)

    def entry(self) -> dict[str, Any]:
        """Return nothing: a group is a name."""
        return {}

    def where(self) -> str:
        """Return the page of the run."""
        url = getattr(self._run, "url", None)
        return str(url) if url else f"project {self._project}, run {self.names.full_name}"

    def _curves(self) -> TrainerCallback:
        from emotune.system.internals.transformers import WandbCurves

        self._module.define_metric("train/global_step")
        self._module.define_metric("*", step_metric="train/global_step", step_sync=True)
        return WandbCurves()

    def _start(self, name: str, **more: Any) -> Any:
        return self._module.init(project=self._project, name=name, group=self._group, **more)

    def _identity(self) -> str | None:
        return str(self._run.id)

    def _go_on(self) -> None:
        """Resume the run, if it pauses for trainings with runs of their own."""
        if self._run is None:
            self._run = self._start(self.names.full_name, id=self._id, resume="must")

    def _log(self, results: Results) -> None:
        self._run.summary.update(dict(results.figures))
        self._run.summary["verdict"] = results.verdict
        if results.table is not None:
            self._module.log(
                {"results": self._module.Table(columns=list(results.table.headings), data=_cells(results))}
            )
        if results.files:
            artifact = self._module.Artifact(name=slug(f"report-{self.names.full_name}"), type="report")
            for file in results.files:
                artifact.add_file(str(file))
            self._run.log_artifact(artifact)

    def _end(self, state: State) -> None:
        if self._run is not None:
            self._module.finish(exit_code=int(state != "finished"))
        self._run = None


class Trackio(Wandb):
    """A run of trackio, which has no files.

    Args:
        names: Names of the run.
    """

    name: ClassVar[str] = "trackio"
    holds_files: ClassVar[bool] = False
    project_variable: ClassVar[str] = "TRACKIO_PROJECT"

    def _curves(self) -> TrainerCallback:
        from emotune.system.internals.transformers import TrackioCurves

        return TrackioCurves()

    def _identity(self) -> str | None:
        return None  # runs are resumed by name

    def _go_on(self) -> None:
        if self._run is None:
            self._run = self._start(self.names.full_name, resume="must")

    def _log(self, results: Results) -> None:
        self._module.log(dict(results.figures))
        if results.table is not None:
            from pandas import DataFrame

            frame = DataFrame(_cells(results), columns=list(results.table.headings))
            self._module.log({"results": self._module.Table(dataframe=frame)})

    def _end(self, state: State) -> None:
        if self._run is not None:
            self._module.finish()
        self._run = None


def _cells(results: Results) -> list[list[str]]:
    return [] if results.table is None else [[str(cell) for cell in row] for row in results.table.rows]

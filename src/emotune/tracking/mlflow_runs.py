"""MLflow: runs on the server, or in the store, that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from emotune.system.version import __version__
from emotune.tracking.tracker import ModelFiles, Results, RunNames, State, Tracker

if TYPE_CHECKING:
    from transformers import TrainerCallback

EXPERIMENT = "emotune"
# Settings of MLflow unless the user has set them. A server that is away must be noticed within a minute, not twenty.
# It sends no statistics to its makers, and prints nothing between emotune's own lines.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_STATUS: Mapping[State, str] = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
# MLflow's limits on characters.
_LONGEST_PARAMETER, _LONGEST_NOTE = 500, 5000
_MODEL_SCRIPT = Path(__file__).with_name("mlflow_model.py")


class MLflow(Tracker):
    """A run of MLflow; several trainings, and the trials of a sweep, are child runs.

    Args:
        names: Names of the run; a project is an experiment.
    """

    name: ClassVar[str] = "mlflow"
    holds_files: ClassVar[bool] = True

    def __init__(self, names: RunNames) -> None:
        super().__init__(names)
        for variable, value in _ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        self._run_id = ""
        self._experiment = ""
        self._is_parent = False
        self._begun = 0  # runs that are not ended yet

    def open(self, settings: Mapping[str, str]) -> None:
        """Start the run, in a new experiment if there is none of that name."""
        with _quiet():
            import mlflow

            if self.own and mlflow.get_tracking_uri() != self.own["uri"]:
                mlflow.set_tracking_uri(self.own["uri"])
            run = mlflow.start_run(
                run_name=self.names.name,
                experiment_id=self.own.get("experiment") or self._find_experiment(),
                nested=True,
                parent_run_id=self.own.get("run"),
                # Instead of the path of this program.
                tags={"mlflow.source.name": "emotune", "emotune.version": __version__},
            )
            self._begun += 1
            self._run_id, self._experiment = run.info.run_id, run.info.experiment_id
            mlflow.log_params(_parameters(settings))

    def _find_experiment(self) -> str | None:
        """Return the experiment's number; None to leave it to MLflow's environment variables."""
        import mlflow

        if self.names.project is None and any(os.environ.get(f"MLFLOW_EXPERIMENT_{part}") for part in ("NAME", "ID")):
            return None
        name = self.names.project or EXPERIMENT
        found = mlflow.get_experiment_by_name(name)
        return str(mlflow.create_experiment(name)) if found is None else str(found.experiment_id)

    def begin_training(self, name: str | None) -> TrainerCallback:
        """Return Trainer's integration, which logs to this run, or to a child run."""
        from emotune.system.internals.transformers import MLflowCurves

        with _quiet():
            import mlflow

            if name is not None:
                mlflow.start_run(run_name=name, experiment_id=self._experiment, nested=True)
                self._begun += 1
            return MLflowCurves()

    def end_training(self, name: str | None, state: State) -> None:
        """End the child run, if there is one."""
        if name is not None:
            import mlflow

            self._begun -= 1
            mlflow.end_run(_STATUS[state])

    def finish(self, results: Results) -> None:
        """Log figures and facts, the page of results as the run's description, the files, and the model."""
        with _quiet():
            import mlflow

            mlflow.log_metrics({_metric(name): value for name, value in results.figures.items()})
            mlflow.log_params(_parameters(results.facts))
            note = results.page if len(results.page) <= _LONGEST_NOTE else results.verdict
            mlflow.set_tags({"mlflow.note.content": note[:_LONGEST_NOTE]} if note else {})
            if results.table is not None:
                columns = zip(*results.table.rows, strict=True)
                table = {
                    heading: list(map(str, cells))
                    for heading, cells in zip(results.table.headings, columns, strict=True)
                }
                mlflow.log_table(table, "results.json")
            if results.page:
                mlflow.log_text(results.page, "results.md")
            for file in results.files:
                mlflow.log_artifact(str(file))
            if results.model is not None:
                _log_model(results.model)

    def close(self, state: State) -> None:
        """End the run, and the trials that were killed before they could end theirs."""
        with _quiet():
            import mlflow

            with ExitStack() as stack:  # each call removes a run from MLflow's stack, even if the server is away
                for _ in range(self._begun):
                    stack.callback(mlflow.end_run, _STATUS[state])
                self._begun = 0
            if self._is_parent:
                client = mlflow.MlflowClient()
                for run in client.search_runs(
                    [self._experiment],
                    f"tags.`mlflow.parentRunId` = '{self._run_id}' and attributes.status = 'RUNNING'",
                ):
                    client.set_terminated(run.info.run_id, _STATUS["killed"])

    def entry(self) -> dict[str, Any]:
        """Return store, experiment and run, for trials in other processes."""
        import mlflow

        self._is_parent = True
        return {"uri": mlflow.get_tracking_uri(), "experiment": self._experiment, "run": self._run_id}

    def where(self) -> str:
        """Return the page of the run on a server, or the command that shows a local store."""
        import mlflow

        uri = re.sub(r"//[^/@]*@", "//", mlflow.get_tracking_uri())  # without a password
        if uri.startswith("http"):
            return f"{uri.rstrip('/')}/#/experiments/{self._experiment}/runs/{self._run_id}"
        return f"mlflow ui --backend-store-uri {uri}"


def _log_model(model: ModelFiles) -> None:
    """Log the saved folder with a script that loads it, so that nothing is pickled."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    with tempfile.TemporaryDirectory(prefix="emotune-") as temporary:
        folder = shutil.copytree(
            model.folder, Path(temporary) / "folder", ignore=shutil.ignore_patterns(*model.left_out)
        )
        artifacts = {"folder": str(folder)}
        if model.base is not None:
            artifacts["base"] = str(model.base)
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(_MODEL_SCRIPT),
            artifacts=artifacts,
            signature=ModelSignature(
                inputs=Schema([ColSpec("string", "text")]),
                outputs=Schema([ColSpec("string", "label"), ColSpec("double", "probability")]),
            ),
            pip_requirements=[f"emotune=={__version__}"],
        )


def _parameters(settings: Mapping[str, str]) -> dict[str, str]:
    return {_metric(name): value[:_LONGEST_PARAMETER] for name, value in settings.items()}


def _metric(name: str) -> str:
    """Return a name with only the characters that MLflow accepts."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back MLflow's own notices and warnings; its errors pass."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(mlflow|alembic|sqlalchemy|pydantic|google)(\.|$)")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

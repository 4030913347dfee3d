"""Folder of a sweep: the stamp that identifies the sweep, and the results of every trial, each written atomically."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emotune.evaluation.saved import read_predictions
from emotune.evaluation.scores import Evaluation
from emotune.folder.format import PREDICTIONS, sha256, versions
from emotune.sweep.engines import Files
from emotune.sweep.plan import Candidate, Plan, Trial, fingerprint
from emotune.sweep.trial import RESULT
from emotune.system.atomic import whole
from emotune.system.errors import ArtifactError, OutputError
from emotune.system.output import check_output
from emotune.system.wording import counted
from emotune.tasks.registry import TASKS
from emotune.tasks.single_label import SINGLE_LABEL

STAMP, FAILED = "sweep.json", "failed.json"
BEST = "best"
LEADERBOARDS = ("leaderboard.json", "leaderboard.md", "leaderboard.html")
FORMAT = 2
# Keys of a trial's result that the leaderboard reads.
NEEDED = {
    "data",
    "labels",
    "validation",
    "test",
    "trainable_parameters",
    "total_parameters",
    "seconds",
    "peak_memory_bytes",
    "size_bytes",
    "largest_logit_difference",
    "predictions_sha256",
    "warnings",
    "device",
    "precision",
    "revision",
    "place",
}


@dataclass(frozen=True)
class TrialResult:
    """Result of a finished trial.

    Attributes:
        trial: The trial.
        found: Content of `result.json`.
        wall_seconds: Seconds from the start of its process to its end.
        folder: Folder of its files.
    """

    trial: Trial
    found: dict[str, Any]
    wall_seconds: float
    folder: Path

    @property
    def validation_macro_f1(self) -> float:
        """Macro-F1 on validation of the kept epoch, the criterion of all choices."""
        return float(self.found["validation"]["macro_f1"])

    def evaluation(self) -> Evaluation:
        """Return its predictions on the test split.

        Raises:
            ArtifactError: They are missing or were changed.
        """
        path = self.folder / PREDICTIONS
        if not path.is_file() or sha256(path) != self.found["predictions_sha256"]:
            raise ArtifactError(
                f"'{path}' is not the file that the trial wrote. Remove the folder '{self.folder.name}', and run the "
                "sweep again with --resume."
            )
        found = self.found
        task = TASKS[found.get("task", SINGLE_LABEL.name)].deciding(found.get("thresholds"))
        task = task.answering(at_least_one=found.get("at_least_one", False))
        return read_predictions(path, tuple(self.found["labels"]), self.trial.label, task)


class SweepFolder:
    """The folder of one sweep.

    Args:
        plan: The sweep.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.path = plan.folder
        self._resume = plan.base.training.resume
        self._overwrite = plan.base.output.overwrite

    @property
    def work(self) -> Path:
        """Parent of the temporary folders of running trials."""
        return self.path / ".work"

    @property
    def best(self) -> Path:
        """Folder of the best model."""
        return self.path / BEST

    def check(self) -> None:
        """Refuse to delete another sweep or other files, or to resume a sweep with another plan.

        Raises:
            OutputError: Says what the folder holds, and what to do.
        """
        stamp = self._stamp()
        if self._resume and stamp is None:
            raise OutputError(f"There is no sweep to resume in '{self.path}'. Start it without --resume.")
        if stamp is not None and not self._resume and not self._overwrite:
            raise OutputError(
                f"'{self.path}' holds a sweep already, with {counted(self._count(), 'finished trial')}. "
                "Continue it with --resume, replace it with --overwrite, or choose another folder with --output."
            )
        if self._resume and (stamp or {}).get("plan") != self.plan.fingerprint:
            raise OutputError(
                f"The sweep in '{self.path}' has another plan (methods, models, seeds, settings or this version's defaults "
                "differ), so it cannot be resumed. Give the options it had, or start again with --overwrite."
            )
        if self._resume:
            self._check_versions((stamp or {}).get("versions", {}))
        check_output(self.path, self._overwrite, self._inputs(), mark=STAMP, goes_on=self._resume)

    def _check_versions(self, began: dict[str, str]) -> None:
        """Refuse to mix trials of different versions, which may train differently.

        Raises:
            OutputError: A version has changed.
        """
        now = versions()
        changed = [
            f"{name} {began.get(name, 'unknown')} then, {now.get(name, 'none')} now"
            for name in (*began, *(name for name in now if name not in began))
            if began.get(name) != now.get(name)
        ]
        if changed:
            raise OutputError(
                f"The sweep in '{self.path}' began with other versions ({'; '.join(changed)}), whose trials cannot be "
                "compared with new ones. Install those again, or start again with --overwrite."
            )

    @contextmanager
    def claimed(self, data: str) -> Iterator[None]:
        """Lock the folder for this process inside the block, and stamp it as this sweep's.

        Args:
            data: Fingerprint of the data.

        Raises:
            OutputError: Another process works in it, the data has changed, or it cannot be written.
        """
        from filelock import FileLock, Timeout

        stamp = self._stamp()
        if self._resume and (stamp or {}).get("data") != data:
            raise OutputError(
                f"The data has changed since the sweep in '{self.path}' began, so it cannot be resumed. "
                "Start again with --overwrite."
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path / ".lock", timeout=0):
                if not self._resume:
                    self._clear()
                    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
                    content = {
                        "format": FORMAT,
                        "plan": self.plan.fingerprint,
                        "data": data,
                        "versions": versions(),
                        "created": created,
                    }
                    self._write(self.path / STAMP, json.dumps(content, indent=1).encode())
                try:
                    yield
                finally:
                    shutil.rmtree(self.work, ignore_errors=True)
        except Timeout:
            raise OutputError(
                f"Another process is working on the sweep in '{self.path}'. Wait for it, or stop it."
            ) from None

    def result(self, trial: Trial) -> TrialResult | None:
        """Return the result of a trial, or None where it has not finished.

        A trial that finished with other settings, as after another search, was another trial.
        """
        folder = self._trial(trial)
        found = _read(folder / RESULT)
        if found is None or not found.keys() >= NEEDED or (trial.scores_test and not (folder / PREDICTIONS).is_file()):
            return None
        if found.get("configuration") != fingerprint(trial.config):
            return None
        return TrialResult(trial, found, float(found.get("wall_seconds", 0.0)), folder)

    def failure(self, trial: Trial) -> str | None:
        """Return the reason why a trial failed, or None where it did not fail or has finished since."""
        found = _read(self._trial(trial) / FAILED)
        return None if found is None else str(found.get("message", ""))

    def store(self, trial: Trial, files: Files, seconds: float, place: str) -> TrialResult:
        """Write the result of a finished trial.

        Args:
            trial: The trial.
            files: Its files.
            seconds: Its wall time.
            place: The place where it ran, in words.

        Raises:
            OutputError: It cannot be written.
        """
        found = {
            **json.loads(files[RESULT]),
            "trial": trial.label,
            "configuration": fingerprint(trial.config),
            "place": place,
            "wall_seconds": seconds,
        }
        content = {**files, RESULT: json.dumps(found, indent=1).encode()}
        folder = self._trial(trial)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with whole(folder) as partial:
                partial.mkdir()
                for name, data in content.items():
                    (partial / name).write_bytes(data)
        except OSError as error:
            raise self._unwritable(error) from error
        return TrialResult(trial, found, seconds, folder)

    def store_failure(self, trial: Trial, message: str, seconds: float) -> None:
        """Write the reason why a trial failed.

        Raises:
            OutputError: It cannot be written.
        """
        content = {"trial": trial.label, "message": message, "wall_seconds": seconds}
        self._write(self._trial(trial) / FAILED, json.dumps(content, indent=1).encode())

    def searched(self, candidate: Candidate) -> dict[int, dict[str, Any]]:
        """Return the records of a candidate's search, by number."""
        folder = self.path / "search" / candidate.key
        found = {int(path.stem): _read(path) for path in sorted(folder.glob("[0-9]*.json"))}
        return {number: record for number, record in found.items() if record is not None}

    def store_searched(self, candidate: Candidate, number: int, record: dict[str, Any]) -> None:
        """Write one record of a candidate's search.

        Raises:
            OutputError: It cannot be written.
        """
        self._write(self.path / "search" / candidate.key / f"{number:03d}.json", json.dumps(record, indent=1).encode())

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder.

        Raises:
            OutputError: It cannot be written.
        """
        self._write(self.path / name, text.encode(errors="backslashreplace"))

    def _trial(self, trial: Trial) -> Path:
        return self.path / "trials" / trial.key

    def _inputs(self) -> list[Path]:
        """Return the local files and folders that the sweep reads."""
        data = self.plan.base.data
        names = (*self.plan.models, data.source, data.validation, data.test)
        return [Path(name) for name in names if name is not None and Path(name).exists()]

    def _count(self) -> int:
        return sum(1 for _ in (self.path / "trials").glob(f"*/{RESULT}"))

    def _stamp(self) -> dict[str, Any] | None:
        path = self.path / STAMP
        if not path.exists():
            return None
        found = _read(path)
        if found is not None and found.get("format", FORMAT) != FORMAT:
            raise OutputError(
                f"The sweep in '{self.path}' has format {found['format']}; this emotune writes format {FORMAT}. "
                "Choose another folder."
            )
        return found or {}

    def _clear(self) -> None:
        """Remove the files of an earlier sweep, and nothing else."""
        for name in ("trials", "search", BEST, ".work", f".{BEST}.checkpoints"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in (*LEADERBOARDS, STAMP):
            (self.path / name).unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as partial:
                partial.write_bytes(content)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"The sweep's folder '{self.path}' cannot be written: {error.strerror or error}. Finished trials are kept; "
            "make room, and continue with --resume."
        )


def _read(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; return None where there is none or it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None

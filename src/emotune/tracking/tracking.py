"""`tracked`: the trackers of one run, and what happens when one of them fails.

Trackers are opened before any work, and one that cannot be opened is an error. After that, no failure of a tracker
stops a run: it is reported, and the run goes on without the tracker.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotune.folder.files import REPORT
from emotune.settings.run import RunConfig
from emotune.system.errors import ConfigError, EmotuneError
from emotune.system.extras import require, require_package
from emotune.system.outside import translated
from emotune.system.progress import Progress
from emotune.system.text import printable
from emotune.tracking.mlflow_runs import MLflow
from emotune.tracking.results import settings_of
from emotune.tracking.tensorboard_files import TensorBoard
from emotune.tracking.tracker import Group, Results, RunNames, State, Tracker
from emotune.tracking.wandb_runs import Trackio, Wandb

if TYPE_CHECKING:
    from transformers import TrainerCallback

TRACKERS: dict[str, type[Tracker]] = {kind.name: kind for kind in (TensorBoard, MLflow, Trackio, Wandb)}
# Those that the extra `track` installs.
IN_EXTRA = ("tensorboard", "mlflow")
_REMEDIES = {
    "tensorboard": "Correct TENSORBOARD_LOGGING_DIR",
    "mlflow": "Start the server, correct MLFLOW_TRACKING_URI",
    "trackio": "Check its settings",
    "wandb": "Log in with wandb login, set WANDB_MODE=offline",
}


class _Lost(EmotuneError):
    """A failure of a tracker."""


class Tracking:
    """Trackers of one run.

    Attributes:
        name: Name of the run.
        lost: Reasons by name of those that failed.

    Args:
        name: Name of the run.
        trackers: The trackers.
        progress: Shows failures.
    """

    def __init__(self, name: str, trackers: Sequence[Tracker], progress: Progress) -> None:
        self.name = name
        self._trackers = tuple(trackers)
        self._progress = progress
        self.lost: dict[str, str] = {}

    def open(self, settings: Mapping[str, str], *, must: bool) -> None:
        """Start a run in every tracker.

        Args:
            settings: Settings by key.
            must: True to refuse a tracker that cannot be opened; else the run goes on without it.

        Raises:
            ConfigError: A tracker cannot be opened.
        """
        for tracker in self._trackers:
            if not must:
                self._attempt(tracker, tracker.open, settings)
                continue
            try:
                with translated(_Lost):
                    tracker.open(settings)
            except _Lost as error:
                reason = self.lost[tracker.name] = _reason(error)
                self.close("failed")
                raise ConfigError(
                    f"{tracker.name} cannot be used: {reason}.\n{_REMEDIES[tracker.name]}, or leave it out of --track. "
                    "Nothing was started."
                ) from None

    @contextmanager
    def training(self, name: str | None = None) -> Iterator[list[TrainerCallback]]:
        """Yield the callbacks for Trainer that report the curves of one training.

        Args:
            name: Name of the training; None if it is the only one of the run.
        """
        integrations: list[tuple[Tracker, TrainerCallback]] = []
        for tracker in self._trackers:
            self._attempt(
                tracker, lambda tracker: integrations.append((tracker, tracker.begin_training(name))), tracker
            )
        state: State = "failed"
        try:
            yield self._curves(integrations)
            state = "finished"
        finally:
            for tracker in self._trackers:
                self._attempt(tracker, tracker.end_training, name, state)

    def _curves(self, integrations: Sequence[tuple[Tracker, TrainerCallback]]) -> list[TrainerCallback]:
        if not integrations:
            return []
        from emotune.tracking.curves import Curves

        return [Curves(integrations, self._attempt)]

    def finish(self, results: Results) -> None:
        """Store the final record, and tell where it is, and what is missing."""
        for tracker in self._trackers:
            if self._attempt(tracker, tracker.finish, results):
                self._progress.say(f"{tracker.name} has the results: {printable(tracker.where())}")
        for name, reason in self.lost.items():
            self._progress.say(f"{name} has not received everything, since it failed: {reason}")

    def close(self, state: State) -> None:
        """End the runs; also those of a tracker that failed, if it answers again."""
        for tracker in self._trackers:
            try:
                with translated(_Lost):
                    tracker.close(state)
            except _Lost as error:
                self.lost.setdefault(tracker.name, _reason(error))

    def group(self) -> Group:
        """Return what the trials of a sweep need to report into this run, which is the sweep's, as JSON values."""
        found: dict[str, Any] = {"name": self.name}
        for tracker in self._trackers:
            if tracker.name not in self.lost:
                found[tracker.name] = tracker.entry()
        return found

    def _attempt(self, tracker: Tracker, call: Callable[..., object], *arguments: Any) -> bool:
        """Call a function of a tracker that works; report a failure, and leave the tracker out from then on.

        Returns:
            True if it succeeded.
        """
        if tracker.name in self.lost:
            return False
        try:
            with translated(_Lost):
                call(*arguments)
        except _Lost as error:
            reason = self.lost[tracker.name] = _reason(error)
            self._progress.say(f"{tracker.name} failed, and the run goes on without it: {reason}")
            return False
        return True


def _reason(error: _Lost) -> str:
    """Return the reason of a failure, without a password in an address, and without a stack of network libraries."""
    reason = re.sub(r"//[^/@\s]*@", "//", str(error))
    return re.sub(r" failed with exception .*Max retries exceeded.*", " got no answer", reason)


def check_trackers(config: RunConfig) -> None:
    """Refuse trackers that are not installed.

    Raises:
        ConfigError: One is missing; the message has the line that installs it.
    """
    for name in config.tracking.to or ():
        if name in IN_EXTRA:
            require("track", [name], f"--track {name}")
        else:
            require_package(name, f"--track {name}")


@contextmanager
def tracked(
    config: RunConfig, progress: Progress, *, name: str | None = None, label: str = "", group: Group | None = None
) -> Iterator[Tracking]:
    """Yield the trackers of a run, which begins and ends with the block.

    Args:
        config: The configuration, which names the trackers; without any, nothing is imported and nothing happens.
        progress: Shows where the run is tracked, and failures.
        name: Name of a run in a group; that of the configuration, or of the output folder with the time, if not given.
        label: The run in words, "" without any.
        group: The group of a sweep that the run belongs to; it is then reported only to trackers that the group has,
            and one that cannot be opened stops nothing.

    Raises:
        ConfigError: A tracker is not installed, or cannot be opened.
    """
    if group is None:
        check_trackers(config)
    wanted = [tracker for tracker in dict.fromkeys(config.tracking.to or ()) if group is None or tracker in group]
    names = RunNames(name or usual_name(config), config.tracking.project, group)
    tracking = Tracking(names.name, [TRACKERS[tracker](names) for tracker in wanted], progress)
    if wanted:
        tracking.open({**settings_of(config), **({"label": label} if label else {})}, must=group is None)
    if group is None and not config.tracking.texts and any(TRACKERS[tracker].holds_files for tracker in wanted):
        progress.say(f"{REPORT} is not sent, since it quotes texts of the data; --track-texts sends it")
    state: State = "failed"
    try:
        yield tracking
        state = "finished"
    except KeyboardInterrupt:
        state = "killed"
        raise
    finally:
        tracking.close(state)


def usual_name(config: RunConfig) -> str:
    """Return the name of a run: that of the configuration, or that of the output folder with the time."""
    return config.tracking.name or f"{Path(config.output.folder).name}-{datetime.now():%Y%m%d-%H%M%S}"

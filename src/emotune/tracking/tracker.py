"""`Tracker`, the interface of one tracker, and what it receives."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from emotune.evaluation.words.texts import TextTable

if TYPE_CHECKING:
    from transformers import TrainerCallback

# How a run ended.
State = Literal["finished", "failed", "killed"]
# What the trials of a sweep need to report into one group, as JSON values: "name", and an entry per tracker.
Group = Mapping[str, Any]


@dataclass(frozen=True)
class RunNames:
    """Names of a run in a tracker.

    Attributes:
        name: Name of the run.
        project: Its project; None for that of the tracker's environment.
        group: The group that it belongs to; None outside sweeps.
    """

    name: str
    project: str | None = None
    group: Group | None = None

    @property
    def full_name(self) -> str:
        """Name that is unique in a project: that of the group comes first."""
        return self.name if self.group is None else f"{self.group['name']}-{self.name}"


@dataclass(frozen=True)
class ModelFiles:
    """Files of a tuned model.

    Attributes:
        folder: The saved folder.
        base: Folder of its base model, if that is local.
        left_out: Names of files in the folder that hold texts of the data, and stay here.
    """

    folder: Path
    base: Path | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Results:
    """Final record of a run.

    Attributes:
        figures: Numbers by name: "test/accuracy".
        facts: Further settings by name: "data.fingerprint".
        verdict: The verdict in words, "" without one.
        table: The final table; None without one.
        page: Verdict and tables in Markdown.
        files: Files for trackers that hold files.
        model: The tuned model, for trackers that hold models; None if it was not asked for.
    """

    figures: Mapping[str, float]
    facts: Mapping[str, str] = field(default_factory=dict)
    verdict: str = ""
    table: TextTable | None = None
    page: str = ""
    files: tuple[Path, ...] = ()
    model: ModelFiles | None = None


class Tracker(ABC):
    """One tracker, with one run.

    Errors are those of the tracker's own library; `Tracking` handles them.

    Attributes:
        name: Its name in `tracking.to`.
        holds_files: True if it can hold files such as the report.

    Args:
        names: Names of the run.
    """

    name: ClassVar[str]
    holds_files: ClassVar[bool] = False

    def __init__(self, names: RunNames) -> None:
        self.names = names

    @property
    def own(self) -> Mapping[str, Any]:
        """This tracker's entry of the group; empty outside sweeps."""
        return {} if self.names.group is None else self.names.group[self.name]

    @abstractmethod
    def open(self, settings: Mapping[str, str]) -> None:
        """Start the run.

        Args:
            settings: Settings by key.
        """

    @abstractmethod
    def begin_training(self, name: str | None) -> TrainerCallback:
        """Return the integration of Trainer that receives the curves of one training.

        Args:
            name: Name of the training; None if it is the only one of the run.
        """

    @abstractmethod
    def end_training(self, name: str | None, state: State) -> None:
        """Finish the curves of a training."""

    @abstractmethod
    def finish(self, results: Results) -> None:
        """Store the final record."""

    @abstractmethod
    def close(self, state: State) -> None:
        """End the run."""

    @abstractmethod
    def entry(self) -> dict[str, Any]:
        """Return this tracker's entry of the group that this run is the parent of."""

    @abstractmethod
    def where(self) -> str:
        """Return where to look at the run."""


def slug(text: str) -> str:
    """Return text as a part of a figure's or a folder's name: letters, digits, full stops, hyphens and underscores."""
    return re.sub(r"[^\w.-]+", "_", text).strip("._") or "_"

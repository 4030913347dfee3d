"""Plan of a sweep: its candidates, one per line of the leaderboard, and their trials, one per seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emotune.settings.run import RunConfig
from emotune.tracking.tracker import Group


@dataclass(frozen=True)
class Range:
    """Range of one setting in a search.

    Attributes:
        low: Smallest value; None where there are choices instead.
        high: Largest value.
        log: True if values are uniform on a logarithmic scale.
        whole: True if values are whole numbers.
        choices: The allowed values, instead of a range.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One training run.

    Attributes:
        key: Name of its folder.
        label: The candidate's name and the seed, for messages.
        config: Its configuration, valid for `emotune run`.
        scores_test: True if the test split is scored at the end; False during a search.
        group: The group of the sweep in trackers; None if it is tracked nowhere.
    """

    key: str
    label: str
    config: RunConfig
    scores_test: bool = True
    group: Group | None = None


@dataclass(frozen=True)
class Candidate:
    """One configuration of the leaderboard, for all seeds.

    Attributes:
        key: Prefix of its trials' folder names.
        label: Its name.
        config: The configuration of its first seed.
        ranges: Ranges of the settings to search, by key.
    """

    key: str
    label: str
    config: RunConfig
    ranges: Mapping[str, Range] = field(default_factory=dict)

    def trial(self, seed: int, settings: Mapping[str, Any] | None = None) -> Trial:
        """Return the trial of one seed.

        Args:
            seed: The seed.
            settings: Settings that a search has chosen, by key.
        """
        config = with_settings(self.config, {**(settings or {}), "training.seed": seed})
        return Trial(f"{self.key}-seed-{seed}", f"{self.label}, seed {seed}", config)


@dataclass(frozen=True)
class Plan:
    """A whole sweep.

    Attributes:
        candidates: The configurations to compare.
        seeds: The seeds of every candidate.
        searched: Number of trials per search; 0 without a search.
        base: The common settings: data, training, output.
        margin: Largest difference in accuracy that counts as equivalent, in points; None without a margin. It affects
            no trial.
    """

    candidates: tuple[Candidate, ...]
    seeds: tuple[int, ...]
    searched: int
    base: RunConfig
    margin: float | None = None

    @property
    def folder(self) -> Path:
        """Folder of the sweep."""
        return Path(self.base.output.folder).expanduser()

    @property
    def models(self) -> tuple[str, ...]:
        """Base models, each once, in order."""
        return tuple(dict.fromkeys(candidate.config.model.name for candidate in self.candidates))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that affects results except the data's content; a resumed sweep needs an equal plan."""
        parts = {
            "candidates": [
                [
                    candidate.label,
                    candidate.config.identity,
                    {key: asdict(choice) for key, choice in candidate.ranges.items()},
                ]
                for candidate in self.candidates
            ],
            "seeds": self.seeds,
            "searched": self.searched,
            "base": self.base.identity,
        }
        return _sha256(parts)


def fingerprint(config: RunConfig) -> str:
    """Return the SHA-256 of the settings that affect a trial's result; it reveals no path."""
    return _sha256(config.identity)


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def with_settings(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """Return a configuration with some settings changed.

    Args:
        config: The configuration.
        settings: New values by key.
    """
    values = config.model_dump()
    for key, value in settings.items():
        section, name = key.split(".")
        values[section][name] = value
    return RunConfig.model_validate(values)


def absolute(config: RunConfig) -> RunConfig:
    """Return a configuration whose local files and folders are absolute paths."""
    found = {
        "data.source": config.data.source,
        "data.validation": config.data.validation,
        "data.test": config.data.test,
        "model.name": config.model.name,
    }
    return with_settings(
        config,
        {
            key: str(Path(value).expanduser().resolve())
            for key, value in found.items()
            if value is not None and Path(value).expanduser().exists()
        },
    )


def folder_name(text: str) -> str:
    """Return text as a part of a folder's name: only lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or "candidate"


def described(settings: Mapping[str, Any]) -> str:
    """Return settings in words, for a label: "learning_rate 0.001, r 8"."""
    return ", ".join(f"{key.partition('.')[2] or key} {_value(value)}" for key, value in settings.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "+".join(map(_value, value))
    return str(value)

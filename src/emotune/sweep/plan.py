"""What a sweep does: its candidates, each a line of the leaderboard, and the trials that train them, one per seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emotune.settings.run import RunConfig


@dataclass(frozen=True)
class Range:
    """The values of one setting that a search may choose.

    Attributes:
        low: The least; None where there are choices instead.
        high: The greatest.
        log: Whether values are spread evenly by their logarithm.
        whole: Whether they are whole numbers.
        choices: The only values there are.
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
        key: Names its folder.
        label: The candidate's name and the seed, for people.
        config: What to do: a configuration that `emotune run` would take.
        scores_test: Whether the test split is scored at the end: never while something is still being chosen.
    """

    key: str
    label: str
    config: RunConfig
    scores_test: bool = True


@dataclass(frozen=True)
class Candidate:
    """One configuration of the leaderboard, whatever the seed.

    Attributes:
        key: Names its trials' folders.
        label: What people call it.
        config: The configuration of its first seed.
        ranges: Settings that a search may still choose, by key.
    """

    key: str
    label: str
    config: RunConfig
    ranges: Mapping[str, Range] = field(default_factory=dict)

    def trial(self, seed: int, settings: Mapping[str, Any] | None = None) -> Trial:
        """The trial of one seed.

        Args:
            seed: The seed.
            settings: What a search has chosen, by key.
        """
        config = with_settings(self.config, {**(settings or {}), "training.seed": seed})
        return Trial(f"{self.key}-seed-{seed}", f"{self.label}, seed {seed}", config)


@dataclass(frozen=True)
class Plan:
    """A whole sweep.

    Attributes:
        candidates: What is compared.
        seeds: The seeds that each is trained with.
        searched: How many trials a candidate's search has; 0 where nothing is searched.
        base: What all have in common: data, training, output.
        margin: By how much accuracies may differ and still be called alike, in points; None where that is not asked. It decides no trial.
    """

    candidates: tuple[Candidate, ...]
    seeds: tuple[int, ...]
    searched: int
    base: RunConfig
    margin: float | None = None

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return Path(self.base.output.folder).expanduser()

    @property
    def models(self) -> tuple[str, ...]:
        """The base models, each once, in order."""
        return tuple(dict.fromkeys(candidate.config.model.name for candidate in self.candidates))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides results, the data's content aside: equal plans can go on with each other's trials."""
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
    """SHA-256 over the settings that decide a trial's result: equal ones give equal results, and no path can be read from it."""
    return _sha256(config.identity)


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def with_settings(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """A configuration with some settings changed.

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
    """A configuration whose files and folders of this machine are found from any working directory."""
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
    """Text as a part of a folder's name: lower case, nothing but letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or "candidate"


def described(settings: Mapping[str, Any]) -> str:
    """Settings in words, for a label: "learning_rate 0.001, r 8"."""
    return ", ".join(f"{key.partition('.')[2] or key} {_value(value)}" for key, value in settings.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "+".join(map(_value, value))
    return str(value)

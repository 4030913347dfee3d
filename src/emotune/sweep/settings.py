"""Settings of a sweep from a preset, a TOML file with a [sweep] table, and the command line.

The [sweep] table has these settings:

- `methods`: keys, or tables with a `name`, a `label` and options; "all" for every method;
- `models`: base models;
- `grid`: lists of values by setting, every combination of which is tried;
- `search`: ranges of values by setting;
- `searched`: the number of trials per search;
- `margin`: the largest difference in points of accuracy that counts as equivalent.

All other sections are those of `emotune run`, and apply to every trial. `training.seeds` is the number of seeds per
configuration, three if not given. All mistakes are reported together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from emotune.methods.registry import METHODS
from emotune.settings.keys import NICKNAMES, closest_setting, did_you_mean, fields_of, read_value, schemas
from emotune.settings.layers import Override, mistakes_error
from emotune.settings.run import RunConfig
from emotune.sweep.draft import ELSEWHERE, SweepDraft
from emotune.sweep.plan import Candidate, Plan, Range, absolute, described, folder_name, with_settings
from emotune.system.options import shown_value

ALL = "all"
# More trials are a mistake, or need another tool.
MOST_TRIALS = 10_000


@dataclass(frozen=True)
class Entry:
    """A method of the sweep with its own settings.

    Attributes:
        place: The option or file it comes from, for messages.
        label: Its name.
        settings: Its settings by key, `method.name` first.
    """

    place: str
    label: str
    settings: dict[str, Any]


def load_plan(
    preset: str | None = None,
    file: str | Path | None = None,
    overrides: Sequence[str | Override] = (),
    sweep: Sequence[Override] = (),
) -> Plan:
    """Merge the layers: defaults, then the preset, then the file, then the command line.

    Args:
        preset: Name of a preset of sweeps.
        file: A TOML file.
        overrides: Settings that all trials share, as for `RunConfig.load`.
        sweep: Settings of the [sweep] table; their values are checked here.

    Raises:
        ConfigError: Lists every mistake, with its place.
    """
    draft = SweepDraft()
    if preset is not None:
        draft.add_preset(preset)
    if file is not None:
        draft.add_file(Path(file))
    draft.add_overrides(overrides)
    for given in sweep:
        draft.add_sweep(given.place, given.key, given.value)
    return _Expansion(draft).plan()


class _Expansion:
    """Expansion of a draft into a plan.

    Args:
        draft: The merged layers.
    """

    def __init__(self, draft: SweepDraft) -> None:
        self.draft = draft
        self.mistakes = draft.mistakes
        self.grid: dict[str, list[Any]] = {}
        self.ranges: dict[str, Range] = {}

    def plan(self) -> Plan:
        base = self.draft.validate()
        searched, margin = self._searched(), self._margin()
        entries, models = self._entries(), self._models()
        self._read_grid()
        self._read_ranges(searched)
        combinations = len(entries) * len(models) * math.prod(len(values) for values in self.grid.values())
        trials = combinations * (searched + (base.training.seeds if base else 1))
        if trials > MOST_TRIALS:
            self._mistake("sweep", f"this makes {trials:,} trials; at most {MOST_TRIALS:,} are possible")
        if self.mistakes and trials > MOST_TRIALS:
            raise mistakes_error(self.mistakes)
        candidates = [
            candidate
            for entry in entries
            for model in models
            for values in product(*self.grid.values())
            if (candidate := self._candidate(entry, model, dict(zip(self.grid, values, strict=True)), searched))
        ]
        self._check_distinct(candidates)
        if base is None or self.mistakes:
            raise mistakes_error(list(dict.fromkeys(self.mistakes)))
        numbered = tuple(
            Candidate(f"{number:02d}-{folder_name(found.label)}", found.label, found.config, found.ranges)
            for number, found in enumerate(candidates, start=1)
        )
        first = base.training.seed
        return Plan(numbered, tuple(range(first, first + base.training.seeds)), searched, absolute(base), margin)

    def _mistake(self, place: str, text: str) -> None:
        self.mistakes.append(f"{place}: {text}.")

    def _place(self, name: str) -> str:
        return self.draft.sweep_places.get(name, "sweep")

    def _searched(self) -> int:
        value = self.draft.sweep.get("searched", 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self._mistake(
                self._place("searched"),
                f"sweep.searched is {shown_value(value)}; expected a whole number of at least 0",
            )
            return 0
        return value

    def _margin(self) -> float | None:
        value = self.draft.sweep.get("margin")
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 100:
            self._mistake(
                self._place("margin"),
                f"sweep.margin is {shown_value(value)}; expected points of accuracy between 0 and 100, such as 1",
            )
            return None
        return float(value)

    def _texts(self, name: str, default: Sequence[Any], example: str) -> Sequence[Any]:
        """Return a setting that is a list, after checking that it is not empty."""
        value = self.draft.sweep.get(name, default)
        if not isinstance(value, Sequence) or isinstance(value, str):
            self._mistake(self._place(name), f"sweep.{name} is {shown_value(value)}; expected a list such as {example}")
            return ()
        if not value:
            self._mistake(self._place(name), f"sweep.{name} is empty; expected a list such as {example}")
        return value

    def _models(self) -> Sequence[str]:
        models = self._texts("models", (RunConfig().model.name,), '["bert-base-uncased", "bundled:minilm"]')
        good = [model for model in models if isinstance(model, str) and model.strip()]
        for model in models:
            if model not in good:
                self._mistake(
                    self._place("models"), f"sweep.models has {shown_value(model)}; expected a name or a folder"
                )
        for model in dict.fromkeys(good):
            if good.count(model) > 1:
                self._mistake(self._place("models"), f"sweep.models has {shown_value(model)} twice; name it once")
        return list(dict.fromkeys(good))

    def _entries(self) -> list[Entry]:
        """Return the methods with their own settings."""
        place = self._place("methods")
        given = self.draft.sweep.get("methods", ALL)
        if given == ALL:
            given = list(METHODS)
        elif isinstance(given, str):
            given = [given]
        else:
            given = self._texts("methods", (), '["lora", "full"], or "all"')
        found = [self._entry(place, item) for item in given]
        return [entry for entry in found if entry is not None]

    def _entry(self, place: str, item: Any) -> Entry | None:
        """Return the method of a key, or of a table with its name and settings."""
        table = {"name": item} if isinstance(item, str) else item
        name = table.get("name") if isinstance(table, Mapping) else None
        if not isinstance(table, Mapping) or not isinstance(name, str) or name not in METHODS:
            guess = did_you_mean(name, tuple(METHODS)) if isinstance(name, str) else ""
            hint = guess or f"; the methods are {', '.join(METHODS)}."
            if isinstance(table, Mapping) and "name" not in table:
                hint = '; expected a name, as in {name = "lora", rslora = true}.'
            self.mistakes.append(f"{place}: sweep.methods has {shown_value(item)}{hint}")
            return None
        settings: dict[str, Any] = {"method.name": name}
        for key, value in table.items():
            if key in ("name", "label"):
                continue
            setting = next(
                (full for full in (f"method.{key}", f"training.{key}", key) if full in fields_of(RunConfig)), None
            )
            if setting is None:
                hint = closest_setting(RunConfig, f"method.{NICKNAMES.get(key, key)}")
                self.mistakes.append(f"{place}: in sweep.methods, {shown_value(key)} of {name} is not a setting{hint}")
            elif self._may_differ(place, setting):
                settings[setting] = value
        own = {key: value for key, value in settings.items() if key != "method.name"}
        default = METHODS[name].title + (f" ({described(own)})" if own else "")
        label = table.get("label", default)
        if not isinstance(label, str) or not label.strip():
            self._mistake(place, f"in sweep.methods, the label of {name} is {shown_value(label)}; expected text")
            return None
        return Entry(place, label.strip(), settings)

    def _may_differ(self, place: str, key: str) -> bool:
        """Return whether trials may differ in a setting; add a mistake if they may not."""
        if key in ELSEWHERE:
            self._mistake(place, f"{key} cannot differ between trials; {ELSEWHERE[key]}")
        elif key.partition(".")[0] in ("data", "output", "baselines", "tracking"):
            self._mistake(
                place,
                f"{key} cannot differ between trials: all of them see the same rows, and report to the same place",
            )
        elif key not in fields_of(RunConfig):
            self.mistakes.append(f"{place}: {shown_value(key)} is not a setting{closest_setting(RunConfig, key)}")
        else:
            return True
        return False

    def _read_grid(self) -> None:
        for key, given in self.draft.sweep.get("grid", {}).items():
            place = self._place(f"grid.{key}")
            if not self._may_differ(place, key):
                continue
            values = self._values_of(key, given) if isinstance(given, str) else given
            if not isinstance(values, list) or not values:
                self._mistake(
                    place, f"sweep.grid: {key} is {shown_value(values)}; expected a list of values such as [1, 2]"
                )
            elif any(value in values[:number] for number, value in enumerate(values)):
                self._mistake(place, f"sweep.grid: {key} is {shown_value(values)}; give each value once")
            else:
                self.grid[key] = values

    def _values_of(self, key: str, text: str) -> Any:
        """Read the values of the command line: "1e-4,1e-3", or a TOML list."""
        schema = schemas(RunConfig)[key]
        if text.startswith("["):
            return read_value(text, {"type": "array"})
        return [read_value(part.strip(), schema) for part in text.split(",")] if text else []

    def _read_ranges(self, searched: int) -> None:
        given = self.draft.sweep.get("search", {})
        if given and not searched:
            place = self._place(f"search.{next(iter(given))}")
            self._mistake(place, "sweep.search has ranges, but no search was asked for; add --search N")
        for key, value in given.items():
            place = self._place(f"search.{key}")
            if not self._may_differ(place, key):
                continue
            if key in self.grid:
                self._mistake(place, f"{key} is in sweep.grid and in sweep.search; give it in one of them")
            found = _range(value, schemas(RunConfig)[key])
            if found is None:
                self._mistake(
                    place,
                    f"sweep.search: {key} is {shown_value(value)}; "
                    "expected {low = 1e-5, high = 1e-2, log = true}, or a list of two or more values",
                )
            else:
                self.ranges[key] = found

    def _candidate(self, entry: Entry, model: str, values: dict[str, Any], searched: int) -> Candidate | None:
        """Return one configuration with the ranges of its search."""
        label = f"{entry.label}, {described(values)}" if values else entry.label
        if len(self.draft.sweep.get("models", ())) > 1:
            label += f" on {Path(model).name if Path(model).expanduser().exists() else model}"
        self._check_once(entry, values, searched)
        draft = self.draft.copy()
        for key, value in entry.settings.items():
            draft.add_for_one(f"{entry.place}, {label!r}", key, value)
        draft.add_for_one(self._place("models"), "model.name", model)
        for key, value in values.items():
            draft.add_for_one(f"{self._place(f'grid.{key}')}, {label!r}", key, value)
        config = self._validated(draft)
        if config is None:
            return None
        ranges = self.ranges
        if searched and not ranges:
            ranges = {"training.learning_rate": _learning_rates(config)}
        for key, found in ranges.items() if searched else ():
            for value in found.choices or (found.low, found.high):
                twin = draft.copy()
                twin.add_for_one(f"{self._place(f'search.{key}')}, {label!r}", key, value)
                if self._validated(twin) is None:
                    return None
        # Splits are cut once, with the first seed, for all seeds.
        split_seed = config.training.seed if config.data.split_seed is None else config.data.split_seed
        config = with_settings(config, {"data.split_seed": split_seed, "training.seeds": 1, "training.resume": False})
        return Candidate("", label, absolute(config), ranges if searched else {})

    def _check_once(self, entry: Entry, values: Mapping[str, Any], searched: int) -> None:
        """Refuse a setting given in two places: one would have no effect but still appear in the label."""
        for key in entry.settings:
            for name, there in (("grid", values), ("search", self.ranges)):
                if key in there:
                    mistake = (
                        f"{key} is in sweep.{name} and in sweep.methods, for {entry.label!r}; give it in one of them"
                    )
                    if f"{entry.place}: {mistake}." not in self.mistakes:
                        self._mistake(entry.place, mistake)
        rate = "training.learning_rate"
        if searched and not self.ranges and rate in values:
            mistake = f"{rate} is in sweep.grid and is searched; give other ranges in sweep.search, or leave it out of the grid"
            place = self._place(f"grid.{rate}")
            if f"{place}: {mistake}." not in self.mistakes:
                self._mistake(place, mistake)

    def _validated(self, draft: SweepDraft) -> RunConfig | None:
        config = draft.validate()
        self.mistakes += [mistake for mistake in draft.mistakes if mistake not in self.mistakes]
        return None if draft.mistakes else config

    def _check_distinct(self, candidates: Sequence[Candidate]) -> None:
        seen: list[Candidate] = []
        for found in candidates:
            for other in seen:
                if found.config == other.config:
                    self._mistake(
                        "sweep", f"{found.label!r} and {other.label!r} are the same configuration; name it once"
                    )
                elif found.label == other.label:
                    self._mistake(
                        "sweep",
                        f"two different configurations are called {found.label!r}; give them different labels",
                    )
            seen.append(found)


def _range(value: Any, schema: Mapping[str, Any]) -> Range | None:
    """Return the range of a TOML value, or None where it is not a range."""
    if isinstance(value, list):
        return Range(choices=tuple(value)) if len(value) > 1 else None
    if not isinstance(value, Mapping) or not {"low", "high"} <= value.keys() <= {"low", "high", "log"}:
        return None
    low, high, log = value["low"], value["high"], value.get("log", False)
    kinds = {branch.get("type") for branch in schema.get("anyOf", [schema])}
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    if not kinds & {"integer", "number"} or not numbers or not isinstance(log, bool):
        return None
    if not low < high or not math.isfinite(high - low) or (log and low <= 0):
        return None
    whole = "number" not in kinds
    if whole and not (isinstance(low, int) and isinstance(high, int)):
        return None
    return Range(low, high, log, whole)


def _learning_rates(config: RunConfig) -> Range:
    """Return the default range of a search: from a tenth of the method's own learning rate to ten times that rate."""
    usual = config.training.learning_rate or config.method.usual_learning_rate
    return Range(usual / 10, min(10 * usual, 0.5), log=True)

"""Merged settings of a sweep before they are expanded: those that all trials share, and the [sweep] table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from emotune.settings.keys import did_you_mean, fields_of
from emotune.settings.layers import Draft
from emotune.settings.preset import PresetOf
from emotune.settings.run import RunConfig
from emotune.system.options import shown_value

SETTINGS = ("methods", "models", "grid", "search", "searched", "margin")
FOLDER = "sweep"
# Enough to estimate the variance between seeds, pooled over configurations; one seed gives no estimate.
SEEDS = 3
# Settings that must be the same for every trial, or have their own setting in the [sweep] table.
ELSEWHERE = {
    "method.name": "name methods in sweep.methods",
    "model.name": "name models in sweep.models",
    "training.seed": "training.seeds says how many seeds each configuration gets",
    "training.seeds": "training.seeds says how many seeds each configuration gets",
    "training.resume": "resume the whole sweep with --resume",
}


class SweepDraft(Draft[RunConfig]):
    """A draft of the settings that all trials share, with the [sweep] table beside it."""

    command: ClassVar[PresetOf] = "sweep"

    def __init__(self) -> None:
        super().__init__(RunConfig)
        self.sweep: dict[str, Any] = {}
        self.sweep_places: dict[str, str] = {}
        super().add("default", "output.folder", FOLDER)
        super().add("default", "training.seeds", SEEDS)

    def copy(self) -> Self:
        """Return an independent draft with the same settings and no mistakes."""
        twin = super().copy()
        twin.sweep = dict(self.sweep)
        return twin

    def add_table(self, place: str, table: Mapping[str, Any]) -> None:
        """Add the sections of a TOML document as the next layer."""
        rest = {name: content for name, content in table.items() if name != "sweep"}
        super().add_table(place, rest)
        given = table.get("sweep", {})
        if isinstance(given, Mapping):
            for name, value in given.items():
                self.add_sweep(place, name, value)
        else:
            self.mistake(place, f"sweep is {shown_value(given)}; expected [sweep] with settings in it")

    def add(self, place: str, key: str, value: Any) -> None:
        """Set one setting, overriding earlier layers, unless a sweep has another place for it."""
        if key.startswith("method.") and key in fields_of(RunConfig):
            where = "put a method's options in sweep.methods, or those of all methods in sweep.grid"
            self.mistake(place, f"{key} is not for sweeps; {ELSEWHERE.get(key, where)}")
        elif key in ("model.name", "training.resume") and place != "--resume":
            self.mistake(place, f"{key} is not for sweeps; {ELSEWHERE[key]}")
        else:
            super().add(place, key, value)

    def add_for_one(self, place: str, key: str, value: Any) -> None:
        """Set one setting of a single configuration, overriding the shared ones."""
        super().add(place, key, value)

    def add_sweep(self, place: str, name: str, value: Any) -> None:
        """Set one setting of the [sweep] table, overriding earlier layers; grids and ranges are merged by setting."""
        if name not in SETTINGS:
            hint = did_you_mean(name, SETTINGS, form="sweep.{}") or f"; those of [sweep] are {', '.join(SETTINGS)}."
            self.mistakes.append(f"{place}: sweep.{name} is not a setting{hint}")
        elif name == "grid" and isinstance(value, str):
            self._add_grid_text(place, value)
        elif name in ("grid", "search"):
            if not isinstance(value, Mapping):
                self.mistake(
                    place, f"sweep.{name} is {shown_value(value)}; expected [sweep.{name}] with settings in it"
                )
                return
            for key, values in _flat(value):
                self.sweep[name] = {**self.sweep.get(name, {}), key: values}
                self.sweep_places[f"{name}.{key}"] = place
        else:
            self.sweep[name] = value
            self.sweep_places[name] = place

    def _add_grid_text(self, place: str, text: str) -> None:
        """Set one setting of the grid from the command line's text: "training.learning_rate=1e-4,1e-3"."""
        key, equals, values = (part.strip() for part in text.partition("="))
        if not equals:
            example = "expected KEY=V1,V2, as in training.learning_rate=1e-4,1e-3"
            self.mistake(place, f"{shown_value(text)} has no '='; {example}")
        elif self.sweep_places.get(f"grid.{key}") == place:
            self.mistake(place, f"{key} was given before; give all its values at once, with commas")
        else:
            self.add_sweep(place, "grid", {key: values})


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield settings by key, whether the TOML has "training.epochs" in quotes or as nested tables."""
    for name, value in table.items():
        if name in RunConfig.model_fields and isinstance(value, Mapping):
            for inner, values in value.items():
                yield f"{name}.{inner}", values
        else:
            yield name, value

"""Layers of settings: the defaults, a preset, a TOML file, the command line. Later layers override earlier ones.

The mistakes of all layers are collected and reported together, each with its place.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import ValidationError

from emotune.settings.keys import (
    closest_setting,
    did_you_mean,
    fields_of,
    read_value,
    schemas,
    section_models,
    shown_key,
)
from emotune.settings.preset import PresetOf, read_preset
from emotune.system.errors import ConfigError
from emotune.system.options import Mistake, Options, in_lines, mistakes_in, shown_value

Root = TypeVar("Root", bound=Options)


@dataclass(frozen=True)
class Override:
    """One setting that overrides all files.

    Attributes:
        key: Section and name: "training.epochs".
        value: Text is read as on the command line; any other value is used unchanged.
        place: The option or argument it comes from, for messages: "--epochs".
    """

    key: str
    value: Any
    place: str


class Draft(Generic[Root]):
    """Merged settings of all layers, and the mistakes found in them.

    Args:
        root: The class of the configuration, whose fields are its sections.

    Attributes:
        command: The command whose presets it accepts.
        mistakes: Mistakes found so far, one sentence each.
    """

    command: ClassVar[PresetOf] = "run"

    def __init__(self, root: type[Root]) -> None:
        self.root = root
        self._values: dict[str, dict[str, Any]] = {}
        self._places: dict[str, str] = {}
        self.mistakes: list[str] = []

    def copy(self) -> Self:
        """Return an independent draft with the same settings and no mistakes."""
        twin = copy.copy(self)
        twin._values = {section: dict(values) for section, values in self._values.items()}
        twin._places = dict(self._places)
        twin.mistakes = []
        return twin

    def add_preset(self, name: str) -> None:
        """Add a preset as the next layer."""
        try:
            text = read_preset(name, self.command)
        except ConfigError as error:
            self.mistakes.append(str(error))
        else:
            self.add_table(f"preset {name}", tomllib.loads(text))

    def add_file(self, file: Path) -> None:
        """Add a TOML file as the next layer."""
        try:
            text = file.read_text(encoding="utf-8-sig")
        except OSError as error:
            self.mistake(str(file), f"cannot be read ({error.strerror}); check the path of the configuration file")
            return
        except UnicodeDecodeError as error:
            self.mistake(str(file), f"not UTF-8 at byte {error.start}; save the file as UTF-8")
            return
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            lines = len(text.splitlines())
            self.mistake(str(file), f"not TOML: {error}".replace("end of document", f"the file's end, line {lines}"))
        else:
            self.add_table(str(file), table)

    def add_overrides(self, overrides: Sequence[str | Override]) -> None:
        """Add settings of the command line as the next layer."""
        given: dict[str, str] = {}
        for item in overrides:
            if isinstance(item, str):
                key, equals, text = item.partition("=")
                if not equals:
                    self.mistake(
                        "--set", f"{shown_value(item)} has no '='; expected SECTION.KEY=VALUE, as in training.epochs=5"
                    )
                    continue
                override = Override(key.strip(), text.strip(), place="--set")
            else:
                override = item
            if override.key in given:
                self.mistake(override.place, f"{override.key} was given before, by {given[override.key]}; give it once")
            given[override.key] = override.place
            value = override.value
            if isinstance(value, str) and override.key in fields_of(self.root):
                value = read_value(value, schemas(self.root)[override.key])
            self.add(override.place, override.key, value)

    def validate(self) -> Root | None:
        """Return the configuration, or None where its values are invalid; the reasons are added to the mistakes."""
        try:
            return self.root.model_validate(self._values)
        except ValidationError as error:
            for mistake in mistakes_in(self.root, self._values, error):
                self._add_mistake(mistake)
            return None

    def finish(self) -> Root:
        """Return the configuration.

        Raises:
            ConfigError: Some layer has a mistake; lists them all.
        """
        config = self.validate()
        if config is None or self.mistakes:
            raise mistakes_error(self.mistakes)
        return config

    def has(self, key: str) -> bool:
        """Return whether some layer sets a setting."""
        return key in self._places

    def place_of(self, key: str) -> str | None:
        """Return the place that sets a setting, or None."""
        return self._places.get(key)

    def remove(self, key: str) -> None:
        """Return a setting to its default."""
        section, name = key.split(".")
        self._values[section].pop(name, None)
        self._places.pop(key, None)

    def mistake(self, place: str, text: str) -> None:
        """Note a mistake and its place."""
        self.mistakes.append(f"{place}: {text}.")

    def add_table(self, place: str, table: Mapping[str, Any]) -> None:
        """Add the sections of a TOML document as the next layer."""
        for section, content in table.items():
            if not isinstance(content, dict):
                self.add(place, section, content)
            elif section in self.root.model_fields:
                # The method's name first: it decides which options of earlier layers are kept.
                for name, value in sorted(content.items(), key=lambda setting: setting[0] != "name"):
                    self.add(place, f"{section}.{name}", value)
            else:
                sections = tuple(self.root.model_fields)
                hint = did_you_mean(section, sections, form="[{}]") or f"; the sections are {', '.join(sections)}."
                self.mistakes.append(f"{place}: [{shown_key(section)}] is not a section{hint}")

    def add(self, place: str, key: str, value: Any) -> None:
        """Set one setting, overriding earlier layers."""
        if key in fields_of(self.root):
            section, name = key.split(".")
            if key == "method.name" and value != self._values.get(section, {}).get(name, value):
                self._values[section] = {}  # options of another method, from an earlier layer
            self._values.setdefault(section, {})[name] = value
            self._places[key] = place
        elif key in self.root.model_fields:
            self.mistake(
                place,
                f"{key} is a section, not a setting: got {shown_value(value)}, expected [{key}] with settings in it",
            )
        else:
            self.mistakes.append(f"{place}: {shown_key(key)} is not a setting{closest_setting(self.root, key)}")

    def _add_mistake(self, mistake: Mistake) -> None:
        key = ".".join(mistake.path)
        if mistake.is_rule:
            places = dict.fromkeys(place for name, place in self._places.items() if name.startswith(f"{key}."))
            self.mistake(", ".join(places), f"in [{key}], {mistake}")
        else:
            self.mistake(self._places[key], f"{mistake}{self._takers(mistake)}")

    def _takers(self, mistake: Mistake) -> str:
        """Return a hint that names the first method with the option, if the chosen method lacks it; else ""."""
        section, name = mistake.path[0], mistake.path[-1]
        if not mistake.is_unknown:
            return ""
        takers = [model for model in section_models(self.root, section) if name in model.model_fields]
        return f", or choose a method that takes it, such as {takers[0].model_fields['name'].default}"


def mistakes_error(mistakes: Sequence[str]) -> ConfigError:
    """Return one error for any number of mistakes."""
    return ConfigError(in_lines("The configuration", mistakes))

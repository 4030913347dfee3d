"""Where settings come from, and what is wrong with them, in words.

Settings come in layers, the later over the earlier: the defaults of `emotune.settings.run`, a preset, a TOML file, the command line. Every
mistake of every layer is collected and reported at once, each with its place.
"""

from __future__ import annotations

import copy
import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import ValidationError

from emotune.settings.run import RunConfig, setting_schemas
from emotune.system.errors import ConfigError

PresetOf = Literal["run", "sweep"]

# Values in messages are cut to this many characters.
_LONGEST_VALUE = 60


@dataclass(frozen=True)
class Override:
    """One setting that goes over all files.

    Attributes:
        key: Section and name: "training.epochs".
        value: Text is read as on the command line; anything else is taken as it is.
        place: Where the user wrote it, for messages: "--epochs".
    """

    key: str
    value: Any
    place: str


def preset_names(command: PresetOf = "run") -> tuple[str, ...]:
    """Names of the presets that come with emotune for one of its commands, in alphabetical order."""
    files = _preset_folder(command).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_preset(name: str, command: PresetOf = "run") -> str:
    """A preset's TOML, whose first line is a comment that says what it is for.

    Raises:
        ConfigError: There is no preset of this name for the command.
    """
    names = preset_names(command)
    if name not in names:
        other: PresetOf = "sweep" if command == "run" else "run"
        if name in preset_names(other):
            raise ConfigError(
                f"The preset {name} is one of emotune {other}; those of emotune {command} are: {', '.join(names)}."
            )
        guess = did_you_mean(name, names) or "."
        raise ConfigError(f"There is no preset {shown_value(name)}{guess} The presets are: {', '.join(names)}.")
    return _preset_folder(command).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def _preset_folder(command: PresetOf) -> Traversable:
    """Where a command's presets are: those of `run` in presets/ itself, those of `sweep` in a folder below."""
    folder = resources.files("emotune.settings").joinpath("presets")
    return folder if command == "run" else folder.joinpath(command)


class Draft:
    """The settings of all layers as they come in, and every mistake met on the way.

    Attributes:
        command: The command whose presets it takes.
        mistakes: What is wrong so far, a sentence each.
    """

    command: ClassVar[PresetOf] = "run"

    def __init__(self) -> None:
        self._values: dict[str, dict[str, Any]] = {}
        self._places: dict[str, str] = {}
        self.mistakes: list[str] = []

    def copy(self) -> Self:
        """A draft with the same settings that goes its own way, without the mistakes."""
        twin = copy.copy(self)
        twin._values = {section: dict(values) for section, values in self._values.items()}
        twin._places = dict(self._places)
        twin.mistakes = []
        return twin

    def add_preset(self, name: str) -> None:
        """Put a preset over what there is."""
        try:
            text = read_preset(name, self.command)
        except ConfigError as error:
            self.mistakes.append(str(error))
        else:
            self.add_table(f"preset {name}", tomllib.loads(text))

    def add_file(self, file: Path) -> None:
        """Put a TOML file over what there is."""
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
        """Put settings of the command line over what there is."""
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
            if isinstance(value, str) and override.key in setting_schemas():
                value = read_value(value, setting_schemas()[override.key])
            self.add(override.place, override.key, value)

    def validate(self) -> RunConfig | None:
        """The configuration, or None where its values do not hold, which is then among the mistakes."""
        try:
            return RunConfig.model_validate(self._values)
        except ValidationError as error:
            self._add_validation_errors(error)
            return None

    def finish(self) -> RunConfig:
        """The configuration.

        Raises:
            ConfigError: There was a mistake in some layer; lists them all.
        """
        config = self.validate()
        if config is None or self.mistakes:
            raise mistakes_error(self.mistakes)
        return config

    def mistake(self, place: str, text: str) -> None:
        """Note a mistake and its place."""
        self.mistakes.append(f"{place}: {text}.")

    def add_table(self, place: str, table: Mapping[str, Any]) -> None:
        """Put the sections of a TOML document over what there is."""
        for section, content in table.items():
            if not isinstance(content, dict):
                self.add(place, section, content)
            elif section in RunConfig.model_fields:
                # The method's name first: it decides which options of earlier layers still hold.
                for name, value in sorted(content.items(), key=lambda setting: setting[0] != "name"):
                    self.add(place, f"{section}.{name}", value)
            else:
                sections = tuple(RunConfig.model_fields)
                hint = did_you_mean(section, sections, form="[{}]") or f"; the sections are {', '.join(sections)}."
                self.mistakes.append(f"{place}: [{_key(section)}] is not a section{hint}")

    def add(self, place: str, key: str, value: Any) -> None:
        """Put one setting over what there is."""
        if key in setting_schemas():
            section, name = key.split(".")
            if key == "method.name" and value != self._values.get(section, {}).get(name, value):
                self._values[section] = {}  # options of another method, from an earlier layer
            self._values.setdefault(section, {})[name] = value
            self._places[key] = place
        elif key in RunConfig.model_fields:
            self.mistake(
                place,
                f"{key} is a section, not a setting: got {shown_value(value)}, expected [{key}] with settings in it",
            )
        else:
            self.mistakes.append(f"{place}: {_key(key)} is not a setting{closest_setting(key)}")

    def _add_validation_errors(self, error: ValidationError) -> None:
        reported = set()
        for found in error.errors(include_url=False):
            key = ".".join(str(part) for part in found["loc"][:2])
            if key in reported:  # each branch of a union complains on its own
                continue
            reported.add(key)
            own_message = found.get("ctx", {}).get("error")
            if key in setting_schemas():
                section, name = key.split(".")
                expected = str(own_message) if own_message else f"expected {_expected(setting_schemas()[key])}"
                self.mistake(self._places[key], f"{key} is {shown_value(self._values[section][name])}; {expected}")
            else:  # a rule about several settings of one section
                places = dict.fromkeys(place for name, place in self._places.items() if name.startswith(f"{key}."))
                self.mistake(", ".join(places), f"in [{key}], {own_message}")


def mistakes_error(mistakes: Sequence[str]) -> ConfigError:
    """One error for any number of mistakes."""
    if len(mistakes) == 1:
        return ConfigError(mistakes[0])
    lines = "".join(f"\n  {mistake}" for mistake in mistakes)
    return ConfigError(f"The configuration has {len(mistakes)} mistakes:{lines}")


def _branches(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return schema.get("anyOf", [schema])


def read_value(text: str, schema: Mapping[str, Any]) -> Any:
    """Read a value from the command line with the setting's type in view.

    TOML comes first. What is not TOML is text, or a number that TOML would write differently (".001"). Where text is
    expected, what happens to look like a number, a date or a truth value is still text; where a setting may be left
    open, none opens it.
    """
    kinds = {branch["type"] for branch in _branches(schema)}
    if text == "none" and "null" in kinds:
        return None
    value: Any = text
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        if kinds & {"integer", "number"}:
            try:
                value = float(text)
            except ValueError:
                value = text
    else:
        if table.keys() == {"value"}:
            value = table["value"]
    if "string" in kinds and not (isinstance(value, str) or (isinstance(value, list) and "array" in kinds)):
        return text
    return value


def _expected(schema: Mapping[str, Any]) -> str:
    """What a setting takes, in words: "a number above 0 and below 1"."""
    return " or ".join(_expected_type(branch) for branch in _branches(schema) if branch["type"] != "null")


def _expected_type(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return "one of " + ", ".join(f'"{value}"' for value in schema["enum"])
    noun = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "string": "text that is not blank",
        "array": 'a list of texts such as ["one", "two"]',
    }[schema["type"]]
    limits = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "of at most",
        "exclusiveMaximum": "below",
    }
    ranges = [f"{words} {schema[name]}" for name, words in limits.items() if name in schema]
    return " ".join([noun, " and ".join(ranges)]).strip()


def shown_value(value: Any) -> str:
    """A value as a message shows it: on one line, control characters escaped, shortened."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def _key(key: str) -> str:
    """A key as a message shows it: bare where TOML would write it so."""
    return key if re.fullmatch(r"[\w.-]{1,60}", key) else shown_value(key)


# What other tools call some settings.
NICKNAMES = {"lr": "learning_rate", "rank": "r", "batch_size": "batch_tokens", "num_train_epochs": "epochs"}


def closest_setting(key: str) -> str:
    """The end of the sentence "X is not a setting": the setting that was probably meant, or those there are."""
    section, _, name = key.rpartition(".")
    known = tuple(setting_schemas())
    own = tuple(candidate for candidate in known if candidate.startswith(f"{section}."))
    for candidates in (own, known):
        close = difflib.get_close_matches(
            NICKNAMES.get(name, name), {candidate.partition(".")[2] for candidate in candidates}, n=1
        )
        if close:
            namesakes = [candidate for candidate in candidates if candidate.endswith(f".{close[0]}")]
            return f"; did you mean {difflib.get_close_matches(key, namesakes, n=1, cutoff=0.0)[0]}?"
    if own:
        return f"; the settings of [{section}] are {', '.join(setting.partition('.')[2] for setting in own)}."
    sections = ", ".join(RunConfig.model_fields)
    return did_you_mean(key, known) or f"; the sections are {sections}, and a setting is written SECTION.KEY."


def did_you_mean(word: str, known: Sequence[str], form: str = "{}") -> str:
    """The closest known word as "; did you mean X?", or "" where none is close."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {form.format(close[0])}?" if close else ""

"""The presets that come with emotune: TOML files, in presets/ for `run` and in presets/sweep/ for `sweep`."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal

from emotune.settings.keys import did_you_mean
from emotune.system.errors import ConfigError
from emotune.system.options import shown_value

PresetOf = Literal["run", "sweep"]


def preset_names(command: PresetOf = "run") -> tuple[str, ...]:
    """Return the names of a command's presets, in alphabetical order."""
    files = _preset_folder(command).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_preset(name: str, command: PresetOf = "run") -> str:
    """Return a preset's TOML, whose first line is a comment with its purpose.

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
    folder = resources.files("emotune.settings").joinpath("presets")
    return folder if command == "run" else folder.joinpath(command)

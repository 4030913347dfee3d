"""Configuration and command line as saved folders hold them: paths are cut to their last part, URLs lose their secrets."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from emotune.data.places.downloads import is_url, without_secrets
from emotune.settings.run import RunConfig


def configuration(config: RunConfig) -> dict[str, Any]:
    """Return the configuration with every path of this machine cut to its last part, without trackers.

    Trackers change no result, and a run that is reproduced reports to none.
    """
    values = config.model_dump(mode="json", exclude={"tracking"})
    for section, key in (
        ("data", "source"),
        ("data", "validation"),
        ("data", "test"),
        ("model", "name"),
        ("output", "folder"),
    ):
        value = values[section][key]
        if value is not None and section == "data" and is_url(value):
            values[section][key] = without_secrets(value)
        elif value is not None and (section == "output" or _is_path(value)):
            values[section][key] = _last_part(value)
    return values


def command() -> str:
    """Return the command line that started this process, paths cut to their last part; "" inside another program."""
    program = Path(sys.argv[0]) if sys.argv else Path()
    if program.stem != "emotune" and program.parts[-2:] != ("emotune", "__main__.py"):
        return ""
    return shlex.join(["emotune", *map(_portable_word, sys.argv[1:])])


def _portable_word(word: str) -> str:
    """Cut the path in a word of the command line ("--data=/home/me/x.csv") to its last part."""
    option, equals, value = word.partition("=")
    if not equals or _is_path(word) or is_url(word):
        option, equals, value = "", "", word
    if is_url(value):
        return option + equals + without_secrets(value)
    value = value.strip("'\"")  # TOML's quotes, as in --set data.source="/home/me/x.csv"
    return option + equals + _last_part(value) if _is_path(value) else word


def _is_path(value: str) -> bool:
    """Return whether a word is a path rather than a name. A Hub id has one slash as well, but is not a file."""
    return value.startswith(("/", "~", "./", "../")) or Path(value).is_absolute() or Path(value).exists()


def _last_part(path: str) -> str:
    return Path(path).expanduser().resolve().name

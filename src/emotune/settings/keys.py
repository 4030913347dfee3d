"""Settings of a configuration by key, as "training.epochs": types, help texts, suggestions for misspelled keys."""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic.fields import FieldInfo

from emotune.system.options import Options, branches, shown_value

# Names of some settings in other tools.
NICKNAMES = {"lr": "learning_rate", "rank": "r", "batch_size": "batch_tokens", "num_train_epochs": "epochs"}


def section_models(root: type[Options], section: str) -> tuple[type[Options], ...]:
    """Return the alternative models of a section: a single one, or one per method.

    Args:
        root: The configuration's class.
        section: The section's name.
    """
    annotation = root.model_fields[section].annotation
    members = get_args(annotation) or (annotation,)
    return tuple(member for member in members if isinstance(member, type) and issubclass(member, Options))


@functools.cache
def fields_of(root: type[Options]) -> dict[str, tuple[FieldInfo, ...]]:
    """Return the fields behind each key: a single one, or one per method that has the option."""
    found: dict[str, tuple[FieldInfo, ...]] = {}
    for section in root.model_fields:
        for model in section_models(root, section):
            for name, field in model.model_fields.items():
                key = f"{section}.{name}"
                found[key] = (*found.get(key, ()), field)
    return found


@functools.cache
def schemas(root: type[Options]) -> dict[str, dict[str, Any]]:
    """Return pydantic's JSON schema of each setting by key; the alternatives of all methods are merged."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for section in root.model_fields:
        for model in section_models(root, section):
            for name, schema in model.model_json_schema()["properties"].items():
                known = found.setdefault(f"{section}.{name}", [])
                known += [branch for branch in branches(schema) if branch not in known]
    return {key: {"anyOf": alternatives} for key, alternatives in found.items()}


def setting_help(root: type[Options], key: str) -> tuple[str, str | None]:
    """Return a setting's description, and its default as text, or None where it has none.

    Args:
        root: The configuration's class.
        key: Section and name: "training.epochs".
    """
    fields = fields_of(root)[key]
    default = next((field.default for field in fields if field.default is not None), None)
    description = fields[0].description or root.model_fields[key.partition(".")[0]].description
    return description or "", None if default is None else str(default)


def read_value(text: str, schema: Mapping[str, Any]) -> Any:
    """Read a value from the command line according to the setting's type.

    The value is read as TOML. If it is not TOML, it is text, or a number in a form that TOML lacks (".001"). Where text
    is expected, a number, a date or a boolean stays text. "none" unsets a setting that may be unset.
    """
    kinds = {branch["type"] for branch in branches(schema)}
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


def shown_key(key: str) -> str:
    """Return a key as a message shows it, without quotes where TOML needs none."""
    return key if re.fullmatch(r"[\w.-]{1,60}", key) else shown_value(key)


def closest_setting(root: type[Options], key: str) -> str:
    """Return the end of the sentence "X is not a setting": the closest setting, or the list of valid ones."""
    section, _, name = key.rpartition(".")
    known = tuple(fields_of(root))
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
    sections = ", ".join(root.model_fields)
    return did_you_mean(key, known) or f"; the sections are {sections}, and a setting is written SECTION.KEY."


def did_you_mean(word: str, known: Sequence[str], form: str = "{}") -> str:
    """Return the closest known word as "; did you mean X?", or "" where none is close."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {form.format(close[0])}?" if close else ""

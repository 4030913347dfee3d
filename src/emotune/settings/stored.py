"""Settings of a saved folder, to run its job again or on other data, and what the folder has seen of data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emotune.data.dataset import TextDataset
from emotune.data.formats.reading import OPTIONS
from emotune.data.load import load_data
from emotune.data.places.memory import called
from emotune.folder.fingerprints import Fingerprints, read_fingerprints
from emotune.folder.format import Description
from emotune.settings.run import RunConfig, Start
from emotune.system.errors import ArtifactError, ConfigError, DataError, HubError
from emotune.system.output import DESCRIPTION
from emotune.system.wording import word

# Settings of [data] that say where the rows are.
PLACES = ("source", "validation", "test", "config", "revision", "input_format")


def stored_settings(description: Description, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the settings of a saved folder by section and name; those without a value are left out.

    The base model is the commit that was loaded: the configuration may name a branch or nothing.

    Args:
        description: Content of `emotune.json`.
        folder: The folder, for messages.

    Raises:
        ArtifactError: There are none.
    """
    stored = description.configuration
    if stored is None or description.data is None or description.versions is None:
        raise ArtifactError(
            f"'{folder}' does not say how it was made: emotune.json has no configuration. Only emotune run writes one."
        )
    values = {
        section: {key: value for key, value in settings.items() if value is not None}
        for section, settings in stored.items()
    }
    if description.base_model.revision is not None:
        values.setdefault("model", {})["revision"] = description.base_model.revision
    return values


def start_from(description: Description, folder: Path) -> Start:
    """Return the settings of a saved folder for a run on other data.

    The labels keep their order, so that both models can be scored on the same rows. Where the rows are, how their files
    are read, where the result goes and whether to resume are left to the new run.

    Args:
        description: Content of `emotune.json`.
        folder: The folder, for messages.

    Raises:
        ArtifactError: It does not say how it was made.
    """
    values = stored_settings(description, folder)
    stored = values.get("data", {})
    values["data"] = {key: value for key, value in stored.items() if key not in (*PLACES, *OPTIONS)}
    values["data"]["labels"] = list(description.labels)
    values.pop("output", None)
    values.get("training", {}).pop("resume", None)
    base = description.base_model
    needs = {
        "data.source": "settings are taken from this folder, but not its data. Say where the new data is with --data."
    }
    if base.source is None:
        needs["model.name"] = (
            f"the base model '{base.name}' was a local folder, and saved folders hold no paths. "
            "Say where it is with --model FOLDER."
        )
        for key in ("name", "revision"):
            values.get("model", {}).pop(key, None)
    left = {key: stored[key] for key in OPTIONS if key in stored}
    return Start(str(folder / DESCRIPTION), values, needs, left)


def left_note(start: Start, config: RunConfig) -> str:
    """Return a note on how the data of the folder was read, where the new run does not say it again; "" if it does.

    Args:
        start: The settings of the folder.
        config: The configuration of the new run.
    """
    left = {key: value for key, value in start.left.items() if getattr(config.data, key) is None}
    if not left:
        return ""
    options = " ".join(
        f"--{key} {word(','.join(value) if isinstance(value, list) else value)}" for key, value in left.items()
    )
    return (
        f"The folder's data was read with {options}, and {called(config.data.source)} is read without. Give "
        f"{'it' if len(left) == 1 else 'them'} again if the new data needs {'it' if len(left) == 1 else 'them'}."
    )


def reread(description: Description, folder: Path) -> TextDataset | str:
    """Read the data of a saved folder again from where it was.

    Args:
        description: Content of `emotune.json`.
        folder: The folder, for messages.

    Returns:
        The data, or the reason why it is not available, as a clause.

    Raises:
        HubError: The data is on the Hub, and the Hub cannot be reached.
        DataError: It can no longer be read.
    """
    entry = description.data
    if entry is None or description.configuration is None:
        return "it does not say on which data it was trained"
    if entry.was_local:
        return f"its data was the file or folder '{entry.name}', and saved folders hold no paths"
    stored = stored_settings(description, folder)
    try:
        config = RunConfig.load(overrides=dotted({key: stored.get(key, {}) for key in ("data", "training")}))
    except ConfigError:
        return "its settings are not valid in this version of emotune"
    data = load_data(**config.data_arguments())
    if data.fingerprint != entry.fingerprint:
        return f"its data, '{entry.name}', has changed since"
    return data


def seen_by(description: Description, folder: Path) -> tuple[Fingerprints | None, str]:
    """Return the fingerprints of what a saved folder was trained on: the saved ones, or those of its data, read again.

    Args:
        description: Content of `emotune.json`.
        folder: The folder.

    Returns:
        None with the reason, a clause, if they are not known.

    Raises:
        ArtifactError: The saved ones are damaged.
    """
    found = read_fingerprints(folder, None if description.data is None else description.data.fingerprint)
    if found is not None:
        return found, ""
    try:
        data = reread(description, folder)
    except (HubError, DataError) as error:
        data = f"its data cannot be read again ({str(error).splitlines()[0].removesuffix('.')})"
    if isinstance(data, str):
        return None, f"the folder has no fingerprints of its training texts, and {data}"
    return Fingerprints.of(data), ""


def dotted(values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return settings by section and name as settings by key: "training.epochs"."""
    return {f"{section}.{key}": value for section, settings in values.items() for key, value in settings.items()}


def as_mistake(error: ConfigError, folder: Path) -> ArtifactError:
    """Return the error of a folder whose settings are not valid, without the place "overrides" on each line."""
    mistakes = "\n".join(line.replace("overrides: ", "", 1) for line in str(error).splitlines())
    return ArtifactError(f"The configuration in '{folder / DESCRIPTION}' is not valid: {mistakes}")

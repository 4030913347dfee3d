"""Settings of a saved folder, to run its job again or with other data, and its data read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emotune.data.dataset import TextDataset
from emotune.data.load import load_data
from emotune.folder.format import Description
from emotune.settings.run import RunConfig
from emotune.system.errors import ArtifactError, ConfigError
from emotune.system.output import DESCRIPTION

# Settings of [data] that say where the rows are; the others say how to read them.
PLACES = ("source", "validation", "test", "config", "revision")


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


def dotted(values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return settings by section and name as settings by key: "training.epochs"."""
    return {f"{section}.{key}": value for section, settings in values.items() for key, value in settings.items()}


def as_mistake(error: ConfigError, folder: Path) -> ArtifactError:
    """Return the error of a folder whose settings are not valid, without the place "overrides" on each line."""
    mistakes = "\n".join(line.replace("overrides: ", "", 1) for line in str(error).splitlines())
    return ArtifactError(f"The configuration in '{folder / DESCRIPTION}' is not valid: {mistakes}")

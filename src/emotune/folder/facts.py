"""What a command has to know of a folder before it loads the model in it, whoever saved the folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emotune.folder.format import Description, read_description, sha256
from emotune.folder.plain import PlainFolder, is_plain
from emotune.models.folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, CONFIG, WEIGHTS
from emotune.system.output import DESCRIPTION
from emotune.tasks.base import Task


@dataclass(frozen=True)
class FolderFacts:
    """Facts of a folder.

    Attributes:
        labels: Label names, in the order of the logits.
        max_length: Tokens per text; longer texts are cut.
        task: The kind of label.
        description: Its `emotune.json`; None if emotune did not save it.
        notes: Sentences to print.
    """

    labels: tuple[str, ...]
    max_length: int
    task: Task
    description: Description | None = None
    notes: tuple[str, ...] = ()


def facts_of(folder: str | Path, base: str | Path | None = None) -> FolderFacts:
    """Return what is known of a folder without reading weights.

    Args:
        folder: A folder that emotune, transformers or PEFT saved.
        base: The base model, if the folder does not name it.

    Raises:
        ArtifactError: It is none of these, or it is incomplete or damaged.
        ModelError: The model of a plain folder cannot be loaded.
        HubError: The base model of a plain adapter is on the Hub, and the Hub cannot be reached.
    """
    folder = Path(folder)
    if is_plain(folder):
        plain = PlainFolder.opened(folder, base)
        return FolderFacts(plain.labels, plain.max_length, plain.task, notes=plain.notes)
    found = read_description(folder)
    return FolderFacts(found.labels, found.max_length, found.kind, found)


def identity_of(folder: Path) -> str:
    """Return a checksum of what determines a folder's model: of its description, which holds those of its files."""
    if not is_plain(folder):
        return sha256(folder / DESCRIPTION)
    files = (
        CONFIG,
        ADAPTER_CONFIG,
        ADAPTER_WEIGHTS,
        WEIGHTS,
        *(file.name for file in sorted(folder.glob("model-*.safetensors"))),
    )
    return " ".join(sha256(folder / name) for name in files if (folder / name).is_file())

"""Folders that `save_to_disk` of the datasets library wrote: one data set, or several by split."""

from __future__ import annotations

from pathlib import Path

from emotune.data.places.hub_dataset import table_of
from emotune.data.table import Table
from emotune.system.errors import DataError
from emotune.system.text import reason_of
from emotune.system.wording import escaped


def is_saved_dataset(folder: Path) -> bool:
    """Return whether a folder has the files that `save_to_disk` writes."""
    return (folder / "dataset_dict.json").is_file() or all(
        (folder / name).is_file() for name in ("state.json", "dataset_info.json")
    )


def open_saved_dataset(folder: Path) -> dict[str, Table] | Table:
    """Open such a folder: its table, or its tables by split.

    Raises:
        DataError: It is damaged or incomplete.
    """
    import datasets

    shown = escaped(folder)
    try:
        found = datasets.load_from_disk(str(folder))
        if isinstance(found, datasets.DatasetDict):
            return {str(split): table_of(f"{shown} ({split})", rows) for split, rows in found.items()}
        return table_of(shown, found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{shown} was written by save_to_disk of the datasets library, and is damaged or incomplete: "
            f"{reason_of(error)}.\nCopy or write it again."
        ) from None
